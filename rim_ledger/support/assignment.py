"""Assignment of tickets: the rules, the load of each agent, and automatic assignment."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.engine.command import Form
from rim_ledger.engine.refusals import Forbidden, Invalid, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.support.department import Department
from rim_ledger.support.support_agent import (
    AVAILABLE,
    AgentStatus,
    AgentTicketLeft,
    AgentTicketTaken,
    SupportAgent,
    agent_stream,
)
from rim_ledger.support.ticket import URGENCY, Ticket, TicketAssigned, waiting_in
from rim_ledger.values import Id

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


TICKETS_MAX: Final = 500
"""Tickets assigned in one decision."""
AGENTS_MAX: Final = 10_000


class AutoAssign(Form):
    """Assign waiting tickets to available agents: the most urgent first, then the oldest; each to
    the agent with the fewest tickets, then to the one whose last assignment is the oldest. A ticket
    of a department goes to its own agents. At most 500 at once."""

    department: Id | None = None

    def assign(self, uow: UnitOfWork) -> int:
        """Assign; return how many tickets were assigned."""
        if self.department:
            open_department(uow, self.department)
        return assign_waiting(uow, self.department)


def assign_waiting(uow: UnitOfWork, department: UUID | None = None) -> int:
    """Assign the waiting tickets of one department or of all; return how many."""
    agents = {
        agent.id: agent
        for agent in _available(uow)
        if department is None or agent.department == department
    }
    given = 0
    for ticket in _waiting(uow, agents.values(), department):
        able = [a for a in agents.values() if ticket.department in (None, a.department)]
        if not able:
            continue
        chosen = min(able, key=_by_load).id
        uow.append(Ticket, ticket.id, [TicketAssigned(assigned_to=chosen, automatic=True)])
        record_loads(uow, ticket)
        agents[chosen] = uow.read(SupportAgent, agent_stream(chosen))
        given += 1
    return given


def _available(uow: UnitOfWork) -> list[SupportAgent]:
    streams = uow.listed(AVAILABLE, AGENTS_MAX)
    uow.look_ahead(partial(uow.find, SupportAgent, each) for each in streams)
    agents = [uow.read(SupportAgent, each) for each in streams]
    uow.look_ahead(partial(uow.find, AdminUser, agent.id) for agent in agents)
    return [agent for agent in agents if can_take(uow, agent.id)]


def _waiting(
    uow: UnitOfWork, agents: Iterable[SupportAgent], department: UUID | None
) -> list[Ticket]:
    """Return the waiting tickets that some agent could take, in the order of assignment."""
    places: set[UUID | None] = {agent.department for agent in agents}
    if places and department is None:
        places.add(None)
    uow.look_ahead(partial(uow.listed, waiting_in(each), TICKETS_MAX) for each in places)
    lists = [uow.listed(waiting_in(each), TICKETS_MAX) for each in places]
    found = [ticket for each in lists for ticket in each]
    uow.look_ahead(partial(uow.find, Ticket, each) for each in found)
    tickets = [uow.read(Ticket, each) for each in found]
    tickets.sort(key=lambda each: (URGENCY.index(each.priority), each.created_at, each.id))
    return tickets[:TICKETS_MAX]


def _by_load(agent: SupportAgent) -> tuple[int, bool, datetime, UUID]:
    last = agent.last_assigned_at
    return agent.active_tickets, last is not None, last or agent.created_at, agent.id
