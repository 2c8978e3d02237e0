"""Tickets: every command in every status, who may pass what on, and who sees what."""

from typing import Any

import pytest

from rim_ledger.admin.admin_user import AdminSuspended, AdminUser
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import DeleteUser
from rim_ledger.support.conversation import MarkMessagesRead, PostMessage
from rim_ledger.support.department import Department
from rim_ledger.support.staff_commands import ArchiveDepartment, SetAvailability
from rim_ledger.support.support_agent import AgentStatus, SupportAgent, agent_stream
from rim_ledger.support.ticket import (
    LEGAL,
    Category,
    Priority,
    Ticket,
    TicketAssigned,
    TicketCategoryChanged,
    TicketDepartmentChanged,
    TicketEscalated,
    TicketPriorityChanged,
    TicketStarted,
    TicketStatus,
    TicketTagged,
    TicketUntagged,
)
from rim_ledger.support.ticket_intake import (
    ChangeCategory,
    ChangeDepartment,
    ChangePriority,
    TagTicket,
    UntagTicket,
)
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
from tests.lending.desk import refused
from tests.spec import names
from tests.support.desk import SupportDesk

LEADS_TO: dict[tuple[str, str], str] = {
    ("open", "assign"): "open",
    ("open", "unassign"): "open",
    ("open", "start"): "in-progress",
    ("open", "escalate"): "escalated",
    ("open", "resolve"): "resolved",
    ("open", "message"): "in-progress",
    ("in-progress", "assign"): "in-progress",
    ("in-progress", "unassign"): "open",
    ("in-progress", "escalate"): "escalated",
    ("in-progress", "resolve"): "resolved",
    ("escalated", "accept"): "in-progress",
    ("escalated", "escalate"): "escalated",
    ("escalated", "resolve"): "resolved",
    ("resolved", "reopen"): "in-progress",
    ("resolved", "close"): "closed",
}
"""What each legal command makes of a status (domain §4); any other is refused."""
KEEPING = ("message", "priority", "category", "department", "tag", "untag")
"""Commands that leave the status as it is, but in a closed ticket."""


def commands(desk: SupportDesk) -> dict[str, Command[Ticket]]:
    return {
        "assign": AssignTicket(assigned_to=desk.bob),
        "unassign": UnassignTicket(),
        "start": StartWork(),
        "escalate": EscalateTicket(to=desk.dan, reason="too hard"),
        "accept": AcceptEscalation(),
        "resolve": ResolveTicket(resolution="sent again"),
        "reopen": ReopenTicket(reason="it came back"),
        "close": CloseTicket(),
        "message": PostMessage(message="We look into it."),
        "priority": ChangePriority(priority=Priority.URGENT),
        "category": ChangeCategory(category=Category.LOAN),
        "department": ChangeDepartment(department=desk.billing),
        "tag": TagTicket(tag="vip"),
        "untag": UntagTicket(tag="vip"),
    }


@pytest.mark.parametrize("status", list(TicketStatus))
def test_every_command_leads_where_it_should_or_is_refused(status: TicketStatus) -> None:
    desk = SupportDesk()
    for name, command in commands(desk).items():
        ticket = desk.ticket_that_is(status)
        after = LEADS_TO.get((status, name))
        if name in KEEPING and status is not TicketStatus.CLOSED:
            after = after or status
        if after:
            desk.ask(desk.lead, ticket, command)
            assert desk.ticket(ticket).status == after, name
            continue
        with pytest.raises(Refused) as refusal:
            desk.ask(desk.lead, ticket, command)
        said = refusal.value
        assert (said.code, said.more["current"]) == ("invalid-transition", status)
        assert said.more["command"] == name
        assert said.more["allowed"] == sorted(LEGAL[status])


