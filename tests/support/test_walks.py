"""Random walks through tickets: whatever is tried, the desk's books agree."""

from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from projections.conversation import ChatMessage, TicketHistory, ticket_rows
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Refused
from rim_ledger.support.assignment import TICKETS_MAX, assign_waiting
from rim_ledger.support.conversation import MarkMessagesRead, PostMessage
from rim_ledger.support.deadlines import REMINDER, next_deadline, overdue
from rim_ledger.support.staff_commands import RetireAgent, SetAvailability
from rim_ledger.support.support_agent import AgentStatus, SupportAgent, agent_stream
from rim_ledger.support.ticket import (
    MessagesRead,
    Priority,
    Ticket,
    TicketEvent,
    TicketOpened,
    TicketStatus,
    tickets_in,
    tickets_of,
    waiting_in,
)
from rim_ledger.support.ticket_intake import ChangeDepartment, ChangePriority
from rim_ledger.support.ticket_workflow import (
    AcceptEscalation,
    AssignTicket,
    CloseTicket,
    EscalateTicket,
    ReopenTicket,
    ResolveTicket,
    StartWork,
    UnassignTicket,
)
from tests.spec import START, examples
from tests.support.desk import SupportDesk

TICKETS = 4
PEOPLE = st.integers(0, 4)
WHICH = st.integers(0, TICKETS - 1)


class Tickets(RuleBasedStateMachine):
    """Four tickets, four agents and a lead, who do anything at any time."""

    @initialize()
    def begin(self) -> None:
        self.desk = SupportDesk()
        self.people = [self.desk.ann, self.desk.bob, self.desk.cyn, self.desk.dan, self.desk.lead]
        self.tickets = [
            self.desk.open(department=self.desk.billing if number % 2 else None)
            for number in range(TICKETS)
        ]
        self.seen = 0
        self.history: dict[UUID, int] = dict.fromkeys(self.tickets, 0)
        self.said: dict[UUID, int] = dict.fromkeys(self.tickets, 0)
        self.folded: dict[UUID, Ticket] = {}

    def try_(self, by: int, command: Command[Any], ticket: int) -> None:
        with suppress(Refused):
            self.desk.ask(self.people[by], self.tickets[ticket], command)

    @rule(by=PEOPLE, ticket=WHICH, to=PEOPLE)
    def assign(self, by: int, ticket: int, to: int) -> None:
        self.try_(by, AssignTicket(assigned_to=self.people[to]), ticket)

    @rule(
        by=PEOPLE,
        ticket=WHICH,
        command=st.sampled_from(
            [
                UnassignTicket(),
                StartWork(),
                AcceptEscalation(),
                ResolveTicket(resolution="done"),
                ReopenTicket(reason="not done"),
                CloseTicket(),
                PostMessage(message="Hello"),
                MarkMessagesRead(),
            ]
        ),
    )
    def handle(self, by: int, ticket: int, command: Command[Ticket]) -> None:
        self.try_(by, command, ticket)

    @rule(by=PEOPLE, ticket=WHICH, to=PEOPLE)
    def escalate(self, by: int, ticket: int, to: int) -> None:
        self.try_(by, EscalateTicket(to=self.people[to], reason="too hard"), ticket)

    @rule(ticket=WHICH, priority=st.sampled_from(Priority), place=st.booleans())
    def file(self, ticket: int, priority: Priority, place: bool) -> None:
        self.try_(4, ChangePriority(priority=priority), ticket)
        department = self.desk.billing if place else None
        self.try_(4, ChangeDepartment(department=department), ticket)

    @rule(who=st.integers(0, 3), status=st.sampled_from(AgentStatus))
    def set_availability(self, who: int, status: AgentStatus) -> None:
        stream = agent_stream(self.people[who])
        try:
            self.desk.ask(self.people[4], stream, SetAvailability(status=status), SupportAgent)
        except Refused:
            assert self.desk.profile(self.people[who]).archived

    @rule(who=st.integers(0, 3))
    def retire(self, who: int) -> None:
        had = self.desk.profile(self.people[who]).tickets
        with suppress(Refused):
            self.desk.perform(SupportAgent, agent_stream(self.people[who]), RetireAgent())
            assert not had

    @rule()
    def give_away(self) -> None:
        self.desk.run(assign_waiting)

    @rule(hours=st.sampled_from([1, 5, 30, 80]))
    def wait(self, hours: int) -> None:
        self.desk.environment.time += timedelta(hours=hours)
        for (what, stream), at in list(self.desk.reminders.items()):
            if what == REMINDER and at and at <= self.desk.environment.time:
                self.desk.tick(stream)

    @invariant()
    def every_event_but_reading_is_one_row_of_history(self) -> None:
        for each in self.desk.log[self.seen :]:
            stream = each.originator_id
            if isinstance(each.event, TicketOpened):
                self.folded[stream] = Ticket.begin(stream, each.event, each.stamp)
            elif isinstance(each.event, TicketEvent):
                self.folded[stream] = self.folded[stream].evolve(each.event, each.stamp)
            else:
                continue
            rows = list(ticket_rows(self.folded[stream], each))
            history = [row for row in rows if isinstance(row, TicketHistory)]
            assert [row.id for row in history] == (
                [] if isinstance(each.event, MessagesRead) else [each.id]
            )
            self.said[stream] += sum(isinstance(row, ChatMessage) for row in rows)
        self.seen = len(self.desk.log)
        for id_ in self.tickets:
            assert self.desk.ticket(id_) == self.folded[id_]
            assert self.desk.ticket(id_).message_count == self.said[id_]

    @invariant()
    def the_agents_loads_are_what_one_counts(self) -> None:
        tickets = [self.desk.ticket(each) for each in self.tickets]
        for who in self.people[:4]:
            own = {each.id for each in tickets if each.active and each.assigned_to == who}
            if not self.desk.profile(who).archived:
                assert self.desk.profile(who).tickets == own

    @invariant()
    def every_list_holds_what_belongs_there(self) -> None:
        uow, tickets = self.desk.uow(), [self.desk.ticket(each) for each in self.tickets]
        active = {each.id for each in tickets if each.active}
        assert set(uow.listed(tickets_of(self.desk.customer), 99)) == active
        billing = {each.id for each in tickets if each.active and each.department}
        assert set(uow.listed(tickets_in(self.desk.billing), 99)) == billing
        for place in (None, self.desk.billing):
            free = [
                each
                for each in tickets
                if each.active and each.department == place and each.assigned_to is None
                if each.status is not TicketStatus.ESCALATED
            ]
            assert set(uow.listed(waiting_in(place), TICKETS_MAX)) == {e.id for e in free}

    @invariant()
    def the_clock_looks_when_something_falls_due_and_no_later(self) -> None:
        for id_ in self.tickets:
            ticket, at = self.desk.ticket(id_), self.desk.reminders.get((REMINDER, id_))
            due = next_deadline(ticket)
            assert due is None or (at is not None and at <= due)
            assert not list(overdue(ticket, START))
            resolved = ticket.status in (TicketStatus.RESOLVED, TicketStatus.CLOSED)
            assert (ticket.resolved_at is not None) == resolved
            assert (ticket.resolution is not None) == resolved

    @invariant()
    def the_log_gives_the_same_again(self) -> None:
        assert self.desk.replayed() == self.desk.streams


TestTickets = Tickets.TestCase
TestTickets.settings = settings(max_examples=examples(25), stateful_step_count=25)
