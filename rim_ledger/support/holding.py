"""Who has a ticket: whom it can be given to, and how many each agent has."""

from typing import Final
from uuid import UUID

from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.book import Book
from rim_ledger.core import Forbidden, Invalid, require
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


def profile(book: Book, admin: UUID) -> SupportAgent | None:
    """The profile of an admin who is an agent."""
    agent = book.find(SupportAgent, agent_stream(admin))
    return None if agent is None or agent.archived else agent


def tier_of(book: Book, admin: UUID) -> int:
    """How high somebody stands at the support desk."""
    agent = profile(book, admin)
    return agent.tier if agent else ABOVE_AGENTS


def can_take(book: Book, admin: UUID) -> bool:
    """Whether somebody can be given a ticket: active, and not away."""
    person, agent = book.find(AdminUser, admin), profile(book, admin)
    active = person is not None and person.status is AdminStatus.ACTIVE
    return active and (agent is None or agent.status is not AgentStatus.AWAY)


def require_taker(book: Book, admin: UUID, pointer: str) -> None:
    """Refuse to give a ticket to somebody who is not there, or not now."""
    if book.find(AdminUser, admin) is None:
        raise Invalid("unknown-assignee", f"There is no agent or admin {admin}.", pointer)
    words = "Whoever takes a ticket is active, and not away."
    require(can_take(book, admin), "assignee-unavailable", words)


def require_holder(book: Book, holder: UUID) -> None:
    """Refuse whoever neither has a ticket nor may act on every ticket."""
    if book.stamp.actor.id != holder and not book.may("tickets.all", "write"):
        raise Forbidden("not-your-ticket", "This is up to whoever has the ticket, or to a lead.")


def open_department(book: Book, id: UUID) -> Department:
    """A department that is not archived."""
    department = book.find(Department, id)
    if department is None or department.archived:
        raise Invalid("unknown-department", f"There is no department {id}.", "/department")
    return department


def keep_loads(book: Book, before: Ticket) -> None:
    """Tell the agents what a decision took from them, and what it gave them."""
    left, taken = _holder(before), _holder(book.read(Ticket, before.id))
    if left == taken:
        return
    for admin, event in ((left, AgentTicketLeft), (taken, AgentTicketTaken)):
        if admin and profile(book, admin):
            book.append(SupportAgent, agent_stream(admin), [event(ticket_id=before.id)])


def _holder(ticket: Ticket) -> UUID | None:
    return ticket.assigned_to if ticket.active else None
