"""Handling a ticket: who takes it, whom it is passed to, and how it ends."""

from collections.abc import Iterable

from rim_ledger.book import Book
from rim_ledger.core import Command, Event, Refused, require, require_legal
from rim_ledger.lending.user import User
from rim_ledger.support.deadlines import SETTLED_AFTER, overdue, resolution_due, wind
from rim_ledger.support.department import Department
from rim_ledger.support.holding import (
    can_take,
    keep_loads,
    profile,
    require_holder,
    require_taker,
    tier_of,
)
from rim_ledger.support.ticket import (
    LEGAL,
    Ticket,
    TicketAssigned,
    TicketClosed,
    TicketDepartmentChanged,
    TicketEscalated,
    TicketEscalationAccepted,
    TicketReopened,
    TicketResolved,
    TicketStarted,
    TicketUnassigned,
)
from rim_ledger.values import Id, Note


class AssignTicket(Command[Ticket]):
    """Give a ticket to an agent or admin; to oneself, this claims it. An assigned one is passed
    on by whoever has it, or by a lead; nobody takes it for themselves."""

    assigned_to: Id

    def reaches(self, aggregate: Ticket, book: Book) -> bool:
        """Everybody saw a ticket of no department until it was claimed, so whoever claims it too
        late hears that."""
        claims = aggregate.active and self.assigned_to == book.stamp.actor.id
        return (claims and aggregate.department is None) or super().reaches(aggregate, book)

    def decide(self, aggregate: Ticket, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "assign", LEGAL)
        caller, has = book.stamp.actor.id, aggregate.assigned_to
        if has is not None:
            passes = caller == has or book.may("tickets.all", "write")
            free = passes and self.assigned_to not in (caller, has)
            require(free, "already-assigned", "Somebody has this ticket already.")
        require_taker(book, self.assigned_to, "/assignedTo")
        yield TicketAssigned(assigned_to=self.assigned_to)
        keep_loads(book, aggregate)


class UnassignTicket(Command[Ticket]):
    """Put a ticket back among those that nobody has; it is open again."""

    def decide(self, aggregate: Ticket, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "unassign", LEGAL)
        if aggregate.assigned_to is None:
            raise _not_assigned()
        require_holder(book, aggregate.assigned_to)
        yield TicketUnassigned()
        keep_loads(book, aggregate)


class StartWork(Command[Ticket]):
    """Begin to work on an open ticket; one that nobody has is claimed by this."""

    def decide(self, aggregate: Ticket, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "start", LEGAL)
        if aggregate.assigned_to is not None:
            require_holder(book, aggregate.assigned_to)
        elif (caller := book.stamp.admin) is not None:
            yield from AssignTicket(assigned_to=caller).decide(aggregate, book)
        else:
            raise _not_assigned()
        yield TicketStarted()


class EscalateTicket(Command[Ticket]):
    """Ask somebody of a higher tier to take over, for a reason: from the third tier, an admin."""

    to: Id
    reason: Note

    def decide(self, aggregate: Ticket, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "escalate", LEGAL)
        caller = book.stamp.actor.id
        oneself = "A ticket is escalated to somebody else."
        require(self.to != caller, "escalation-to-oneself", oneself)
        require_taker(book, self.to, "/to")
        higher = tier_of(book, self.to) > _tier_now(aggregate, book)
        require(higher, "tier-not-higher", "A ticket is escalated to a strictly higher tier.")
        yield TicketEscalated(to=self.to, reason=self.reason)


class AcceptEscalation(Command[Ticket]):
    """Take over a ticket that was escalated to oneself; a lead may accept for somebody."""

    def decide(self, aggregate: Ticket, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "accept", LEGAL)
        to = aggregate.escalated_to
        assert to is not None, "a ticket is escalated to somebody"
        require_holder(book, to)
        require_taker(book, to, "/escalatedTo")
        yield TicketEscalationAccepted(assigned_to=to)
        keep_loads(book, aggregate)


class ResolveTicket(Command[Ticket]):
    """Say how it was resolved. For 72 hours it can be reopened; then it closes."""

    resolution: Note

    def decide(self, aggregate: Ticket, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "resolve", LEGAL)
        yield from overdue(aggregate, book.stamp.at)
        yield TicketResolved(resolution=self.resolution)
        keep_loads(book, aggregate)
        wind(book, aggregate.id)


class ReopenTicket(Command[Ticket]):
    """It was not resolved after all, within 72 hours. Whoever had it has it again, if they can;
    a department that is gone has it no more."""

    reason: Note

    def decide(self, aggregate: Ticket, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "reopen", LEGAL)
        assert aggregate.resolved_at is not None, "a resolved ticket was resolved some time"
        late = "It was resolved more than 72 hours ago; please open another ticket."
        require(book.now <= aggregate.resolved_at + SETTLED_AFTER, "too-late-to-reopen", late)
        book.read(User, aggregate.customer_id).require_present()
        yield TicketReopened(reason=self.reason, resolution_due_at=resolution_due(book))
        if aggregate.department and book.read(Department, aggregate.department).archived:
            yield TicketDepartmentChanged(department=None)
        if aggregate.assigned_to and not can_take(book, aggregate.assigned_to):
            yield TicketUnassigned()
        keep_loads(book, aggregate)
        wind(book, aggregate.id)


class CloseTicket(Command[Ticket]):
    """Close a resolved ticket before the clock does. Nothing happens to it any more."""

    def decide(self, aggregate: Ticket, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "close", LEGAL)
        yield TicketClosed()
        wind(book, aggregate.id)


def _not_assigned() -> Refused:
    return Refused("not-assigned", "Nobody has this ticket.")


def _tier_now(ticket: Ticket, book: Book) -> int:
    """The tier of whoever has the ticket; while nobody has it, that of an agent who asks."""
    holder = ticket.escalated_to or ticket.assigned_to
    if holder is not None:
        return tier_of(book, holder)
    caller = book.stamp.admin
    asks = profile(book, caller) if caller else None
    return asks.tier if asks else 0
