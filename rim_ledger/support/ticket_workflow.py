"""The workflow of a ticket: assigned, started, escalated, resolved, reopened, closed."""

from collections.abc import Iterable

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, perform
from rim_ledger.engine.refusals import Refused, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.support.assignment import (
    can_take,
    profile,
    record_loads,
    require_assignable,
    require_assignee,
    tier_of,
)
from rim_ledger.support.deadlines import CLOSED_AFTER, due_at, overdue, schedule_check
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


class _Step(Command[Ticket]):
    """A step of the workflow: the load of agents and the next deadline follow from it."""

    def follow(self, before: Ticket, uow: UnitOfWork) -> None:
        record_loads(uow, before)
        schedule_check(uow, before.id)


class AssignTicket(_Step):
    """Assign a ticket to an agent or admin; to oneself, this claims it. A ticket that is assigned
    already is reassigned by its assignee or a lead, and not to themselves."""

    assigned_to: Id

    def reaches(self, aggregate: Ticket, uow: UnitOfWork) -> bool:
        """A ticket without department was visible to all until it was claimed, so a late claim is
        told that it is assigned, instead of not found."""
        claims = aggregate.active and self.assigned_to == uow.stamp.actor.id
        return (claims and aggregate.department is None) or super().reaches(aggregate, uow)

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "assign", LEGAL)
        caller, has = uow.stamp.actor.id, aggregate.assigned_to
        if has is not None:
            passes = caller == has or uow.may("tickets.all", "write")
            free = passes and self.assigned_to not in (caller, has)
            require(free, "already-assigned", "Somebody has this ticket already.")
        require_assignable(uow, self.assigned_to, "/assignedTo")
        yield TicketAssigned(assigned_to=self.assigned_to)


class UnassignTicket(_Step):
    """Remove the assignee of a ticket; it is open again."""

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "unassign", LEGAL)
        if aggregate.assigned_to is None:
            raise _not_assigned()
        require_assignee(uow, aggregate.assigned_to)
        yield TicketUnassigned()


class StartWork(Command[Ticket]):
    """Start to work on an open ticket; an unassigned one is claimed by this."""

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "start", LEGAL)
        if aggregate.assigned_to is not None:
            require_assignee(uow, aggregate.assigned_to)
        elif (caller := uow.stamp.admin) is not None:
            perform(uow, Ticket, aggregate.id, AssignTicket(assigned_to=caller))
        else:
            raise _not_assigned()
        yield TicketStarted()


class EscalateTicket(_Step):
    """Ask an agent of a higher tier to take over, for a reason: from the third tier, an admin."""

    to: Id
    reason: Note

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "escalate", LEGAL)
        caller = uow.stamp.actor.id
        oneself = "A ticket is escalated to somebody else."
        require(self.to != caller, "escalation-to-oneself", oneself)
        require_assignable(uow, self.to, "/to")
        higher = tier_of(uow, self.to) > _tier_now(aggregate, uow)
        require(higher, "tier-not-higher", "A ticket is escalated to a strictly higher tier.")
        yield TicketEscalated(to=self.to, reason=self.reason)


class AcceptEscalation(_Step):
    """Take over a ticket that was escalated to oneself; a lead may accept for another."""

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "accept", LEGAL)
        to = aggregate.escalated_to
        assert to is not None, "a ticket is escalated to somebody"
        require_assignee(uow, to)
        require_assignable(uow, to, "/escalatedTo")
        yield TicketEscalationAccepted(assigned_to=to)


class ResolveTicket(_Step):
    """Resolve a ticket. For 72 hours it can be reopened; then it closes."""

    resolution: Note

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "resolve", LEGAL)
        yield from overdue(aggregate, uow.stamp.at)
        yield TicketResolved(resolution=self.resolution)


class ReopenTicket(_Step):
    """Reopen a ticket within 72 hours after it was resolved. Its assignee stays if available; an
    archived department is removed."""

    reason: Note

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "reopen", LEGAL)
        assert aggregate.resolved_at is not None, "a resolved ticket was resolved some time"
        late = "It was resolved more than 72 hours ago; please open another ticket."
        require(uow.now <= aggregate.resolved_at + CLOSED_AFTER, "too-late-to-reopen", late)
        uow.read(User, aggregate.customer_id).require_present()
        place, has = aggregate.department, aggregate.assigned_to
        gone = place is not None and uow.read(Department, place).archived
        away = has is not None and not can_take(uow, has)
        yield TicketReopened(reason=self.reason, resolution_due_at=due_at(uow, "resolutionHours"))
        if gone:
            yield TicketDepartmentChanged(department=None)
        if away:
            yield TicketUnassigned()


class CloseTicket(_Step):
    """Close a resolved ticket before it closes automatically. A closed ticket is final."""

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "close", LEGAL)
        yield TicketClosed()


def _not_assigned() -> Refused:
    return Refused("not-assigned", "Nobody has this ticket.")


def _tier_now(ticket: Ticket, uow: UnitOfWork) -> int:
    """Return the tier of the assignee; for an unassigned ticket, that of the calling agent."""
    holder = ticket.escalated_to or ticket.assigned_to
    if holder is not None:
        return tier_of(uow, holder)
    caller = uow.stamp.admin
    asks = profile(uow, caller) if caller else None
    return asks.tier if asks else 0
