"""What can happen to an admin."""

from datetime import datetime
from uuid import UUID

from rim_ledger.admin.security_settings import TwoFactorMethod
from rim_ledger.engine.core import Event, Personal
from rim_ledger.vault.fingerprints import Fingerprint, MaybeFingerprint


class AdminCreated(Event):
    username: str
    email: Personal
    email_hash: Fingerprint
    role_id: UUID
    name: Personal = None
    phone: Personal = None
    phone_hash: MaybeFingerprint = None


class AdminContactChanged(Event):
    """Only what changed is set; `cleared` names what is empty from now on."""

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
    """The password itself is kept as a hash beside the events."""


class AdminInvited(Event):
    """A token was sent with which the new admin chooses a password, once. Known by its hash."""

    token: str
    expires_at: datetime


class AdminPasswordResetBegun(Event):
    """The password is no longer one. A token was sent with which the admin chooses another."""

    token: str
    expires_at: datetime


class AdminTwoFactorEnrolled(Event):
    """A second factor is prepared; it counts once a code of it was right."""

    method: TwoFactorMethod


class AdminTwoFactorConfirmed(Event):
    """The second factor is asked for from now on. A code of an app is known by its time step."""

    step: int = 0


class AdminTwoFactorDisabled(Event):
    pass


class AdminTwoFactorReset(Event):
    """Another admin took the second factor away, for somebody who has lost it."""


class AdminAccessReset(Event):
    """On the machine itself a super-admin was given a new password, and the second factor was taken
    away: by `operator`, the machine's user and host."""

    operator: str


class AdminLoggedIn(Event):
    """A session began. It is named by the hash of its token. It ends at `expires_at`, and at
    `idle_at` when it is left alone until then. Of a second factor it tells the time step of the
    app's code, which is thereby used up, or that a recovery code was."""

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
    """A machine acts for this admin from now on, within the rights of its key."""

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
