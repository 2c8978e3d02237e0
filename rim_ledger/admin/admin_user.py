"""An admin: a member of the lender's staff, with a role, a status and sessions."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self, assert_never
from uuid import UUID

from msgspec import Struct

from rim_ledger.admin.security_settings import TwoFactorMethod
from rim_ledger.admin.session import Session, closed, opened, seen
from rim_ledger.engine.aggregate import Aggregate, Event, Personal, Stamp
from rim_ledger.vault.personal_keys import Fingerprint, MaybeFingerprint, hashes


class AdminCreated(Event):
    username: str
    email: Personal
    email_hash: Fingerprint
    role_id: UUID
    name: Personal = None
    phone: Personal = None
    phone_hash: MaybeFingerprint = None


class AdminContactChanged(Event):
    """Holds changed fields only; `cleared` names the fields that are empty from now on."""

    email: Personal = None
    email_hash: MaybeFingerprint = None
    name: Personal = None
    phone: Personal = None
    phone_hash: MaybeFingerprint = None
    cleared: tuple[str, ...] = ()


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
    """The password hash is stored beside the events."""


class AdminInvited(Event):
    """A token was sent with which the new admin chooses a password, once. Stored as its hash."""

    token: str
    expires_at: datetime


class AdminPasswordResetBegun(Event):
    """The password no longer works. A token was sent with which the admin chooses another."""

    token: str
    expires_at: datetime


class AdminTwoFactorEnrolled(Event):
    """A second factor is prepared; it takes effect once a code of it is confirmed."""

    method: TwoFactorMethod


class AdminTwoFactorConfirmed(Event):
    """The second factor is required from now on. `step` is the time step of the app's code."""

    step: int = 0


class AdminTwoFactorDisabled(Event):
    pass


class AdminTwoFactorReset(Event):
    """Another admin removed the second factor, because its owner had lost it."""


class AdminAccessReset(Event):
    """A super-admin got a new password on the server's command line, and lost the second factor.
    `operator` is the machine's user and host."""

    operator: str


class AdminLoggedIn(Event):
    """A session began, identified by the hash of its token. It ends at `expires_at`, or at
    `idle_at` if unused until then. `step` is the time step of the app's code, which is thereby used
    up; `recovery` says that a recovery code was used."""

    session: str
    expires_at: datetime
    idle_at: datetime | None = None
    step: int | None = None
    recovery: bool = False


class AdminSeen(Event):
    """A session was used, for the first time in a while."""

    session: str
    idle_at: datetime


class AdminLoggedOut(Event):
    session: str


class AdminSessionsRevoked(Event):
    pass


class AdminApiKeyAdded(Event):
    """An API key acts for this admin from now on, within the rights of the key."""

    key_id: UUID


class AdminApiKeyRemoved(Event):
    key_id: UUID


AdminUserEvent = (
    AdminContactChanged
    | AdminUserRoleChanged
    | AdminSuspended
    | AdminReinstated
    | AdminDeactivated
    | AdminActivated
    | AdminPasswordChanged
    | AdminInvited
    | AdminPasswordResetBegun
    | AdminTwoFactorEnrolled
    | AdminTwoFactorConfirmed
    | AdminTwoFactorDisabled
    | AdminTwoFactorReset
    | AdminAccessReset
    | AdminLoggedIn
    | AdminSeen
    | AdminLoggedOut
    | AdminSessionsRevoked
    | AdminApiKeyAdded
    | AdminApiKeyRemoved
)


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


class OneTimeToken(Struct, frozen=True, gc=False):
    """The hash of a token that was sent: for a first password or, with `resets`, for another."""

    token: str
    expires_at: datetime
    resets: bool


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
    contacts: frozenset[str]
    """Keyed hashes of every phone and e-mail that the admin has or had. Two accounts that share one
    belong to the same person, whatever was changed since."""
    status: AdminStatus = AdminStatus.ACTIVE
    last_login: datetime | None = None
    two_factor: TwoFactorMethod | None = None
    """The second factor that is required at log-in."""
    pending_factor: TwoFactorMethod | None = None
    """A second factor that is prepared but not confirmed yet."""
    step: int = 0
    """The time step of the last app code that was accepted: only later ones are accepted."""
    one_time: OneTimeToken | None = None
    """The token that was sent last, unless it was used."""
    epoch: int = 0
    """Goes up whenever all sessions end; a challenge of an earlier epoch is void."""
    sessions: dict[str, Session] = {}
    """By the hash of each token."""
    api_keys: frozenset[UUID] = frozenset()
    touched_at: datetime | None = None
    """When another admin last created or changed the account: its role, contact or access."""

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        tokens = [*self.sessions, *([self.one_time.token] if self.one_time else [])]
        names = ("admin-username", self.username), ("admin-email", self.email_hash)
        return frozenset([*names, *(("token", token) for token in tokens)])

    @property
    def two_factor_enabled(self) -> bool:
        return self.two_factor is not None

    @property
    def display_name(self) -> str | None:
        """The name or, without one, the user name."""
        return self.name or self.username

    @classmethod
    def begin(cls, id: UUID, event: AdminCreated, stamp: Stamp) -> Self:
        return cls.made(
            id,
            event,
            created_at=stamp.at,
            created_by=stamp.admin,
            contacts=hashes(event.phone_hash, event.email_hash),
            touched_at=stamp.noted_at if stamp.admin else None,
        )

    def evolve(self, event: AdminUserEvent, stamp: Stamp) -> Self:
        after = self._evolved(event, stamp)
        by_another = stamp.admin not in (None, self.id)
        return after.but(touched_at=stamp.noted_at) if by_another else after

    def _evolved(self, event: AdminUserEvent, stamp: Stamp) -> Self:  # noqa: C901, PLR0911, PLR0912 - a line an event
        match event:
            case AdminContactChanged():
                bare = "phone" in event.cleared
                return self.but(
                    email=event.email or self.email,
                    email_hash=event.email_hash or self.email_hash,
                    name=None if "name" in event.cleared else event.name or self.name,
                    phone=None if bare else event.phone or self.phone,
                    phone_hash=None if bare else event.phone_hash or self.phone_hash,
                    contacts=self.contacts | hashes(event.phone_hash, event.email_hash),
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
                sent = OneTimeToken(event.token, event.expires_at, resets=False)
                return self.but(one_time=sent)
            case AdminPasswordResetBegun():
                sent = OneTimeToken(event.token, event.expires_at, resets=True)
                return self._shut_out(one_time=sent)
            case AdminTwoFactorEnrolled():
                return self.but(pending_factor=event.method)
            case AdminTwoFactorConfirmed():
                return self._shut_out(
                    two_factor=self.pending_factor, pending_factor=None, step=event.step
                )
            case AdminTwoFactorDisabled() | AdminTwoFactorReset():
                return self._shut_out(two_factor=None, pending_factor=None)
            case AdminAccessReset():
                return self._shut_out(one_time=None, two_factor=None, pending_factor=None)
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
