"""An admin: somebody of the lender's staff, with a role, a standing and sessions."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self, assert_never
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
from rim_ledger.admin.admin_user_events import (
    AdminActivated,
    AdminApiKeyAdded,
    AdminApiKeyRemoved,
    AdminContactChanged,
    AdminCreated,
    AdminDeactivated,
    AdminInvited,
    AdminLoggedIn,
    AdminLoggedOut,
    AdminPasswordChanged,
    AdminPasswordResetBegun,
    AdminReinstated,
    AdminSeen,
    AdminSessionsRevoked,
    AdminSuspended,
    AdminTwoFactorConfirmed,
    AdminTwoFactorDisabled,
    AdminTwoFactorEnrolled,
    AdminTwoFactorReset,
    AdminUserEvent,
    AdminUserRoleChanged,
)
from rim_ledger.admin.api_key import ApiKey, ApiKeyRevoked, require_session
from rim_ledger.admin.passwords import Password, TriedPassword, WithPassword
from rim_ledger.admin.security_settings import TwoFactorMethod
from rim_ledger.admin.session import Session, closed, opened, seen
from rim_ledger.book import Book
from rim_ledger.core import (
    Aggregate,
    Command,
    Creation,
    Event,
    Refused,
    Stamp,
    require,
    require_legal,
)
from rim_ledger.values import Email, Id, Name, Note, Phone

INVITATION_LIFE: Final = timedelta(days=7)
RESET_LIFE: Final = timedelta(hours=1)
"""How long a token that was sent may be used."""


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
    two_factor: TwoFactorMethod | None = None
    """The second factor that is asked for at the log-in."""
    pending_factor: TwoFactorMethod | None = None
    """One that is prepared and not confirmed yet."""
    step: int = 0
    """The time step of the last code of an app that was accepted: none up to it is again."""
    one_time: AdminInvited | AdminPasswordResetBegun | None = None
    """The token that was sent last, unless it was used."""
    epoch: int = 0
    """How often everybody was shut out: what was begun before that is over."""
    sessions: dict[str, Session] = {}
    """By the hash of each token."""
    api_keys: frozenset[UUID] = frozenset()

    @property
    def two_factor_enabled(self) -> bool:
        return self.two_factor is not None

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

    def evolve(self, event: AdminUserEvent, stamp: Stamp) -> Self:  # noqa: C901, PLR0911, PLR0912 - a line an event
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
                return self._shut_out(role_id=event.role_id)
            case AdminSuspended():
                return self._shut_out(status=AdminStatus.SUSPENDED)
            case AdminDeactivated():
                return self._shut_out(status=AdminStatus.INACTIVE, api_keys=frozenset())
            case AdminReinstated() | AdminActivated():
                return self.but(status=AdminStatus.ACTIVE)
            case AdminPasswordChanged():
                return self._shut_out(one_time=None)
            case AdminSessionsRevoked():
                return self._shut_out()
            case AdminInvited():
                return self.but(one_time=event)
            case AdminPasswordResetBegun():
                return self._shut_out(one_time=event)
            case AdminTwoFactorEnrolled():
                return self.but(pending_factor=event.method)
            case AdminTwoFactorConfirmed():
                return self._shut_out(
                    two_factor=self.pending_factor, pending_factor=None, step=event.step
                )
            case AdminTwoFactorDisabled() | AdminTwoFactorReset():
                return self._shut_out(two_factor=None, pending_factor=None)
            case AdminLoggedIn():
                idle_at = event.idle_at or event.expires_at
                begun = Session(event.expires_at, stamp.at, idle_at)
                sessions = opened(self.sessions, event.session, begun)
                step = event.step or self.step
                return self.but(sessions=sessions, last_login=stamp.at, step=step)
            case AdminSeen():
                sessions = seen(self.sessions, event.session, stamp.at, event.idle_at)
                return self.but(sessions=sessions)
            case AdminLoggedOut():
                return self.but(sessions=closed(self.sessions, event.session))
            case AdminApiKeyAdded():
                return self.but(api_keys=self.api_keys | {event.key_id})
            case AdminApiKeyRemoved():
                return self.but(api_keys=self.api_keys - {event.key_id})
            case _:
                assert_never(event)

    def _shut_out(self, **changes: Any) -> Self:
        return self.but(sessions={}, epoch=self.epoch + 1, **changes)


# Commands: what one may ask of an admin, and the rule each must meet.


def _claim_email(book: Book, email: str, admin: UUID) -> str:
    """Take an e-mail for an admin, by its keyed hash."""
    print_ = book.fingerprint("email", email.casefold())
    taken = Refused("email-taken", "Another admin has this e-mail address.")
    book.claim("admin-email", print_, admin, taken)
    return print_


def own_names(username: str, email: str | None) -> list[str]:
    """What a password must not be made of."""
    return [username, *([email.partition("@")[0]] if email else [])]


def require_other(admin: AdminUser, book: Book) -> None:
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


def close_sessions(admin: AdminUser, book: Book) -> None:
    """Let the tokens of an admin's sessions be forgotten, as the event after this ends them."""
    for session in admin.sessions:
        book.release("token", session)


