"""A department of the support desk, with its agents and the tier of each."""

from typing import ClassVar, Final, Self, assert_never
from uuid import UUID

from rim_ledger.engine.aggregate import Event, Stamp
from rim_ledger.engine.unique_names import Named, UniqueNames

NAMES: Final = UniqueNames("department-name", "department-name-taken", "department")


class DepartmentCreated(Event):
    name: str
    description: str
    tier: int


class DepartmentChanged(Event):
    """Holds changed fields only."""

    name: str | None = None
    description: str | None = None
    tier: int | None = None


class DepartmentArchived(Event):
    """The department is kept for the record; its name is free again."""


class DepartmentJoined(Event):
    """An agent belongs to the department from now on, or has another tier there."""

    agent_id: UUID
    tier: int


class DepartmentLeft(Event):
    """An agent no longer belongs to the department."""

    agent_id: UUID


DepartmentEvent = DepartmentChanged | DepartmentArchived | DepartmentJoined | DepartmentLeft


class Department(Named):
    UNIQUE: ClassVar[UniqueNames] = NAMES

    description: str
    tier: int
    agents: dict[UUID, int] = {}
    """The tier of each agent."""

    @property
    def agent_count(self) -> int:
        return len(self.agents)

    def evolve(self, event: DepartmentEvent, stamp: Stamp) -> Self:
        match event:
            case DepartmentChanged():
                return self.but(**event.changes)
            case DepartmentArchived():
                return self.but(archived=True)
            case DepartmentJoined():
                return self.but(agents=self.agents | {event.agent_id: event.tier})
            case DepartmentLeft():
                rest = {each: tier for each, tier in self.agents.items() if each != event.agent_id}
                return self.but(agents=rest)
            case _:
                assert_never(event)
