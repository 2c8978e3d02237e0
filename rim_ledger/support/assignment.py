"""Automatic assignment: who takes the tickets that nobody has."""

from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.book import Book
from rim_ledger.core import Form
from rim_ledger.support.holding import can_take, keep_loads, open_department
from rim_ledger.support.support_agent import AVAILABLE, SupportAgent, agent_stream
from rim_ledger.support.ticket import URGENCY, Ticket, TicketAssigned, waiting_in
from rim_ledger.values import Id

TICKETS_MAX: Final = 500
"""Tickets that one decision gives away."""
AGENTS_MAX: Final = 10_000


class AutoAssign(Form):
    """Give the tickets that nobody has to the agents who are available: the most urgent first,
    then the oldest; each to whoever has fewest, then to whoever was given none for longest. A
    ticket of a department goes to its own agents. At most 500 at once."""

    department: Id | None = None

    def assign(self, book: Book) -> int:
        """How many were given away."""
        if self.department:
            open_department(book, self.department)
        return assign_waiting(book, self.department)


def assign_waiting(book: Book, department: UUID | None = None) -> int:
    """Give waiting tickets away, of one department or of all; how many."""
    agents = {
        agent.id: agent
        for agent in _available(book)
        if department is None or agent.department == department
    }
    given = 0
    for ticket in _waiting(book, agents.values(), department):
        able = [a for a in agents.values() if ticket.department in (None, a.department)]
        if not able:
            continue
        chosen = min(able, key=_burden).id
        book.append(Ticket, ticket.id, [TicketAssigned(assigned_to=chosen, automatic=True)])
        keep_loads(book, ticket)
        agents[chosen] = book.read(SupportAgent, agent_stream(chosen))
        given += 1
    return given


def _available(book: Book) -> list[SupportAgent]:
    streams = book.listed(AVAILABLE, AGENTS_MAX)
    book.look_ahead(partial(book.find, SupportAgent, each) for each in streams)
    agents = [book.read(SupportAgent, each) for each in streams]
    book.look_ahead(partial(book.find, AdminUser, agent.id) for agent in agents)
    return [agent for agent in agents if can_take(book, agent.id)]


def _waiting(book: Book, agents: Iterable[SupportAgent], department: UUID | None) -> list[Ticket]:
    """The tickets whose turn it is, among those that some agent could take."""
    places: set[UUID | None] = {agent.department for agent in agents}
    if places and department is None:
        places.add(None)
    book.look_ahead(partial(book.listed, waiting_in(each), TICKETS_MAX) for each in places)
    lists = [book.listed(waiting_in(each), TICKETS_MAX) for each in places]
    found = [ticket for each in lists for ticket in each]
    book.look_ahead(partial(book.find, Ticket, each) for each in found)
    return sorted((book.read(Ticket, each) for each in found), key=_turn)[:TICKETS_MAX]


def _turn(ticket: Ticket) -> tuple[int, datetime, UUID]:
    return URGENCY.index(ticket.priority), ticket.created_at, ticket.id


def _burden(agent: SupportAgent) -> tuple[int, bool, datetime, UUID]:
    last = agent.last_assigned_at
    return agent.active_tickets, last is not None, last or agent.created_at, agent.id
