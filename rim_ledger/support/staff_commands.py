"""Commands on departments and agents of the support desk."""

from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from pydantic import Field

from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Invalid, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.support.assignment import assign_waiting, open_department
from rim_ledger.support.department import (
    NAMES,
    Department,
    DepartmentArchived,
    DepartmentChanged,
    DepartmentCreated,
    DepartmentJoined,
    DepartmentLeft,
)
from rim_ledger.support.support_agent import (
    AgentAvailabilityChanged,
    AgentCreated,
    AgentMoved,
    AgentRetired,
    AgentStatus,
    AgentTierChanged,
    SupportAgent,
    agent_stream,
)
from rim_ledger.support.ticket import tickets_in, tickets_with
from rim_ledger.values import Description, Id, Name

TICKETS_MAX = 10_000
"""Tickets that an admin may have when they become an agent."""

Tier = Annotated[int, Field(ge=1, le=3)]


def _require_tier(agent: int, department: int) -> None:
    words = f"An agent of tier {agent} cannot be in a department of tier {department}."
    require(agent >= department, "tier-too-low", words)


class CreateDepartment(Creation[Department]):
    """Create a department with a unique name. Its agents have its tier or a higher one."""

    name: Name
    description: Description = ""
    tier: Tier = 1

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        NAMES.take(uow, self.name, id)
        yield DepartmentCreated.of(self)


class UpdateDepartment(Patch[Department]):
    """Change name, description or tier; omitted fields stay as they are."""

    name: Name | None = None
    description: Description | None = None
    tier: Tier | None = None

    def decide(self, aggregate: Department, uow: UnitOfWork) -> Iterable[Event]:
        changes = self.changes(aggregate)
        if not changes:
            return
        if self.tier:
            _require_tier(min(aggregate.agents.values(), default=self.tier), self.tier)
        if self.name:
            NAMES.change(uow, aggregate.name, self.name, aggregate.id)
        yield DepartmentChanged(**changes)


class ArchiveDepartment(Command[Department]):
    """Archive a department without agents and unresolved tickets; its name is free again."""

    def decide(self, aggregate: Department, uow: UnitOfWork) -> Iterable[Event]:
        staffed = f"The department has {aggregate.agent_count} agents; they move first."
        require(not aggregate.agents, "department-has-agents", staffed)
        busy = "The department has tickets that are not resolved."
        require(not uow.listed(tickets_in(aggregate.id), 1), "department-has-tickets", busy)
        NAMES.release(uow, aggregate.name, aggregate.id)
        yield DepartmentArchived()


class CreateAgent(Creation[SupportAgent]):
    """Make an admin a support agent. The profile has the admin's `id`; name, e-mail and phone are
    the admin's, who needs a phone."""

    id: Id
    department: Id
    tier: Tier = 1

    @property
    def stream(self) -> UUID:
        return agent_stream(self.id)

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        if (admin := uow.find(AdminUser, self.id)) is None:
            raise Invalid("unknown-admin", f"There is no admin {self.id}.", "/id")
        if admin.phone is None:
            words = "A support agent has a phone: give the admin one first."
            raise Invalid("agent-without-phone", words, "/id")
        _require_tier(self.tier, open_department(uow, self.department).tier)
        joined = DepartmentJoined(agent_id=self.id, tier=self.tier)
        uow.append(Department, self.department, [joined])
        streams = uow.listed(tickets_with(self.id), TICKETS_MAX)
        yield AgentCreated.of(self, admin_id=self.id, tickets=tuple(streams))


class UpdateAgent(Patch[SupportAgent]):
    """Move an agent to another department or tier; omitted fields stay as they are."""

    department: Id | None = None
    tier: Tier | None = None

    def decide(self, aggregate: SupportAgent, uow: UnitOfWork) -> Iterable[Event]:
        tier, place = self.tier or aggregate.tier, self.department or aggregate.department
        if (tier, place) == (aggregate.tier, aggregate.department):
            return
        _require_tier(tier, open_department(uow, place).tier)
        if place != aggregate.department:
            left = DepartmentLeft(agent_id=aggregate.id)
            uow.append(Department, aggregate.department, [left])
            yield AgentMoved(department=place)
        if tier != aggregate.tier:
            yield AgentTierChanged(tier=tier)

    def follow(self, before: SupportAgent, uow: UnitOfWork) -> None:
        now = uow.read(SupportAgent, agent_stream(before.id))
        if now != before:
            joined = DepartmentJoined(agent_id=now.id, tier=now.tier)
            uow.append(Department, now.department, [joined])


class SetAvailability(Command[SupportAgent]):
    """Set whether an agent takes tickets: oneself, or another with the permission agents:write.
    When an agent becomes available, waiting tickets are assigned."""

    status: Annotated[AgentStatus, Field(strict=False)]

    def decide(self, aggregate: SupportAgent, uow: UnitOfWork) -> Iterable[Event]:
        if uow.stamp.actor.id != aggregate.id:
            uow.need("agents", "write")
        if self.status is not aggregate.status:
            yield AgentAvailabilityChanged(status=self.status)

    def follow(self, before: SupportAgent, uow: UnitOfWork) -> None:
        if self.status is AgentStatus.AVAILABLE and before.status is not self.status:
            assign_waiting(uow)


class RetireAgent(Command[SupportAgent]):
    """Retire an agent who has no tickets left; the admin stays."""

    def decide(self, aggregate: SupportAgent, uow: UnitOfWork) -> Iterable[Event]:
        busy = f"The agent has {aggregate.active_tickets} tickets; somebody else takes them first."
        require(not aggregate.tickets, "agent-has-tickets", busy)
        uow.append(Department, aggregate.department, [DepartmentLeft(agent_id=aggregate.id)])
        yield AgentRetired()
