"""Handling a ticket: who takes it, whom it is passed to, and how it ends."""

from collections.abc import Iterable

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, perform
from rim_ledger.engine.refusals import Refused, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.support.assignment_rules import (
    can_take,
    keep_loads,
    profile,
    require_holder,
    require_taker,
    tier_of,
)
from rim_ledger.support.deadlines import SETTLED_AFTER, overdue, resolution_due, schedule_check
from rim_ledger.support.department import Department
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

    def reaches(self, aggregate: Ticket, uow: UnitOfWork) -> bool:
        """Everybody saw a ticket of no department until it was claimed, so whoever claims it too
        late hears that."""
        claims = aggregate.active and self.assigned_to == uow.stamp.actor.id
        return (claims and aggregate.department is None) or super().reaches(aggregate, uow)

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "assign", LEGAL)
        caller, has = uow.stamp.actor.id, aggregate.assigned_to
        if has is not None:
            passes = caller == has or uow.may("tickets.all", "write")
            free = passes and self.assigned_to not in (caller, has)
            require(free, "already-assigned", "Somebody has this ticket already.")
        require_taker(uow, self.assigned_to, "/assignedTo")
        yield TicketAssigned(assigned_to=self.assigned_to)

    def follow(self, before: Ticket, uow: UnitOfWork) -> None:
        keep_loads(uow, before)


class UnassignTicket(Command[Ticket]):
    """Put a ticket back among those that nobody has; it is open again."""

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "unassign", LEGAL)
        if aggregate.assigned_to is None:
            raise _not_assigned()
        require_holder(uow, aggregate.assigned_to)
        yield TicketUnassigned()

    def follow(self, before: Ticket, uow: UnitOfWork) -> None:
        keep_loads(uow, before)


class StartWork(Command[Ticket]):
    """Begin to work on an open ticket; one that nobody has is claimed by this."""

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "start", LEGAL)
        if aggregate.assigned_to is not None:
            require_holder(uow, aggregate.assigned_to)
        elif (caller := uow.stamp.admin) is not None:
            perform(uow, Ticket, aggregate.id, AssignTicket(assigned_to=caller))
        else:
            raise _not_assigned()
        yield TicketStarted()


class EscalateTicket(Command[Ticket]):
    """Ask somebody of a higher tier to take over, for a reason: from the third tier, an admin."""

    to: Id
    reason: Note

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "escalate", LEGAL)
        caller = uow.stamp.actor.id
        oneself = "A ticket is escalated to somebody else."
        require(self.to != caller, "escalation-to-oneself", oneself)
        require_taker(uow, self.to, "/to")
        higher = tier_of(uow, self.to) > _tier_now(aggregate, uow)
        require(higher, "tier-not-higher", "A ticket is escalated to a strictly higher tier.")
        yield TicketEscalated(to=self.to, reason=self.reason)


class AcceptEscalation(Command[Ticket]):
    """Take over a ticket that was escalated to oneself; a lead may accept for somebody."""

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "accept", LEGAL)
        to = aggregate.escalated_to
        assert to is not None, "a ticket is escalated to somebody"
        require_holder(uow, to)
        require_taker(uow, to, "/escalatedTo")
        yield TicketEscalationAccepted(assigned_to=to)

    def follow(self, before: Ticket, uow: UnitOfWork) -> None:
        keep_loads(uow, before)


class ResolveTicket(Command[Ticket]):
    """Say how it was resolved. For 72 hours it can be reopened; then it closes."""

    resolution: Note

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "resolve", LEGAL)
        yield from overdue(aggregate, uow.stamp.at)
        yield TicketResolved(resolution=self.resolution)

    def follow(self, before: Ticket, uow: UnitOfWork) -> None:
        keep_loads(uow, before)
        schedule_check(uow, before.id)


class ReopenTicket(Command[Ticket]):
    """It was not resolved after all, within 72 hours. Whoever had it has it again, if they can;
    a department that is gone has it no more."""

    reason: Note

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "reopen", LEGAL)
        assert aggregate.resolved_at is not None, "a resolved ticket was resolved some time"
        late = "It was resolved more than 72 hours ago; please open another ticket."
        require(uow.now <= aggregate.resolved_at + SETTLED_AFTER, "too-late-to-reopen", late)
        uow.read(User, aggregate.customer_id).require_present()
        place, has = aggregate.department, aggregate.assigned_to
        gone = place is not None and uow.read(Department, place).archived
        away = has is not None and not can_take(uow, has)
        yield TicketReopened(reason=self.reason, resolution_due_at=resolution_due(uow))
        if gone:
            yield TicketDepartmentChanged(department=None)
        if away:
            yield TicketUnassigned()

    def follow(self, before: Ticket, uow: UnitOfWork) -> None:
        keep_loads(uow, before)
        schedule_check(uow, before.id)


class CloseTicket(Command[Ticket]):
    """Close a resolved ticket before the clock does. Nothing happens to it any more."""

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "close", LEGAL)
        yield TicketClosed()

    def follow(self, before: Ticket, uow: UnitOfWork) -> None:
        schedule_check(uow, before.id)


def _not_assigned() -> Refused:
    return Refused("not-assigned", "Nobody has this ticket.")


def _tier_now(ticket: Ticket, uow: UnitOfWork) -> int:
    """The tier of whoever has the ticket; while nobody has it, that of an agent who asks."""
    holder = ticket.escalated_to or ticket.assigned_to
    if holder is not None:
        return tier_of(uow, holder)
    caller = uow.stamp.admin
    asks = profile(uow, caller) if caller else None
    return asks.tier if asks else 0