def test_a_ticket_nobody_has_is_claimed_once() -> None:
    desk = SupportDesk()
    ticket = desk.open()
    claim = AssignTicket(assigned_to=desk.ann)
    assert names(desk.ask(desk.ann, ticket, claim)) == ["TicketAssigned", "AgentTicketTaken"]
    for who in (desk.ann, desk.bob, desk.lead):
        mine = AssignTicket(assigned_to=who)
        assert refused(lambda w=who, m=mine: desk.ask(w, ticket, m)) == "already-assigned"  # type: ignore[misc]
    assert desk.ticket(ticket).assigned_to == desk.ann


def test_only_whoever_has_a_ticket_or_a_lead_passes_it_on() -> None:
    desk = SupportDesk()
    ticket = desk.assigned(desk.ann)
    to_cyn = AssignTicket(assigned_to=desk.cyn)
    assert refused(lambda: desk.ask(desk.bob, ticket, to_cyn)) == "already-assigned"
    assert refused(lambda: desk.ask(desk.bob, ticket, UnassignTicket())) == "not-your-ticket"
    desk.ask(desk.ann, ticket, to_cyn)
    desk.ask(desk.lead, ticket, AssignTicket(assigned_to=desk.bob))
    loads = [desk.profile(each).active_tickets for each in (desk.ann, desk.bob, desk.cyn)]
    assert loads == [0, 1, 0]
    desk.ask(desk.bob, ticket, UnassignTicket())
    assert desk.profile(desk.bob).active_tickets == 0
    assert refused(lambda: desk.ask(desk.lead, ticket, UnassignTicket())) == "not-assigned"


def test_whoever_takes_a_ticket_is_there_active_and_not_away() -> None:
    desk = SupportDesk()
    ticket = desk.open()

    def give(to: Any) -> str:
        return refused(lambda: desk.ask(desk.lead, ticket, AssignTicket(assigned_to=to)))

    assert give(desk.customer) == "unknown-assignee"
    away = SetAvailability(status=AgentStatus.AWAY)
    desk.ask(desk.ann, agent_stream(desk.ann), away, SupportAgent)
    assert give(desk.ann) == "assignee-unavailable"
    desk.run(lambda uow: uow.append(AdminUser, desk.bob, [AdminSuspended(reason="left")]))
    assert give(desk.bob) == "assignee-unavailable"
    desk.ask(desk.lead, ticket, AssignTicket(assigned_to=desk.lead))
    assert desk.ticket(ticket).assigned_to == desk.lead


def test_starting_a_ticket_that_nobody_has_claims_it() -> None:
    desk = SupportDesk()
    ticket = desk.open()
    said = desk.ask(desk.ann, ticket, StartWork())
    assert names(said) == ["TicketAssigned", "AgentTicketTaken", "TicketStarted"]
    other = desk.open()
    assert refused(lambda: desk.ask(None, other, StartWork())) == "not-assigned"
    assigned = desk.assigned(desk.bob)
    assert refused(lambda: desk.ask(desk.ann, assigned, StartWork())) == "not-your-ticket"


def test_a_ticket_is_escalated_to_a_strictly_higher_tier_and_from_the_third_to_an_admin() -> None:
    desk = SupportDesk()
    ticket = desk.assigned(desk.ann)

    def escalate(by: Any, to: Any) -> None:
        desk.ask(by, ticket, EscalateTicket(to=to, reason="too hard"))

    assert refused(lambda: escalate(desk.ann, desk.ann)) == "escalation-to-oneself"
    assert refused(lambda: escalate(desk.ann, desk.bob)) == "tier-not-higher"
    escalate(desk.ann, desk.cyn)
    assert refused(lambda: escalate(desk.ann, desk.cyn)) == "tier-not-higher"
    escalate(desk.cyn, desk.dan)
    assert desk.ticket(ticket).assigned_to == desk.ann
    escalate(desk.dan, desk.lead)
    assert refused(lambda: escalate(desk.ann, desk.dan)) == "tier-not-higher"
    assert refused(lambda: desk.ask(desk.dan, ticket, AcceptEscalation())) == "not-your-ticket"
    desk.ask(desk.lead, ticket, AcceptEscalation())
    after = desk.ticket(ticket)
    assert (after.assigned_to, after.escalated_to) == (desk.lead, None)
    assert desk.profile(desk.ann).active_tickets == 0


