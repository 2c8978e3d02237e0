"""A role: the rights of its admins, their limits, and the list of its members."""

from collections.abc import Collection, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, ClassVar, Final, Self, assert_never
from uuid import UUID

from msgspec import UNSET, UnsetType
from pydantic import Field

from rim_ledger.admin.permissions import Permission, Permissions, rights
from rim_ledger.engine.aggregate import Event, Stamp
from rim_ledger.engine.command import Command, Creation
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Forbidden, Invalid, require
from rim_ledger.engine.unique_names import Named, UniqueNames
from rim_ledger.engine.unit_of_work import Right, RoleLimits, UnitOfWork, reaches
from rim_ledger.notifications.notification import alert_admins
from rim_ledger.values import Description, Limit, Name, derived_id

ROLE_NAMES: Final = UniqueNames("role-name", "role-name-taken", "role")
RoleName = Annotated[Name, Field(max_length=64, examples=["branch_clerk"])]


def builtin_id(name: str) -> UUID:
    """Return the stream id of a built-in role: derived from its name, so that it is created only
    once."""
    return derived_id("role", name)


SUPERADMIN: Final = builtin_id("superadmin")
LENDING: Final = frozenset({("loans.approval", "write"), ("loans.disbursement", "write")})
"""The rights that `max_amount` limits."""
CREDIT: Final[Right] = ("users.credit", "write")
"""The right that `max_limit` limits."""


class AdminRoleCreated(Event):
    name: str
    description: str
    permissions: list[Permission]
    max_amount: Decimal | None = None
    max_limit: Decimal | None = None


class AdminRoleChanged(Event):
    """Holds changed fields only. A limit of null was removed."""

    name: str | None = None
    description: str | None = None
    permissions: list[Permission] | None = None
    max_amount: Decimal | UnsetType | None = UNSET
    max_limit: Decimal | UnsetType | None = UNSET


class AdminRoleDeleted(Event):
    """The role is kept for the record; its name is free again."""


class AdminRoleGranted(Event):
    """An admin has this role from now on."""

    admin_id: UUID


class AdminRoleWithdrawn(Event):
    """An admin no longer has this role."""

    admin_id: UUID


AdminRoleEvent = AdminRoleChanged | AdminRoleDeleted | AdminRoleGranted | AdminRoleWithdrawn


class AdminRole(Named):
    UNIQUE: ClassVar[UniqueNames] = ROLE_NAMES

    description: str
    permissions: list[Permission]
    rights: frozenset[Right]
    max_amount: Decimal | None
    max_limit: Decimal | None
    edited: bool = False
    """Whether an admin ever changed it: later releases then leave it alone."""
    changed_at: datetime | None = None
    """When an admin last changed it."""
    members: frozenset[UUID] = frozenset()
    """All admins who have the role, active or not."""

    @property
    def role_limits(self) -> RoleLimits:
        return RoleLimits(self.max_amount, self.max_limit)

    @property
    def user_count(self) -> int:
        return len(self.members)

    def require_present(self) -> None:
        require(not self.archived, "already-done", "The role was deleted.")

    @classmethod
    def begin(cls, id: UUID, event: AdminRoleCreated, stamp: Stamp) -> Self:
        given = rights(event.permissions)
        return cls.made(id, event, rights=given, created_at=stamp.at)

    def evolve(self, event: AdminRoleEvent, stamp: Stamp) -> Self:
        match event:
            case AdminRoleChanged():
                given = self.rights if event.permissions is None else rights(event.permissions)
                edited = self.edited or stamp.admin is not None
                changed_at = stamp.noted_at if stamp.admin else self.changed_at
                return self.but(**event.changes, rights=given, edited=edited, changed_at=changed_at)
            case AdminRoleDeleted():
                return self.but(archived=True)
            case AdminRoleGranted():
                return self.but(members=self.members | {event.admin_id})
            case AdminRoleWithdrawn():
                return self.but(members=self.members - {event.admin_id})
            case _:
                assert_never(event)


