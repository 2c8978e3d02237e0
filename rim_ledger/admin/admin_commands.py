"""Commands on an admin's account: create, change or stop it, and set or reset its password."""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Annotated, ClassVar, Final
from uuid import UUID

from pydantic import BeforeValidator, Field

from rim_ledger.admin.admin_role import (
    SUPERADMIN,
    AdminRole,
    AdminRoleGranted,
    AdminRoleWithdrawn,
    alert_superadmins,
    role_to_grant,
)
from rim_ledger.admin.admin_user import (
    LEGAL,
    AdminAccessReset,
    AdminActivated,
    AdminContactChanged,
    AdminCreated,
    AdminDeactivated,
    AdminInvited,
    AdminLoggedOut,
    AdminPasswordChanged,
    AdminPasswordResetBegun,
    AdminReinstated,
    AdminSessionsRevoked,
    AdminStatus,
    AdminSuspended,
    AdminUser,
    AdminUserRoleChanged,
)
from rim_ledger.admin.api_key import require_session
from rim_ledger.admin.passwords import Password, TriedPassword, WithPassword
from rim_ledger.admin.same_person import (
    end_api_keys,
    require_no_greater,
    require_other,
)
from rim_ledger.admin.security_settings import TwoFactorMethod
from rim_ledger.admin.two_factor import forget
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation, perform
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Invalid, NotFound, Refused, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.notification import alert_admins
from rim_ledger.support.support_agent import SupportAgent, agent_stream
from rim_ledger.values import Email, Id, Name, Note, Phone


def claim_email(uow: UnitOfWork, email: str, admin: UUID) -> str:
    """Claim an e-mail for an admin by its keyed hash, and return the hash."""
    hashed = uow.fingerprint("email", email.casefold())
    taken = Refused("email-taken", "Another admin has this e-mail address.")
    uow.claim("admin-email", hashed, admin, taken)
    return hashed


class EditAdmin(Patch[AdminUser]):
    """Change e-mail, name or phone of oneself, or of an admin with no more rights than the caller;
    omitted fields stay as they are. Support agents need a phone."""

    CLEARS = frozenset({"name", "phone"})

    email: Email | None = None
    name: Name | None = None
    phone: Phone | None = None

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        require_no_greater(aggregate, uow)
        changes = self.changes(aggregate, partial(uow.reveal, aggregate.id))
        email, phone = changes.get("email"), changes.get("phone")
        cleared = tuple(sorted(field for field, value in changes.items() if value is None))
        moved = changes.keys() & {"email", "phone"}
        if moved and aggregate.two_factor not in (None, TwoFactorMethod.APP):
            require_session(uow)  # Codes of the second factor are sent there.
        if "phone" in cleared:
            agent = uow.find(SupportAgent, agent_stream(aggregate.id))
            if agent and not agent.archived:
                words = "A support agent has a phone: give another."
                raise Invalid("agent-without-phone", words, "/phone")
            sent = aggregate.two_factor is TwoFactorMethod.SMS
            require(not sent, "no-phone", "The codes of the second factor are sent to this phone.")
        if not changes:
            return
        event = AdminContactChanged(
            **changes,
            email_hash=email and claim_email(uow, email, aggregate.id),
            phone_hash=phone and uow.fingerprint("phone", phone),
            cleared=cleared,
        )
        yield event


INVITATION_LIFE: Final = timedelta(days=7)
RESET_LIFE: Final = timedelta(hours=1)
"""How long an invitation and a password reset token are valid."""

Username = Annotated[
    str,
    Field(min_length=3, max_length=32, pattern=r"^[a-z0-9._-]+$", examples=["ada.obi"]),
    BeforeValidator(lambda text: text.lower() if isinstance(text, str) else text),
]
"""A name to log in with, case-insensitive."""


def own_names(username: str, email: str | None) -> list[str]:
    """Return the account's own names, which its password must not consist of."""
    return [username, *([email.partition("@")[0]] if email else [])]


