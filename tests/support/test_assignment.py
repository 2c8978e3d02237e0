"""Automatic assignment: the most urgent and oldest first, to whoever has fewest."""

from datetime import timedelta
from uuid import UUID

from rim_ledger.admin.admin_user import AdminSuspended, AdminUser
from rim_ledger.support.assignment import AutoAssign, assign_waiting
from rim_ledger.support.staff_commands import SetAvailability
from rim_ledger.support.support_agent import AgentStatus, SupportAgent, agent_stream
from rim_ledger.support.ticket import Priority, TicketAssigned
from tests.support.desk import SupportDesk


def set_(desk: SupportDesk, agent: UUID, status: AgentStatus) -> list[UUID]:
    """Change an availability; the tickets that were given away by that, in order."""
    stream = agent_stream(agent)
    desk.ask(agent, stream, SetAvailability(status=status), SupportAgent)
    return given(desk, 0)


def given(desk: SupportDesk, first: int) -> list[UUID]:
    log = desk.log[first:]
    return [each.originator_id for each in log if isinstance(each.event, TicketAssigned)]


def assign(desk: SupportDesk, department: UUID | None = None) -> int:
    uow = desk.uow()
    count = AutoAssign(department=department).assign(uow)
    desk.keep(uow)
    return count


def send_away(desk: SupportDesk, *agents: UUID) -> None:
    for agent in agents:
        set_(desk, agent, AgentStatus.AWAY)


def test_the_most_urgent_go_first_and_then_the_oldest() -> None:
    desk = SupportDesk()
    send_away(desk, desk.bob, desk.cyn, desk.dan)
    low = desk.open(priority=Priority.LOW)
    desk.environment.time += timedelta(minutes=1)
    old = desk.open(priority=Priority.HIGH)
    desk.environment.time += timedelta(minutes=1)
    new, urgent = desk.open(priority=Priority.HIGH), desk.open(priority=Priority.URGENT)
    assert assign(desk) == 4
    assert given(desk, 0) == [urgent, old, new, low]
    assert assign(desk) == 0


def test_whoever_has_fewest_is_next_and_then_whoever_waited_longest() -> None:
    desk = SupportDesk()
    send_away(desk, desk.dan)
    desk.assigned(desk.ann)
    desk.environment.time += timedelta(minutes=1)
    first = desk.open()
    assert assign(desk) == 1
    assert desk.ticket(first).assigned_to in (desk.bob, desk.cyn)
    for _ in range(7):
        desk.open()
    assert assign(desk) == 7
    loads = [desk.profile(each).active_tickets for each in (desk.ann, desk.bob, desk.cyn)]
    assert loads == [3, 3, 3]
    for agent in (desk.cyn, desk.bob, desk.ann):
        desk.environment.time += timedelta(minutes=1)
        desk.assigned(agent)
    last = desk.open()
    assert assign(desk) == 1
    assert desk.ticket(last).assigned_to == desk.cyn


def test_a_departments_ticket_goes_to_its_own_agents_or_waits() -> None:
    desk = SupportDesk()
    cards = desk.department("Cards")
    card, bill = desk.open(department=cards), desk.open(department=desk.billing)
    assert assign(desk, cards) == 0
    eve = desk.agent("eve", department=cards)
    assert assign(desk, cards) == 1
    assert desk.ticket(card).assigned_to == eve
    assert desk.ticket(bill).assigned_to is None
    assert assign(desk) == 1
    assert desk.ticket(bill).assigned_to in (desk.ann, desk.bob, desk.cyn, desk.dan)


def test_nobody_who_is_busy_away_or_suspended_is_given_anything() -> None:
    desk = SupportDesk()
    send_away(desk, desk.bob)
    set_(desk, desk.cyn, AgentStatus.BUSY)
    desk.run(lambda uow: uow.append(AdminUser, desk.dan, [AdminSuspended(reason="left")]))
    for _ in range(3):
        desk.open()
    assert assign(desk) == 3
    assert desk.profile(desk.ann).active_tickets == 3
    send_away(desk, desk.ann)
    desk.open()
    assert assign(desk) == 0


def test_whoever_becomes_available_is_given_what_waits() -> None:
    desk = SupportDesk()
    send_away(desk, desk.ann, desk.bob, desk.cyn, desk.dan)
    tickets = [desk.open() for _ in range(3)]
    assert set_(desk, desk.ann, AgentStatus.BUSY) == []
    assert set_(desk, desk.ann, AgentStatus.AVAILABLE) == tickets
    assert desk.profile(desk.ann).active_tickets == 3


def test_a_ticket_is_waiting_only_while_nobody_has_it_and_something_is_to_be_done() -> None:
    desk = SupportDesk()
    for status in ("open", "in-progress", "escalated", "resolved", "closed"):
        desk.ticket_that_is(status)
    uow = desk.uow()
    assert assign_waiting(uow) == 0
    assert uow.events == []
