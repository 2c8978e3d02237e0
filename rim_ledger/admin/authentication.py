"""Authentication: a password opens a session, and its token admits each later request."""

from datetime import datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from msgspec import Struct
from pydantic import Field

from rim_ledger.admin.admin_commands import ChangePassword
from rim_ledger.admin.admin_user import AdminLoggedIn, AdminSeen, AdminStatus, AdminUser
from rim_ledger.admin.api_key import NOTED_EVERY, ApiKey, ApiKeyUsed, require_session
from rim_ledger.admin.audit_actor import (
    NO_ADMIN,
    access_activity,
    act_as,
    failures_logged,
    take_on,
)
from rim_ledger.admin.login_throttle import LoginThrottle
from rim_ledger.admin.passwords import TriedPassword, verify
from rim_ledger.admin.security_settings import SecuritySettings, admits, current, require_address
from rim_ledger.admin.session import SESSION, USES_RECORDED, claim_token, new_token
from rim_ledger.admin.two_factor import must_enrol
from rim_ledger.approvals.approval_rule import require_no_approval
from rim_ledger.customers import access as customer_access
from rim_ledger.customers.access import CustomerAccess
from rim_ledger.engine.aggregate import Stamp
from rim_ledger.engine.command import Form, perform
from rim_ledger.engine.deciding import Admit
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.ledger import Ledger, admit_all
from rim_ledger.engine.refusals import Forbidden, Invalid, Unauthenticated
from rim_ledger.engine.unit_of_work import UnitOfWork


class LogIn(Form):
    """Credentials of a log-in."""

    username: Annotated[str, Field(max_length=200)]
    password: TriedPassword


class LoggedIn(Struct, frozen=True):
    """A session. The token is shown once; the ledger stores only its hash."""

    token: str
    expires_at: datetime
    admin_id: UUID
    username: str
    role: str
    enrol_only: bool = False
    """Whether it may only be used to enrol a second factor."""


class FactorDue(Struct, frozen=True):
    """The password was right; the second factor is required next."""

    admin_id: UUID
    epoch: int


def enter(
    uow: UnitOfWork,
    token_hash: str,
    *,
    enrolling: bool = False,
    in_person: bool = False,
    own: bool = False,
) -> None:
    """Admit the admin of a live session or API key: sets actor, rights and contacts of the
    decision, and records from time to time that the session or key is used. A key never grants more
    than its owner has now. A borrower's session is admitted only to routes that are `own`.

    Raises Unauthenticated if there is no such session or key, or it has ended; Forbidden
    (`ip-blocked`) if the caller's address is blocked, or (`two-factor-required`) if the admin must
    enrol a second factor first. While `enrolling`, such an admin is admitted without rights.
    `in_person` no API key is admitted (`session-required`).
    """
    holder = uow.holder("token", token_hash)
    if holder and (access := uow.find(CustomerAccess, holder)):
        customer_access.enter(uow, access, token_hash, current(uow))
        if not own:
            raise Forbidden("forbidden", "This is not open to borrowers.")
        return
    key = uow.find(ApiKey, holder) if holder else None
    admin = uow.find(AdminUser, key.owner if key else holder) if holder else None
    session = admin.sessions.get(token_hash) if admin else None
    settings = current(uow)
    lives = key.lives(uow.now) if key else session and session.is_live(uow.now, settings.idle)
    if not admin or not lives or admin.status is not AdminStatus.ACTIVE:
        uow.activities.clear()  # The activities had no authenticated actor.
        raise Unauthenticated("unauthenticated", "Please log in: there is no live session.")
    take_on(admin, uow, key)
    uow.guard = require_no_approval
    require_address(uow, settings)
    if key and not admits(uow.stamp.ip, key.ip_whitelist, ()):
        raise Forbidden("ip-blocked", "This API key is not let in from this address.")
    if must_enrol(admin, settings):
        if not enrolling:
            words = "The security settings ask for a second factor: enrol one first."
            raise Forbidden("two-factor-required", words)
        uow.rights = frozenset()
    if in_person:
        require_session(uow)
    if key:
        _note_use(key, uow)
    elif session and uow.now >= session.seen_at + settings.idle / USES_RECORDED:
        seen = AdminSeen(session=token_hash, idle_at=uow.stamp.at + settings.idle)
        uow.append(AdminUser, admin.id, [seen])


def _note_use(key: ApiKey, uow: UnitOfWork) -> None:
    if key.last_used_at is None or uow.now - key.last_used_at >= NOTED_EVERY:
        uow.append(ApiKey, key.id, [ApiKeyUsed()])


