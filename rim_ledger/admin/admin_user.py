"""An admin: somebody of the lender's staff, with a role, a standing and sessions."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self, assert_never
from uuid import UUID

from pydantic import BeforeValidator, Field

from rim_ledger.admin.admin_role import (
    SUPERADMIN,
    AdminRole,
    AdminRoleGranted,
    AdminRoleWithdrawn,
    refuse_escalation,
    role_to_grant,
)
from rim_ledger.admin.passwords import Password, TriedPassword, WithPassword
from rim_ledger.book import Book
from rim_ledger.core import (
    Aggregate,
    Command,
    Creation,
    Event,
    Personal,
    Refused,
    Stamp,
    require,
    require_legal,
)
from rim_ledger.values import Email, Id, Name, Note, Phone

SESSIONS_MAX: Final = 20
"""Sessions of one admin; the newest stay."""


class AdminStatus(StrEnum):
    """Whether an admin may log in."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"


LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    AdminStatus.ACTIVE: ("deactivate", "suspend"),
    AdminStatus.INACTIVE: ("activate", "suspend"),
    AdminStatus.SUSPENDED: ("reinstate",),
}

Username = Annotated[
    str,
    Field(min_length=3, max_length=32, pattern=r"^[a-z0-9._-]+$", examples=["ada.obi"]),
    BeforeValidator(lambda text: text.lower() if isinstance(text, str) else text),
]
"""A name to log in with; capital letters count as small ones."""


# Events: what can happen to an admin.


class AdminCreated(Event):
    username: str
    email: Personal
    email_hash: str
    role_id: UUID
    name: Personal = None
    phone: Personal = None
    phone_hash: str | None = None


class AdminContactChanged(Event):
    """Only what changed is set."""

    email: Personal = None
    email_hash: str | None = None
    name: Personal = None
    phone: Personal = None
    phone_hash: str | None = None


class AdminUserRoleChanged(Event):
    role_id: UUID


class AdminSuspended(Event):
    reason: Personal


class AdminReinstated(Event):
    pass


class AdminDeactivated(Event):
    pass


class AdminActivated(Event):
    pass


class AdminPasswordChanged(Event):
    """The password itself is kept as a hash beside the events."""


class AdminLoggedIn(Event):
    """A session began. It is named by the hash of its token."""

    session: str
    expires_at: datetime


class AdminLoggedOut(Event):
    session: str


class AdminSessionsRevoked(Event):
    pass


AdminUserEvent = (
    AdminContactChanged
    | AdminUserRoleChanged
    | AdminSuspended
    | AdminReinstated
    | AdminDeactivated
    | AdminActivated
    | AdminPasswordChanged
    | AdminLoggedIn
    | AdminLoggedOut
    | AdminSessionsRevoked
)


# The aggregate: what those events add up to.


class AdminUser(Aggregate):
    username: str
    email: str | None
    email_hash: str
    name: str | None
    phone: str | None
    phone_hash: str | None
    role_id: UUID
    created_at: datetime
    created_by: UUID | None
    status: AdminStatus = AdminStatus.ACTIVE
    last_login: datetime | None = None
    two_factor_enabled: bool = False
    sessions: dict[str, datetime] = {}
    """The hash of each token, and when it expires."""

    @property
    def display_name(self) -> str | None:
        """What others know the admin by: the name, or else the user name."""
        return self.name or self.username

    @classmethod
    def begin(cls, id: UUID, event: AdminCreated, stamp: Stamp) -> Self:
        return cls(
            id=id,
            username=event.username,
            email=event.email,
            email_hash=event.email_hash,
            name=event.name,
            phone=event.phone,
            phone_hash=event.phone_hash,
            role_id=event.role_id,
            created_at=stamp.at,
            created_by=stamp.admin,
        )

    def evolve(self, event: AdminUserEvent, stamp: Stamp) -> Self:  # noqa: PLR0911 - a line an event
        match event:
            case AdminContactChanged():
                return self.but(
                    email=event.email or self.email,
                    email_hash=event.email_hash or self.email_hash,
                    name=event.name or self.name,
                    phone=event.phone or self.phone,
                    phone_hash=event.phone_hash or self.phone_hash,
                )
            case AdminUserRoleChanged():
                return self.but(role_id=event.role_id, sessions={})
            case AdminSuspended():
                return self.but(status=AdminStatus.SUSPENDED, sessions={})
            case AdminDeactivated():
                return self.but(status=AdminStatus.INACTIVE, sessions={})
            case AdminReinstated() | AdminActivated():
                return self.but(status=AdminStatus.ACTIVE)
            case AdminPasswordChanged() | AdminSessionsRevoked():
                return self.but(sessions={})
            case AdminLoggedIn():
                live = [each for each in self.sessions.items() if each[1] > stamp.at]
                live.append((event.session, event.expires_at))
                return self.but(sessions=dict(live[-SESSIONS_MAX:]), last_login=stamp.at)
            case AdminLoggedOut():
                rest = {each: at for each, at in self.sessions.items() if each != event.session}
                return self.but(sessions=rest)
            case _:
                assert_never(event)


# Commands: what one may ask of an admin, and the rule each must meet.


def _claim_email(book: Book, email: str, admin: UUID) -> str:
    """Take an e-mail for an admin, by its keyed hash."""
    print_ = book.fingerprint("email", email.casefold())
    taken = Refused("email-taken", "Another admin has this e-mail address.")
    book.claim("admin-email", print_, admin, taken)
    return print_


def _own_names(username: str, email: str | None) -> list[str]:
    return [username, *([email.partition("@")[0]] if email else [])]


def _require_other(admin: AdminUser, book: Book) -> None:
    """Refuse what nobody may do to themselves."""
    itself = book.stamp.actor.id == admin.id
    require(not itself, "self-action", "Another admin must do this.")


