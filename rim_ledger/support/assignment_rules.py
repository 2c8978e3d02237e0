"""Who has a ticket: whom it can be given to, and how many each agent has."""

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
    """The profile of an admin who is an agent."""
    agent = uow.find(SupportAgent, agent_stream(admin))
    return None if agent is None or agent.archived else agent


def tier_of(uow: UnitOfWork, admin: UUID) -> int:
    """How high somebody stands at the support desk."""
    agent = profile(uow, admin)
    return agent.tier if agent else ABOVE_AGENTS


def can_take(uow: UnitOfWork, admin: UUID) -> bool:
    """Whether somebody can be given a ticket: active, and not away."""
    person, agent = uow.find(AdminUser, admin), profile(uow, admin)
    active = person is not None and person.status is AdminStatus.ACTIVE
    return active and (agent is None or agent.status is not AgentStatus.AWAY)


def require_taker(uow: UnitOfWork, admin: UUID, pointer: str) -> None:
    """Refuse to give a ticket to somebody who is not there, or not now."""
    if uow.find(AdminUser, admin) is None:
        raise Invalid("unknown-assignee", f"There is no agent or admin {admin}.", pointer)
    words = "Whoever takes a ticket is active, and not away."
    require(can_take(uow, admin), "assignee-unavailable", words)


def require_holder(uow: UnitOfWork, holder: UUID) -> None:
    """Refuse whoever neither has a ticket nor may act on every ticket."""
    if uow.stamp.actor.id != holder and not uow.may("tickets.all", "write"):
        raise Forbidden("not-your-ticket", "This is up to whoever has the ticket, or to a lead.")


def open_department(uow: UnitOfWork, id: UUID) -> Department:
    """A department that is not archived."""
    department = uow.find(Department, id)
    if department is None or department.archived:
        raise Invalid("unknown-department", f"There is no department {id}.", "/department")
    return department


def keep_loads(uow: UnitOfWork, before: Ticket) -> None:
    """Tell the agents what a decision took from them, and what it gave them."""
    left, taken = _holder(before), _holder(uow.read(Ticket, before.id))
    if left == taken:
        return
    for admin, event in ((left, AgentTicketLeft), (taken, AgentTicketTaken)):
        if admin and profile(uow, admin):
            uow.append(SupportAgent, agent_stream(admin), [event(ticket_id=before.id)])


def _holder(ticket: Ticket) -> UUID | None:
    return ticket.assigned_to if ticket.active else None