def _require_another_superadmin(admin: AdminUser, uow: UnitOfWork) -> None:
    """Raise Refused (`last-superadmin`) if the last active super-admin would be removed. The role
    and all its members are read in the same decision, so two concurrent removals cannot both
    succeed."""
    if (admin.role_id, admin.status) != (SUPERADMIN, AdminStatus.ACTIVE):
        return
    others = uow.read(AdminRole, SUPERADMIN).members - {admin.id}
    active = any(uow.read(AdminUser, other).status is AdminStatus.ACTIVE for other in others)
    require(active, "last-superadmin", "At least one active super-admin must remain.")


class CreateAdmin(WithPassword, Creation[AdminUser]):
    """Create an admin, with a role that grants nothing the caller lacks. Without a password, an
    invitation to choose one is sent."""

    username: Username
    email: Email
    name: Name | None = None
    phone: Phone | None = None
    role_id: Id

    @property
    def ruled_as(self) -> tuple[str, ...]:
        return (*super().ruled_as, "AssignRole")

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        role = role_to_grant(self.role_id, uow)
        taken = Refused("username-taken", f"Another admin is named {self.username}.")
        uow.claim("admin-username", self.username, id, taken)
        email_hash = claim_email(uow, self.email, id)
        token = None
        if self.password:
            self.keep_password(uow, id, own_names(self.username, self.email))
        else:
            token = self.claim_token(uow, id)
        words = f"made the account {self.username}, with the role {role.name}."
        alert_superadmins(uow, "An account was made", words)
        uow.append(AdminRole, role.id, [AdminRoleGranted(admin_id=id)])
        yield AdminCreated.of(
            self,
            email_hash=email_hash,
            role_id=role.id,
            phone_hash=self.phone and uow.fingerprint("phone", self.phone),
        )
        if token:
            yield AdminInvited(token=token, expires_at=uow.now + INVITATION_LIFE)


class AssignRole(Command[AdminUser]):
    """Give an admin another role; neither the former nor the new one may grant anything that the
    caller lacks. Ends the admin's sessions."""

    role_id: Id

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        role = role_to_grant(self.role_id, uow)
        require_no_greater(aggregate, uow)
        require_other(aggregate, uow)
        if role.id == aggregate.role_id:
            return
        _require_another_superadmin(aggregate, uow)
        uow.append(AdminRole, aggregate.role_id, [AdminRoleWithdrawn(admin_id=aggregate.id)])
        uow.append(AdminRole, role.id, [AdminRoleGranted(admin_id=aggregate.id)])
        words = f"gave {aggregate.username} the role {role.name}."
        alert_superadmins(uow, "A role was given", words)
        yield AdminUserRoleChanged(role_id=role.id)


def _shut_out(command: str, admin: AdminUser, uow: UnitOfWork) -> None:
    require_other(admin, uow)
    require_no_greater(admin, uow)
    require_legal(admin.status, command, LEGAL)
    _require_another_superadmin(admin, uow)
    end_api_keys(admin, uow)


class SuspendAdmin(Command[AdminUser]):
    """Suspend an admin with no more rights than the caller, for a reason. Ends the admin's
    sessions, and revokes their API keys."""

    reason: Note

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        _shut_out("suspend", aggregate, uow)
        yield AdminSuspended(reason=self.reason)


class ReinstateAdmin(Command[AdminUser]):
    """End the suspension of an admin with no more rights than the caller."""

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        require_no_greater(aggregate, uow)
        require_legal(aggregate.status, "reinstate", LEGAL)
        yield AdminReinstated()


class DeactivateAdmin(Command[AdminUser]):
    """Deactivate an admin with no more rights than the caller. Ends the admin's sessions, and
    revokes their API keys."""

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        _shut_out("deactivate", aggregate, uow)
        yield AdminDeactivated()


