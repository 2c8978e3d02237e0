"""The clocks of a ticket: answer in 4 hours, resolution in 48, closing 72 hours after that."""

from datetime import timedelta
from uuid import UUID

import pytest

from rim_ledger.support.conversation import PostMessage
from rim_ledger.support.deadlines import REMINDER
from rim_ledger.support.ticket import (
    TicketClosed,
    TicketResolutionOverdue,
    TicketResponseOverdue,
    TicketStatus,
)
from rim_ledger.support.ticket_workflow import CloseTicket, ReopenTicket, ResolveTicket
from rim_ledger.system.config import SetConfig
from tests.lending.desk import refused
from tests.spec import START, names
from tests.support.desk import SupportDesk


@pytest.fixture
def desk() -> SupportDesk:
    return SupportDesk()


def pass_hours(desk: SupportDesk, hours: float) -> None:
    desk.environment.time += timedelta(hours=hours)


def reminded(desk: SupportDesk, ticket: UUID) -> float | None:
    """Hours from the start until the clock looks at the ticket."""
    at = desk.reminders[REMINDER, ticket]
    return None if at is None else (at - START) / timedelta(hours=1)


def test_no_answer_and_no_resolution_in_time_are_told_once_each(desk: SupportDesk) -> None:
    ticket = desk.open()
    assert reminded(desk, ticket) == 4
    pass_hours(desk, 4)
    assert desk.tick(ticket) == []
    pass_hours(desk, 0.01)
    assert desk.tick(ticket) == [TicketResponseOverdue()]
    assert desk.tick(ticket) == []
    assert (desk.ticket(ticket).breached, reminded(desk, ticket)) == (True, 48)
    pass_hours(desk, 48)
    assert desk.tick(ticket) == [TicketResolutionOverdue()]
    assert reminded(desk, ticket) is None


def test_an_answer_in_time_stops_the_first_clock(desk: SupportDesk) -> None:
    ticket = desk.open()
    desk.ask(None, ticket, PostMessage(message="Your ticket was opened."))
    assert reminded(desk, ticket) == 4
    desk.ask(desk.ann, ticket, PostMessage(message="Hello"))
    assert reminded(desk, ticket) == 48
    pass_hours(desk, 5)
    assert desk.tick(ticket) == []
    assert not desk.ticket(ticket).breached


def test_what_comes_too_late_says_so_before_the_clock_does(desk: SupportDesk) -> None:
    answered, resolved = desk.open(), desk.open()
    pass_hours(desk, 5)
    said = desk.ask(desk.ann, answered, PostMessage(message="Hello"))
    assert names(said) == ["TicketResponseOverdue", "MessagePosted"]
    pass_hours(desk, 50)
    said = desk.ask(desk.lead, resolved, ResolveTicket(resolution="done"))
    late = ["TicketResponseOverdue", "TicketResolutionOverdue", "TicketResolved"]
    assert names(said) == late
    assert desk.ticket(resolved).breached


def test_a_resolved_ticket_closes_after_72_hours(desk: SupportDesk) -> None:
    ticket = desk.ticket_that_is("resolved")
    pass_hours(desk, 71.9)
    assert desk.tick(ticket) == []
    assert reminded(desk, ticket) == 72
    pass_hours(desk, 0.1)
    assert desk.tick(ticket) == [TicketClosed()]
    assert reminded(desk, ticket) is None
    assert desk.ticket(ticket).closed_at == desk.environment.time


def test_a_ticket_closed_by_hand_is_left_alone_by_the_clock(desk: SupportDesk) -> None:
    ticket = desk.ticket_that_is("resolved")
    desk.ask(desk.ann, ticket, CloseTicket())
    assert reminded(desk, ticket) is None
    pass_hours(desk, 100)
    assert desk.tick(ticket) == []


def test_a_reopened_ticket_has_48_hours_again_and_is_not_reopened_after_72(
    desk: SupportDesk,
) -> None:
    early, late = desk.ticket_that_is("resolved"), desk.ticket_that_is("resolved")
    pass_hours(desk, 72)
    desk.ask(desk.lead, early, ReopenTicket(reason="not done"))
    assert reminded(desk, early) == 120
    pass_hours(desk, 0.01)
    again = ReopenTicket(reason="not done")
    assert refused(lambda: desk.ask(desk.lead, late, again)) == "too-late-to-reopen"
    assert desk.ticket(late).status is TicketStatus.RESOLVED


def test_the_hours_are_the_configured_ones_for_what_is_opened_later(desk: SupportDesk) -> None:
    before = desk.open()
    for key, hours in (("firstResponseHours", 1), ("resolutionHours", 2)):
        desk.run(SetConfig(category="support", key=key, value=hours).work)
    ticket = desk.ticket(desk.open())
    assert ticket.response_due_at == START + timedelta(hours=1)
    assert ticket.resolution_due_at == START + timedelta(hours=2)
    assert reminded(desk, before) == 4
