"""A support agent: an admin at the support desk, with a department, a tier and tickets."""

from datetime import datetime
from enum import StrEnum
from typing import Final, Self, assert_never
from uuid import UUID

from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, Stamp
from rim_ledger.engine.refusals import require
from rim_ledger.values import derived_id

AVAILABLE: Final = "agent-available"
"""The list of available agents."""


def agent_stream(admin: UUID) -> UUID:
    """Return the stream id of an admin's agent profile; the aggregate has the admin's id."""
    return derived_id("agent", admin)


class AgentStatus(StrEnum):
    """Whether an agent gets tickets automatically, by hand only, or not at all."""

    AVAILABLE = "available"
    BUSY = "busy"
    AWAY = "away"


class AgentCreated(Event):
    """An admin works at the support desk from now on; `tickets` are those they had before."""

    admin_id: UUID
    department: UUID
    tier: int
    tickets: tuple[UUID, ...] = ()


class AgentAvailabilityChanged(Event):
    status: AgentStatus


class AgentTierChanged(Event):
    tier: int


class AgentMoved(Event):
    department: UUID


class AgentRetired(Event):
    """The profile is kept for the record; the admin stays."""


class AgentTicketTaken(Event):
    """An unresolved ticket is the agent's from now on."""

    ticket_id: UUID


class AgentTicketLeft(Event):
    """The ticket was resolved, or reassigned."""

    ticket_id: UUID


SupportAgentEvent = (
    AgentAvailabilityChanged
    | AgentTierChanged
    | AgentMoved
    | AgentRetired
    | AgentTicketTaken
    | AgentTicketLeft
)


class SupportAgent(Aggregate):
    department: UUID
    tier: int
    created_at: datetime
    tickets: frozenset[UUID] = frozenset()
    status: AgentStatus = AgentStatus.AVAILABLE
    last_assigned_at: datetime | None = None
    archived: bool = False

    @property
    def active_tickets(self) -> int:
        return len(self.tickets)

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        ready = self.status is AgentStatus.AVAILABLE and not self.archived
        return frozenset([(AVAILABLE, str(self.id))]) if ready else NOWHERE

    @classmethod
    def stream_of(cls, id: UUID) -> UUID:
        return agent_stream(id)

    def require_present(self) -> None:
        require(not self.archived, "already-done", "The agent was retired.")

    @classmethod
    def begin(cls, id: UUID, event: AgentCreated, stamp: Stamp) -> Self:
        tickets = frozenset(event.tickets)
        return cls.made(event.admin_id, event, created_at=stamp.at, tickets=tickets)

    def evolve(self, event: SupportAgentEvent, stamp: Stamp) -> Self:
        match event:
            case AgentAvailabilityChanged() | AgentTierChanged() | AgentMoved():
                return self.taking(event)
            case AgentRetired():
                return self.but(archived=True, status=AgentStatus.AWAY)
            case AgentTicketTaken():
                taken = self.tickets | {event.ticket_id}
                return self.but(tickets=taken, last_assigned_at=stamp.at)
            case AgentTicketLeft():
                return self.but(tickets=self.tickets - {event.ticket_id})
            case _:
                assert_never(event)