class ActivateAdmin(Command[AdminUser]):
    """Activate an inactive admin with no more rights than the caller."""

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        require_no_greater(aggregate, uow)
        require_legal(aggregate.status, "activate", LEGAL)
        yield AdminActivated()


def keep_new_password(form: WithPassword, admin: AdminUser, uow: UnitOfWork) -> None:
    """Store another password hash. The caller appends the event that ends the sessions."""
    email = uow.reveal(admin.id, admin.email)
    form.keep_password(uow, admin.id, own_names(admin.username, email))


def _set_password(form: WithPassword, admin: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
    keep_new_password(form, admin, uow)
    yield AdminPasswordChanged()


class ChangePassword(WithPassword, Command[AdminUser]):
    """Change one's own password, given the present one. Ends all sessions, and revokes all API keys
    unless they are kept."""

    FIELD: ClassVar[str] = "/newPassword"

    current_password: TriedPassword
    password: Annotated[Password, Field(alias="newPassword")]
    end_api_keys: Annotated[
        bool, Field(description="Whether your API keys end as well, for good.")
    ] = True

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        if self.end_api_keys:
            end_api_keys(aggregate, uow)
        return _set_password(self, aggregate, uow)


class ResetPassword(WithPassword, Command[AdminUser]):
    """Give an admin with no more rights than the caller a new password or, without one, send a
    token to choose it with: the former password ends at once. Ends the admin's sessions, and
    revokes their API keys."""

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        require_session(uow)
        require_no_greater(aggregate, uow)
        require_other(aggregate, uow)
        end_api_keys(aggregate, uow)
        if self.password:
            yield from _set_password(self, aggregate, uow)
            return
        uow.keep_secret(aggregate.id, "password", "")
        token = self.claim_token(uow, aggregate.id)
        yield AdminPasswordResetBegun(token=token, expires_at=uow.now + RESET_LIFE)


class LogOut(Command[AdminUser]):
    """End one session; no effect if it has ended already."""

    session: str

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        if self.session in aggregate.sessions:
            yield AdminLoggedOut(session=self.session)


class RevokeSessions(Command[AdminUser]):
    """End all sessions of oneself, or of an admin with no more rights than the caller, and revoke
    their API keys."""

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        require_no_greater(aggregate, uow)
        end_api_keys(aggregate, uow)
        if aggregate.sessions:
            yield AdminSessionsRevoked()


ADMIN: Final = "admin"
"""The resource as it is named in messages."""


class ResetAccess(WithPassword, Command[AdminUser]):
    """Give a super-admin a new password and remove the second factor; ends their sessions, and
    revokes their API keys. Not available over HTTP."""

    operator: str
    """The operating system's user and host, such as root@ledger-1."""

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        able = (aggregate.role_id, aggregate.status) == (SUPERADMIN, AdminStatus.ACTIVE)
        words = "This is for active super-admins; one of them can reset anybody else."
        require(able, "not-superadmin", words)
        end_api_keys(aggregate, uow)
        keep_new_password(self, aggregate, uow)
        forget(aggregate, uow)
        others = uow.read(AdminRole, SUPERADMIN).members - {aggregate.id}
        words = f"reset the access of super-admin {aggregate.username} on the machine."
        alert_admins(uow, others, "A super-admin's access was reset", words, by=self.operator)
        yield AdminAccessReset(operator=self.operator)

    def work(self, username: str, uow: UnitOfWork) -> UUID:
        """Decide for the admin of that name, and log the attempt. Raises NotFound."""
        details = {"operator": self.operator}
        uow.activities[:] = [Activity(action="ResetAccess", resource="admins", details=details)]
        holder = uow.holder("admin-username", username.lower())
        if holder is None:
            raise NotFound(ADMIN, username)
        uow.activities[0] = Activity(
            action="ResetAccess", resource="admins", resource_id=str(holder), details=details
        )
        perform(uow, AdminUser, holder, self)
        return holder