def void_token(admin: AdminUser, book: Book) -> None:
    """Let the token that was sent last lead nowhere; the event after this says why."""
    if admin.one_time:
        book.release("token", admin.one_time.token)


class CreateAdmin(WithPassword, Creation[AdminUser]):
    """Take somebody on, with a role that gives nothing the caller lacks. Without a password they
    are sent an invitation, and choose one themselves."""

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
        if self.password:
            self.keep_password(book, id, own_names(self.username, self.email))
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
        if not self.password:
            token = self.claim_token(book, id)
            yield AdminInvited(token=token, expires_at=book.now + INVITATION_LIFE)


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
        if (email or phone) and aggregate.two_factor not in (None, TwoFactorMethod.APP):
            require_session(book)  # The codes of the second factor are sent there.
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
        require_other(aggregate, book)
        if role.id == aggregate.role_id:
            return
        _require_another_superadmin(aggregate, book)
        close_sessions(aggregate, book)
        book.append(AdminRole, aggregate.role_id, [AdminRoleWithdrawn(admin_id=aggregate.id)])
        book.append(AdminRole, role.id, [AdminRoleGranted(admin_id=aggregate.id)])
        yield AdminUserRoleChanged(role_id=role.id)


class SuspendAdmin(Command[AdminUser]):
    """Shut an admin out at once, for a reason."""

    reason: Note

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        require_other(aggregate, book)
        require_legal(aggregate.status, "suspend", LEGAL)
        _require_another_superadmin(aggregate, book)
        close_sessions(aggregate, book)
        yield AdminSuspended(reason=self.reason)


class ReinstateAdmin(Command[AdminUser]):
    """End the suspension of an admin with no more rights than the caller."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        refuse_escalation(book.read(AdminRole, aggregate.role_id).rights, book)
        require_legal(aggregate.status, "reinstate", LEGAL)
        yield AdminReinstated()


class DeactivateAdmin(Command[AdminUser]):
    """Set an admin aside without blame. Ends their sessions, and their API keys for good."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        require_other(aggregate, book)
        require_legal(aggregate.status, "deactivate", LEGAL)
        _require_another_superadmin(aggregate, book)
        close_sessions(aggregate, book)
        for key in sorted(aggregate.api_keys):
            book.release("token", book.read(ApiKey, key).token)
            book.append(ApiKey, key, [ApiKeyRevoked()])
        yield AdminDeactivated()


class ActivateAdmin(Command[AdminUser]):
    """Bring an inactive admin back, who has no more rights than the caller."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        refuse_escalation(book.read(AdminRole, aggregate.role_id).rights, book)
        require_legal(aggregate.status, "activate", LEGAL)
        yield AdminActivated()


class _SetPassword(WithPassword, Command[AdminUser]):
    """What changing and resetting a password have in common. Ends all sessions."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        email = book.reveal(aggregate.id, aggregate.email)
        self.keep_password(book, aggregate.id, own_names(aggregate.username, email))
        close_sessions(aggregate, book)
        void_token(aggregate, book)
        yield AdminPasswordChanged()


class ChangePassword(_SetPassword):
    """Choose another password for oneself, knowing the present one. Ends all sessions."""

    FIELD: ClassVar[str] = "/newPassword"

    current_password: TriedPassword
    password: Annotated[Password, Field(alias="newPassword")]


class ResetPassword(_SetPassword):
    """Give an admin with no more rights than the caller a new password, or, without one, have them
    sent a token to choose it with: the former one ends at once. Ends their sessions."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        require_session(book)
        refuse_escalation(book.read(AdminRole, aggregate.role_id).rights, book)
        require_other(aggregate, book)
        if self.password:
            yield from super().decide(aggregate, book)
            return
        book.keep_secret(aggregate.id, "password", "")
        close_sessions(aggregate, book)
        void_token(aggregate, book)
        token = self.claim_token(book, aggregate.id)
        yield AdminPasswordResetBegun(token=token, expires_at=book.now + RESET_LIFE)


class LogOut(Command[AdminUser]):
    """End one session; nothing happens when it has ended already."""

    session: str

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        if self.session in aggregate.sessions:
            book.release("token", self.session)
            yield AdminLoggedOut(session=self.session)


class RevokeSessions(Command[AdminUser]):
    """End all sessions of an admin, wherever they are."""

    def decide(self, aggregate: AdminUser, book: Book) -> Iterable[Event]:
        if aggregate.sessions:
            close_sessions(aggregate, book)
            yield AdminSessionsRevoked()
