"""Automatic assignment of waiting tickets to available agents."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.engine.command import Form
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.support.assignment_rules import can_take, open_department, record_loads
from rim_ledger.support.support_agent import AVAILABLE, SupportAgent, agent_stream
from rim_ledger.support.ticket import URGENCY, Ticket, TicketAssigned, waiting_in
from rim_ledger.values import Id

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
    return sorted((uow.read(Ticket, each) for each in found), key=_by_urgency)[:TICKETS_MAX]


def _by_urgency(ticket: Ticket) -> tuple[int, datetime, UUID]:
    return URGENCY.index(ticket.priority), ticket.created_at, ticket.id


def _by_load(agent: SupportAgent) -> tuple[int, bool, datetime, UUID]:
    last = agent.last_assigned_at
    return agent.active_tickets, last is not None, last or agent.created_at, agent.id