enter_own = partial(enter, own=True)
"""Admits an admin, or a borrower to routes that are open to borrowers."""
enter_in_person = partial(enter, in_person=True)
"""Admits a logged-in admin, but no API key."""
enter_to_enrol = partial(enter, enrolling=True)
"""Admits an admin, also one who must still enrol a second factor."""
enter_in_person_to_enrol = partial(enter, in_person=True, enrolling=True)
"""Admits a logged-in admin, also one who must still enrol a second factor, but no API key."""


async def log_in(
    ledger: Ledger,
    attempts: LoginThrottle,
    stamp: Stamp,
    form: LogIn,
    environment: Environment,
) -> LoggedIn | FactorDue:
    """Open a session for an active admin, or say that the second factor is due.

    Raises Unauthenticated with the one code `invalid-credentials`, after the same work, whether the
    name, the password or the status is at fault; TooManyAttempts, without verifying the password,
    after too many of those; Forbidden (`ip-blocked`) for a blocked address.
    """
    name = form.username.lower()
    token, admin_id, known = new_token(environment), NO_ADMIN, ""

    def look_up(uow: UnitOfWork) -> tuple[SecuritySettings, UUID, str]:
        settings = current(uow)
        require_address(uow, settings)
        holder = uow.holder("admin-username", name) or NO_ADMIN
        admin = uow.find(AdminUser, holder)
        kept = uow.secret(holder, "password") or ""
        active = admin is not None and admin.status is AdminStatus.ACTIVE
        return settings, holder, kept if active else ""

    def begin(uow: UnitOfWork) -> tuple[UUID, LoggedIn | FactorDue]:
        admin = uow.read(AdminUser, admin_id)
        still = uow.secret(admin_id, "password") == known
        if not still or admin.status is not AdminStatus.ACTIVE:
            raise _invalid()
        due = FactorDue(admin_id, admin.epoch)
        act_as(admin, uow)
        opened = due if admin.two_factor else begin_session(uow, admin, token)
        uow.activities.append(access_activity("LogIn"))
        return admin_id, opened

    async with failures_logged(ledger, stamp, "LogIn", lambda: admin_id, attempts):
        settings, admin_id, known = await ledger.read(look_up, stamp)
        async with attempts.attempt(name, stamp.ip, settings) as attempt:
            if not await verify(known, form.password):
                raise _invalid()
            _, opened = await ledger.decide(begin, stamp)
            # A password alone does not reset the count of wrong codes.
            if isinstance(opened, LoggedIn):
                await attempt.forgive()
    return opened


async def change_password(
    ledger: Ledger,
    attempts: LoginThrottle,
    stamp: Stamp,
    admin_id: UUID,
    form: ChangePassword,
    *,
    admit: Admit = admit_all,
) -> Receipt:
    """Change one's own password, which ends all of one's sessions.

    Raises Invalid (`wrong-password`) if the present one is wrong, and TooManyAttempts after too
    many of those; failed log-ins count as well.
    """

    def look_up(uow: UnitOfWork) -> tuple[SecuritySettings, str, str]:
        name = uow.read(AdminUser, admin_id).username
        return current(uow), name, uow.secret(admin_id, "password") or ""

    wrong = Invalid("wrong-password", "This is not your present password.", "/currentPassword")
    settings, name, known = await ledger.read(look_up, stamp, admit)
    async with failures_logged(ledger, stamp, "ChangePassword", lambda: admin_id, attempts):
        async with attempts.attempt(name, stamp.ip, settings):
            if not await verify(known, form.current_password):
                raise wrong
        ready = await form.hashed()

    def change(uow: UnitOfWork) -> UUID:
        if uow.secret(admin_id, "password") != known:
            raise wrong
        uow.activities.append(access_activity("ChangePassword"))
        return perform(uow, AdminUser, admin_id, ready)

    return await ledger.submit(change, stamp, admit=admit)


def begin_session(
    uow: UnitOfWork,
    before: AdminUser,
    token: str,
    step: int | None = None,
    *,
    recovery: bool = False,
) -> LoggedIn:
    """Begin a session of an authenticated admin; `step` and `recovery` say with which code.
    Sessions that have expired or are too many end here."""
    role = act_as(before, uow)
    session, now = claim_token(uow, token, before.id), uow.stamp.at
    settings = current(uow)
    begun = AdminLoggedIn(
        session=session,
        expires_at=now + SESSION,
        idle_at=now + settings.idle,
        step=step,
        recovery=recovery,
    )
    uow.append(AdminUser, before.id, [begun])
    enrol_only = must_enrol(before, settings)
    return LoggedIn(token, begun.expires_at, before.id, before.username, role.name, enrol_only)


def _invalid() -> Unauthenticated:
    return Unauthenticated("invalid-credentials", "The user name or the password is wrong.")