def _require_another_superadmin(admin: AdminUser, book: Book) -> None:
    """Refuse to take away the last active super-admin. The role's own stream tells who has it,
    and each of them is read in this same decision, so two at once cannot both go through."""
    if (admin.role_id, admin.status) != (SUPERADMIN, AdminStatus.ACTIVE):
        return
    others = book.read(AdminRole, SUPERADMIN).members - {admin.id}
    active = any(book.read(AdminUser, other).status is AdminStatus.ACTIVE for other in others)
    require(active, "last-superadmin", "At least one active super-admin must remain.")


def _close_sessions(admin: AdminUser, book: Book) -> None:
    for session in admin.sessions:
        book.release("session", session)


class CreateAdmin(WithPassword, Creation[AdminUser]):
    """Take somebody on, with a role that gives nothing the caller lacks."""

    username: Username
    email: Email
    name: Name | None = None
    phone: Phone | None = None
    role_id: Id

    def begin(self, id: UUID, book: Book) -> Iterable[Event]:
        role = role_to_grant(self.role_id, book)
        taken = Refused("username-taken", f"Another admin is named {self.username}.")
        book.claim("admin-username", self.username, id, taken)
        email_hash = _claim_email(book, self.email, id)
        self.keep_password(book, id, _own_names(self.username, self.email))
        book.append(AdminRole, role.id, [AdminRoleGranted(admin_id=id)])
        yield AdminCreated(
            username=self.username,
            email=self.email,
            email_hash=email_hash,
            role_id=role.id,
            name=self.name,
            phone=self.phone,
            phone_hash=self.phone and book.fingerprint("phone", self.phone),
        )


class EditAdmin(Command[AdminUser]):
    """Change e-mail, name or phone of oneself, or of an admin with no more rights than the
    caller; what is left out stays."""

    email: Email | None = None
    name: Name | None = None
    phone: Phone | None = None

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        if book.stamp.actor.id != aggregate.id:
            refuse_escalation(book.read(AdminRole, aggregate.role_id).rights, book)

        def changed(field: str, wish: str | None) -> str | None:
            known = book.reveal(aggregate.id, getattr(aggregate, field))
            return wish if wish is not None and wish != known else None

        email, phone = changed("email", self.email), changed("phone", self.phone)
        name = changed("name", self.name)
        if not (email or phone or name):
            return
        event = AdminContactChanged(
            email=email,
            email_hash=email and _claim_email(book, email, aggregate.id),
            name=name,
            phone=phone,
            phone_hash=phone and book.fingerprint("phone", phone),
        )
        if event.email_hash and event.email_hash != aggregate.email_hash:
            book.release("admin-email", aggregate.email_hash)
        yield event


class AssignRole(Command[AdminUser]):
    """Give an admin another role, one that gives nothing the caller lacks. Ends their sessions."""

    role_id: Id

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        role = role_to_grant(self.role_id, book)
        _require_other(aggregate, book)
        if role.id == aggregate.role_id:
            return
        _require_another_superadmin(aggregate, book)
        _close_sessions(aggregate, book)
        book.append(AdminRole, aggregate.role_id, [AdminRoleWithdrawn(admin_id=aggregate.id)])
        book.append(AdminRole, role.id, [AdminRoleGranted(admin_id=aggregate.id)])
        yield AdminUserRoleChanged(role_id=role.id)


class SuspendAdmin(Command[AdminUser]):
    """Shut an admin out at once, for a reason."""

    reason: Note

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        _require_other(aggregate, book)
        require_legal(aggregate.status, "suspend", LEGAL)
        _require_another_superadmin(aggregate, book)
        _close_sessions(aggregate, book)
        yield AdminSuspended(reason=self.reason)


class ReinstateAdmin(Command[AdminUser]):
    """End a suspension."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "reinstate", LEGAL)
        yield AdminReinstated()


class DeactivateAdmin(Command[AdminUser]):
    """Set an admin aside without blame. Ends their sessions."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        _require_other(aggregate, book)
        require_legal(aggregate.status, "deactivate", LEGAL)
        _require_another_superadmin(aggregate, book)
        _close_sessions(aggregate, book)
        yield AdminDeactivated()


class ActivateAdmin(Command[AdminUser]):
    """Bring an inactive admin back."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "activate", LEGAL)
        yield AdminActivated()


class _SetPassword(WithPassword, Command[AdminUser]):
    """What changing and resetting a password have in common. Ends all sessions."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        email = book.reveal(aggregate.id, aggregate.email)
        self.keep_password(book, aggregate.id, _own_names(aggregate.username, email))
        _close_sessions(aggregate, book)
        yield AdminPasswordChanged()


class ChangePassword(_SetPassword):
    """Choose another password for oneself, knowing the present one. Ends all sessions."""

    FIELD: ClassVar[str] = "/newPassword"

    current_password: TriedPassword
    password: Annotated[Password, Field(alias="newPassword")]


class ResetPassword(_SetPassword):
    """Give an admin with no more rights than the caller a new password. Ends their sessions."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        refuse_escalation(book.read(AdminRole, aggregate.role_id).rights, book)
        _require_other(aggregate, book)
        yield from super().decide(aggregate, book)


class LogOut(Command[AdminUser]):
    """End one session; nothing happens when it has ended already."""

    session: str

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        if self.session in aggregate.sessions:
            book.release("session", self.session)
            yield AdminLoggedOut(session=self.session)


class RevokeSessions(Command[AdminUser]):
    """End all sessions of an admin, wherever they are."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        if aggregate.sessions:
            _close_sessions(aggregate, book)
            yield AdminSessionsRevoked()
