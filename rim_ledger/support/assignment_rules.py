"""Rules of assignment: whom a ticket can be assigned to, and how many each agent has."""

from typing import Final
from uuid import UUID

from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.engine.refusals import Forbidden, Invalid, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.support.department import Department
from rim_ledger.support.support_agent import (
    AgentStatus,
    AgentTicketLeft,
    AgentTicketTaken,
    SupportAgent,
    agent_stream,
)
from rim_ledger.support.ticket import Ticket

ABOVE_AGENTS: Final = 4
"""The tier of an admin who is no agent: above the third."""


def profile(uow: UnitOfWork, admin: UUID) -> SupportAgent | None:
    """Return the agent profile of an admin; None if there is none."""
    agent = uow.find(SupportAgent, agent_stream(admin))
    return None if agent is None or agent.archived else agent


def tier_of(uow: UnitOfWork, admin: UUID) -> int:
    """Return the support tier of an admin."""
    agent = profile(uow, admin)
    return agent.tier if agent else ABOVE_AGENTS


def can_take(uow: UnitOfWork, admin: UUID) -> bool:
    """Return whether a ticket can be assigned to an admin: active, and not away."""
    person, agent = uow.find(AdminUser, admin), profile(uow, admin)
    active = person is not None and person.status is AdminStatus.ACTIVE
    return active and (agent is None or agent.status is not AgentStatus.AWAY)


def require_assignable(uow: UnitOfWork, admin: UUID, pointer: str) -> None:
    """Refuse an assignee who does not exist, or is not available."""
    if uow.find(AdminUser, admin) is None:
        raise Invalid("unknown-assignee", f"There is no agent or admin {admin}.", pointer)
    words = "Whoever takes a ticket is active, and not away."
    require(can_take(uow, admin), "assignee-unavailable", words)


def require_assignee(uow: UnitOfWork, holder: UUID) -> None:
    """Refuse a caller who neither has the ticket nor may act on all tickets."""
    if uow.stamp.actor.id != holder and not uow.may("tickets.all", "write"):
        raise Forbidden("not-your-ticket", "This is up to whoever has the ticket, or to a lead.")


def open_department(uow: UnitOfWork, id: UUID) -> Department:
    """Return a department. Raises Invalid if it does not exist or is archived."""
    department = uow.find(Department, id)
    if department is None or department.archived:
        raise Invalid("unknown-department", f"There is no department {id}.", "/department")
    return department


def record_loads(uow: UnitOfWork, before: Ticket) -> None:
    """Record with the agents that a decision took the ticket from one and gave it to another."""
    left, taken = _holder(before), _holder(uow.read(Ticket, before.id))
    if left == taken:
        return
    for admin, event in ((left, AgentTicketLeft), (taken, AgentTicketTaken)):
        if admin and profile(uow, admin):
            uow.append(SupportAgent, agent_stream(admin), [event(ticket_id=before.id)])


def _holder(ticket: Ticket) -> UUID | None:
    return ticket.assigned_to if ticket.active else None