def test_a_ticket_nobody_has_goes_up_from_whoever_asks() -> None:
    desk = SupportDesk()
    ticket, up = desk.open(), EscalateTicket(to=desk.ann, reason="please look")
    assert refused(lambda: desk.ask(desk.cyn, ticket, up)) == "tier-not-higher"
    said = desk.ask(desk.lead, ticket, up)
    assert said == [TicketEscalated(to=desk.ann, reason="please look")]


def test_whoever_had_a_reopened_ticket_has_it_again_if_they_can() -> None:
    desk = SupportDesk()
    kept, left = desk.ticket_that_is("resolved"), desk.ticket_that_is("resolved")
    assert desk.profile(desk.ann).active_tickets == 0
    desk.ask(desk.lead, kept, ReopenTicket(reason="again"))
    assert desk.profile(desk.ann).active_tickets == 1
    away = SetAvailability(status=AgentStatus.AWAY)
    desk.ask(desk.ann, agent_stream(desk.ann), away, SupportAgent)
    desk.ask(desk.lead, left, ReopenTicket(reason="again"))
    after = desk.ticket(left)
    assert (after.status, after.assigned_to) == (TicketStatus.OPEN, None)


def test_a_department_that_is_gone_has_a_reopened_ticket_no_more() -> None:
    desk = SupportDesk()
    place = desk.department("Small")
    ticket = desk.open(department=place)
    busy = refused(lambda: desk.perform(Department, place, ArchiveDepartment()))
    assert busy == "department-has-tickets"
    desk.ask(desk.lead, ticket, ResolveTicket(resolution="done"))
    desk.perform(Department, place, ArchiveDepartment())
    said = desk.ask(desk.lead, ticket, ReopenTicket(reason="not done"))
    assert said[1:] == [TicketDepartmentChanged(department=None)]
    unknown = ChangeDepartment(department=place)
    assert refused(lambda: desk.ask(desk.lead, ticket, unknown)) == "unknown-department"


def test_a_user_with_an_unresolved_ticket_is_not_deleted_and_a_deleted_one_gets_none() -> None:
    desk = SupportDesk()
    ticket = desk.ticket_that_is("in-progress")
    gone = refused(lambda: desk.perform(User, desk.customer, DeleteUser()))
    assert gone == "unresolved-tickets"
    desk.ask(desk.ann, ticket, ResolveTicket(resolution="done"))
    desk.perform(User, desk.customer, DeleteUser())
    assert refused(desk.open) == "user-gone"
    again = ReopenTicket(reason="not done")
    assert refused(lambda: desk.ask(desk.lead, ticket, again)) == "user-gone"


def test_what_is_set_to_the_same_value_says_nothing() -> None:
    desk = SupportDesk()
    ticket = desk.open(tags=["vip", "vip"])
    assert desk.ticket(ticket).tags == ("vip",)
    for command, events in (
        (TagTicket(tag="vip"), []),
        (TagTicket(tag="late"), [TicketTagged(tag="late")]),
        (UntagTicket(tag="vip"), [TicketUntagged(tag="vip")]),
        (UntagTicket(tag="vip"), []),
        (ChangePriority(priority=Priority.MEDIUM), []),
        (ChangePriority(priority=Priority.HIGH), [TicketPriorityChanged(priority=Priority.HIGH)]),
        (ChangeCategory(category=Category.TRANSACTION), []),
        (ChangeCategory(category=Category.LOAN), [TicketCategoryChanged(category=Category.LOAN)]),
        (ChangeDepartment(department=None), []),
    ):
        assert desk.ask(desk.lead, ticket, command) == events


def test_a_ticket_has_at_most_twenty_tags() -> None:
    desk = SupportDesk()
    ticket = desk.open(tags=[f"t{n}" for n in range(20)])
    assert refused(lambda: desk.ask(desk.lead, ticket, TagTicket(tag="one"))) == "too-many-tags"


