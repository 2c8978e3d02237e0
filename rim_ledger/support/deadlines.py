"""Deadlines of a ticket: response, resolution, and automatic closing."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.support.ticket import (
    Ticket,
    TicketClosed,
    TicketResolutionOverdue,
    TicketResponseOverdue,
    TicketStatus,
)
from rim_ledger.system.config import setting

REMINDER: Final = "ticket"
CLOSED_AFTER: Final = timedelta(hours=72)
"""How long a resolved ticket may be reopened; then it closes."""


def due_at(uow: UnitOfWork, hours: str) -> datetime:
    """Return a deadline, in so many hours as the setting says: `firstResponseHours` until an agent
    must have answered, or `resolutionHours` until the ticket must be resolved."""
    return uow.stamp.at + timedelta(hours=setting(uow, "support", hours))


def overdue(ticket: Ticket, at: datetime) -> Iterator[Event]:
    """Yield the deadlines missed by a time that the ticket has not recorded yet."""
    if not ticket.active:
        return
    if not (ticket.responded_at or ticket.response_overdue) and at > ticket.response_due_at:
        yield TicketResponseOverdue()
    if not ticket.resolution_overdue and at > ticket.resolution_due_at:
        yield TicketResolutionOverdue()


def next_deadline(ticket: Ticket) -> datetime | None:
    """Return the next deadline; None if there is none."""
    if ticket.status is TicketStatus.RESOLVED and ticket.resolved_at:
        return ticket.resolved_at + CLOSED_AFTER
    times = []
    if ticket.active and not (ticket.responded_at or ticket.response_overdue):
        times.append(ticket.response_due_at)
    if ticket.active and not ticket.resolution_overdue:
        times.append(ticket.resolution_due_at)
    return min(times, default=None)


def schedule_check(uow: UnitOfWork, id: UUID) -> None:
    """Schedule the reminder for the next deadline of a ticket, or cancel it."""
    if at := next_deadline(uow.read(Ticket, id)):
        uow.remind(REMINDER, id, at)
    else:
        uow.forget(REMINDER, id)


@decision
def check_ticket(uow: UnitOfWork, id: UUID) -> None:
    """Run the reminder: record missed deadlines, and close a ticket that stayed resolved."""
    uow.act_upon(id)
    ticket, at = uow.read(Ticket, id), uow.stamp.at
    uow.append(Ticket, id, overdue(ticket, at))
    if ticket.status is TicketStatus.RESOLVED and (due := next_deadline(ticket)) and at >= due:
        uow.append(Ticket, id, [TicketClosed()])
    schedule_check(uow, id)