def refuse_escalation(
    given: Collection[Right], uow: UnitOfWork, role_limits: RoleLimits | None = None
) -> None:
    """Refuse a caller who lacks one of these rights, or whose limits are lower than `role_limits`.

    Raises Forbidden (`privilege-escalation`), with what is lacking.
    """
    lacking = sorted(
        f"{resource}:{action}" for resource, action in given if not uow.may(resource, action)
    )
    if role_limits and not LENDING.isdisjoint(given):
        lacking += ["maxAmount"] * (not reaches(uow.role_limits.max_amount, role_limits.max_amount))
    if role_limits and CREDIT in given:
        lacking += ["maxLimit"] * (not reaches(uow.role_limits.max_limit, role_limits.max_limit))
    if lacking:
        words = "This takes rights that you lack: nobody gives or touches more than they have."
        raise Forbidden("privilege-escalation", words, lacking=lacking)


def refuse_greater(role: AdminRole, uow: UnitOfWork) -> None:
    """Refuse to change a role or one of its members if it grants anything that the caller lacks.

    Raises Forbidden (`privilege-escalation`).
    """
    refuse_escalation(role.rights, uow, role.role_limits)


def role_to_grant(id: UUID, uow: UnitOfWork) -> AdminRole:
    """Return the role. Raises Invalid if missing, Forbidden if the caller lacks its rights."""
    role = uow.find(AdminRole, id)
    if role is None or role.archived:
        raise Invalid("unknown-role", f"There is no role {id}.", "/roleId")
    refuse_greater(role, uow)
    return role


def alert_superadmins(uow: UnitOfWork, title: str, message: str, cause: UUID | None = None) -> None:
    """Alert every super-admin to the caller's action, once per `cause` if one is given."""
    role = uow.find(AdminRole, SUPERADMIN)
    alert_admins(uow, role.members if role else (), title, message, cause)


def _require_editable(role: AdminRole) -> None:
    require(role.id != SUPERADMIN, "built-in-role", "The superadmin role stays as it is.")


MaxAmount = Annotated[
    Limit | None,
    Field(description="The largest loan in naira that it approves or disburses; null is any."),
]
MaxLimit = Annotated[
    Limit | None, Field(description="The largest credit limit in naira that it gives; null is any.")
]


class CreateRole(Creation[AdminRole]):
    """Create a role with permissions that the caller has, and limits up to the caller's."""

    name: RoleName
    description: Description = ""
    permissions: Permissions
    max_amount: MaxAmount = None
    max_limit: MaxLimit = None

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        role_limits = RoleLimits(self.max_amount, self.max_limit)
        refuse_escalation(rights(self.permissions), uow, role_limits)
        ROLE_NAMES.take(uow, self.name, id)
        alert_superadmins(uow, "A role was made", f"made the role {self.name}.")
        yield AdminRoleCreated.of(self)


class EditRole(Patch[AdminRole]):
    """Change name, description, permissions or limits of a role that grants no more than the caller
    has, before and after; omitted fields stay as they are. Takes effect with the next request of
    each admin who has the role."""

    CLEARS = frozenset({"max_amount", "max_limit"})

    name: RoleName | None = None
    description: Description | None = None
    permissions: Permissions | None = None
    max_amount: MaxAmount = None
    max_limit: MaxLimit = None

    def decide(self, aggregate: AdminRole, uow: UnitOfWork) -> Iterable[Event]:
        refuse_greater(aggregate, uow)
        changes = self.changes(aggregate)
        changed = AdminRoleChanged(**changes)
        refuse_greater(aggregate.evolve(changed, uow.stamp), uow)
        _require_editable(aggregate)
        if not changes:
            return
        if self.name:
            ROLE_NAMES.change(uow, aggregate.name, self.name, aggregate.id)
        alert_superadmins(uow, "A role was changed", f"changed the role {aggregate.name}.")
        yield changed


class DeleteRole(Command[AdminRole]):
    """Delete a role that no admin has, and that grants no more than the caller has."""

    def decide(self, aggregate: AdminRole, uow: UnitOfWork) -> Iterable[Event]:
        refuse_greater(aggregate, uow)
        _require_editable(aggregate)
        require(not aggregate.members, "role-in-use", "An admin still has this role.")
        ROLE_NAMES.release(uow, aggregate.name, aggregate.id)
        yield AdminRoleDeleted()