def test_the_first_answer_starts_work_on_an_assigned_ticket_only() -> None:
    desk = SupportDesk()
    hello = PostMessage(message="Hello")
    assigned, free = desk.assigned(desk.ann), desk.open()
    assert names(desk.ask(desk.ann, assigned, hello)) == ["MessagePosted", "TicketStarted"]
    assert names(desk.ask(desk.ann, assigned, hello)) == ["MessagePosted"]
    assert names(desk.ask(desk.ann, free, hello)) == ["MessagePosted"]
    assert names(desk.ask(None, desk.assigned(desk.ann), hello)) == ["MessagePosted"]
    assert desk.ticket(assigned).message_count == 2


def test_messages_of_the_system_are_not_counted() -> None:
    desk = SupportDesk()
    ticket = desk.open()
    desk.ask(None, ticket, PostMessage(message="Welcome"))
    desk.ask(desk.ann, ticket, PostMessage(message="Hello"))
    assert (desk.ticket(ticket).messages, desk.ticket(ticket).message_count) == (2, 1)


def test_reading_twice_says_it_once() -> None:
    desk = SupportDesk()
    ticket = desk.open()
    read = MarkMessagesRead()
    assert desk.ask(desk.ann, ticket, read) == []
    desk.ask(None, ticket, PostMessage(message="Welcome"))
    assert names(desk.ask(desk.ann, ticket, read)) == ["MessagesRead"]
    assert desk.ask(desk.bob, ticket, read) == []


def test_a_file_that_is_not_there_goes_with_no_message() -> None:
    desk = SupportDesk()
    post = PostMessage(message="See this", attachment_ids=[desk.environment.new_id()])
    assert refused(lambda: desk.ask(desk.ann, desk.open(), post)) == "unknown-attachment"


def test_an_agent_knows_of_the_own_departments_tickets_of_those_of_nobody_and_of_their_own() -> (
    None
):
    desk = SupportDesk()
    other = desk.department("Other")
    eve, clerk = desk.agent("eve", department=other), desk.admin("clerk")
    ours, theirs = desk.open(department=desk.billing), desk.open(department=other)
    nobodys, anns = desk.open(), desk.assigned(desk.ann)
    to_eve = desk.assigned(desk.ann, department=desk.billing)
    up = desk.agent("max", tier=2, department=other)
    desk.ask(desk.ann, to_eve, EscalateTicket(to=up, reason="too hard"))

    def knows(who: Any) -> list[bool]:
        tickets = (ours, theirs, nobodys, anns, to_eve)
        return [desk.ticket(each).known_to(desk.as_(who)) for each in tickets]

    assert knows(desk.lead) == knows(None) == [True] * 5
    assert knows(desk.ann) == [True, False, True, True, True]
    assert knows(eve) == [False, True, True, False, False]
    assert knows(up) == [False, True, True, False, True]
    assert knows(clerk) == [False, False, True, False, False]


def test_an_assignment_tells_whether_it_was_automatic() -> None:
    desk = SupportDesk()
    ticket = desk.open()
    said = desk.ask(desk.lead, ticket, AssignTicket(assigned_to=desk.ann))
    assert said[0] == TicketAssigned(assigned_to=desk.ann, automatic=False)
    assert desk.ask(desk.ann, ticket, StartWork()) == [TicketStarted()]


def test_a_tag_is_one_in_capital_and_small_letters() -> None:
    desk = SupportDesk()
    ticket = desk.open(tags=["VIP", "vip", "Late"])
    assert desk.ticket(ticket).tags == ("vip", "late")
    assert desk.ask(desk.lead, ticket, TagTicket(tag="Vip")) == []
    desk.ask(desk.lead, ticket, UntagTicket(tag="VIP"))
    assert desk.ticket(ticket).tags == ("late",)


def test_tags_of_an_earlier_release_are_one_as_well() -> None:
    desk = SupportDesk()
    ticket = desk.open()
    tagged = [TicketTagged(tag="VIP"), TicketTagged(tag="vip")]
    desk.run(lambda uow: uow.append(Ticket, ticket, tagged))
    assert desk.ticket(ticket).tags == ("vip",)
