"""A role: what the admins who have it may do. It also knows who they are."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar, Final, Self, assert_never
from uuid import UUID

from pydantic import Field

from rim_ledger.admin.permissions import Permission, Permissions, rights
from rim_ledger.book import Book, Right
from rim_ledger.core import (
    Command,
    Creation,
    Event,
    Forbidden,
    Invalid,
    Stamp,
    require,
)
from rim_ledger.names import Named, UniqueNames
from rim_ledger.patch import Patch
from rim_ledger.values import Description, Name, derived_id

ROLE_NAMES: Final = UniqueNames("role-name", "role-name-taken", "role")
RoleName = Annotated[Name, Field(max_length=64, examples=["branch_clerk"])]


def builtin_id(name: str) -> UUID:
    """The stream of a built-in role: the same for everybody, so that nobody makes it twice."""
    return derived_id("role", name)


SUPERADMIN: Final = builtin_id("superadmin")


# Events: what can happen to a role.


class AdminRoleCreated(Event):
    name: str
    description: str
    permissions: list[Permission]


class AdminRoleChanged(Event):
    """Only what changed is set."""

    name: str | None = None
    description: str | None = None
    permissions: list[Permission] | None = None


class AdminRoleDeleted(Event):
    """The role is kept for the record; its name is free again."""


class AdminRoleGranted(Event):
    """An admin has this role from now on."""

    admin_id: UUID


class AdminRoleWithdrawn(Event):
    """An admin no longer has this role."""

    admin_id: UUID


AdminRoleEvent = AdminRoleChanged | AdminRoleDeleted | AdminRoleGranted | AdminRoleWithdrawn


# The aggregate: what those events add up to.


class AdminRole(Named):
    UNIQUE: ClassVar[UniqueNames] = ROLE_NAMES

    name: str
    description: str
    permissions: list[Permission]
    rights: frozenset[Right]
    created_at: datetime
    members: frozenset[UUID] = frozenset()
    """Every admin who has the role, active or not."""
    archived: bool = False

    @property
    def unique_name(self) -> str | None:
        return None if self.archived else self.name

    @property
    def user_count(self) -> int:
        return len(self.members)

    def require_present(self) -> None:
        require(not self.archived, "already-done", "The role was deleted.")

    @classmethod
    def begin(cls, id: UUID, event: AdminRoleCreated, stamp: Stamp) -> Self:
        return cls(
            id=id,
            name=event.name,
            description=event.description,
            permissions=event.permissions,
            rights=rights(event.permissions),
            created_at=stamp.at,
        )

    def evolve(self, event: AdminRoleEvent, stamp: Stamp) -> Self:
        match event:
            case AdminRoleChanged():
                kept = self.permissions if event.permissions is None else event.permissions
                return self.but(
                    name=event.name or self.name,
                    description=(
                        self.description if event.description is None else event.description
                    ),
                    permissions=kept,
                    rights=rights(kept),
                )
            case AdminRoleDeleted():
                return self.but(archived=True)
            case AdminRoleGranted():
                return self.but(members=self.members | {event.admin_id})
            case AdminRoleWithdrawn():
                return self.but(members=self.members - {event.admin_id})
            case _:
                assert_never(event)


# Commands: what one may ask of a role, and the rule each must meet.


def refuse_escalation(given: Iterable[Right], book: Book) -> None:
    """Refuse a caller who would give away rights that they lack themselves."""
    lacking = sorted(
        f"{resource}:{action}" for resource, action in given if not book.may(resource, action)
    )
    if lacking:
        raise Forbidden(
            "privilege-escalation",
            "Nobody grants what they lack.",
            lacking=lacking,
        )


def role_to_grant(id: UUID, book: Book) -> AdminRole:
    """The role, if there is one to be had and it gives nothing that the caller lacks."""
    role = book.find(AdminRole, id)
    if role is None or role.archived:
        raise Invalid("unknown-role", f"There is no role {id}.", "/roleId")
    refuse_escalation(role.rights, book)
    return role


def _require_editable(role: AdminRole) -> None:
    require(role.id != SUPERADMIN, "built-in-role", "The superadmin role stays as it is.")


class CreateRole(Creation[AdminRole]):
    """Make a role out of permissions that the caller has."""

    name: RoleName
    description: Description = ""
    permissions: Permissions

    def begin(self, id: UUID, book: Book) -> Iterable[Event]:
        refuse_escalation(rights(self.permissions), book)
        ROLE_NAMES.take(book, self.name, id)
        yield AdminRoleCreated(
            name=self.name, description=self.description, permissions=self.permissions
        )


class EditRole(Patch[AdminRole]):
    """Change name, description or permissions; what is left out stays. Acts from the next
    request of each admin who has the role."""

    name: RoleName | None = None
    description: Description | None = None
    permissions: Permissions | None = None

    def decide(self, aggregate: AdminRole, book: Book) -> Iterable[Event]:
        refuse_escalation(rights(self.permissions or ()), book)
        _require_editable(aggregate)
        changes = self.changes(aggregate, "name", "description", "permissions")
        if not changes:
            return
        if self.name:
            ROLE_NAMES.change(book, aggregate.name, self.name, aggregate.id)
        yield AdminRoleChanged(**changes)


class DeleteRole(Command[AdminRole]):
    """Put away a role that no admin has."""

    def decide(self, aggregate: AdminRole, book: Book) -> Iterable[Event]:
        _require_editable(aggregate)
        require(not aggregate.members, "role-in-use", "An admin still has this role.")
        ROLE_NAMES.release(book, aggregate.name, aggregate.id)
        yield AdminRoleDeleted()
