"""The routes of administration: sessions, admins, roles, security settings, the audit log."""

from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

from api.description.components import ref, shape
from api.http.call import Call, Reply
from api.http.problem import encoded
from api.pipeline.commands import read_form
from api.pipeline.pipeline import admitted, decide, request_of
from api.pipeline.routes import AnyRoute, One, Other, Parameters, Route, resource
from projections.activity import AdminActivityLogRow
from projections.admin import AdminRoleRow, AdminUserRow, SecuritySettingsRow
from projections.audit import AuditLogRow
from rim_ledger.admin import authentication
from rim_ledger.admin.admin_commands import (
    ActivateAdmin,
    AssignRole,
    ChangePassword,
    CreateAdmin,
    DeactivateAdmin,
    EditAdmin,
    LogOut,
    ReinstateAdmin,
    ResetPassword,
    RevokeSessions,
    SuspendAdmin,
)
from rim_ledger.admin.admin_role import AdminRole, CreateRole, DeleteRole, EditRole
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.audit_actor import access_activity
from rim_ledger.admin.one_time import AcceptInvitation, FinishReset, choose_password, send_token
from rim_ledger.admin.passwords import WithPassword
from rim_ledger.admin.permissions import ALL, permissions
from rim_ledger.admin.security_settings import (
    SETTINGS,
    EditSecuritySettings,
    SecuritySettings,
)
from rim_ledger.admin.session import new_token
from rim_ledger.engine.command import Form, perform
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from api.context import Context
    from api.pipeline.routes import CommandRequest

AUTH = "/v1/auth"
ADMINS, ONE_ADMIN = "/v1/admin-users", "/v1/admin-users/{id}"
ROLES, ONE_ROLE = "/v1/admin-roles", "/v1/admin-roles/{id}"
SECURITY = "/v1/security-settings"
WRITE, WRITE_ROLES = ("admins", "write"), ("roles", "write")
READ_SECURITY, WRITE_SECURITY = ("security_settings", "read"), ("security_settings", "write")


async def log_in(context: "Context", call: Call, _: Parameters) -> Reply:
    """A password for a token."""
    form = await read_form(call, authentication.LogIn)
    stamp = call.stamp(context.environment)
    session = await authentication.log_in(
        context.ledger, context.attempts, stamp, form, context.environment
    )
    if isinstance(session, authentication.LoggedIn):
        return session_reply(context, session)
    asked = await context.second_factor.challenge(stamp, session)
    body = {
        "challenge": asked.challenge,
        "methods": [asked.method],
        "expiresAt": rfc3339(asked.expires_at),
    }
    return Reply(200, encoded(body), [position(context)])


def session_reply(context: "Context", session: authentication.LoggedIn) -> Reply:
    """A session that was opened; its token is told once."""
    admin = {"id": session.admin_id, "username": session.username, "role": session.role}
    body = {
        "token": session.token,
        "expiresAt": rfc3339(session.expires_at),
        "enrolOnly": session.enrol_only,
        "admin": admin,
    }
    return Reply(200, encoded(body), [position(context)])


async def log_out(context: "Context", call: Call, _: Parameters) -> Reply:
    """End this session; the others stay."""
    enter, token = authentication.enter_in_person_to_enrol, call.token

    def work(uow: UnitOfWork) -> tuple[UUID, None]:
        return perform(uow, AdminUser, uow.stamp.admin, LogOut(session=token)), None

    request = request_of(context, call, access_activity("LogOut"), enter=enter)
    receipt = (await decide(context, request, work))[0]
    context.callers.pop(token, None)
    return Reply(204, b"", [(b"ledger-position", b"%d" % receipt.position)])


async def get_myself(context: "Context", call: Call, _: Parameters) -> Reply:
    """Who asks, and what they may do."""
    asked = access_activity("Read")
    rights = await admitted(context, call, activity=asked, enter=authentication.enter_to_enrol)
    actor = rights.actor
    body = {"id": actor.id, "username": actor.name, "role": actor.role}
    given = [right for right in sorted(ALL) if rights.may(*right)]
    return Reply(200, encoded(body | {"permissions": permissions(given)}), [position(context)])


async def change_password(context: "Context", call: Call, _: Parameters) -> Reply:
    """Another password for oneself; every session ends."""
    token = call.token
    asked, enter = access_activity("ChangePassword"), authentication.enter_in_person
    admin = (await admitted(context, call, activity=asked, enter=enter)).actor.id
    assert admin is not None, "whoever holds a session is an admin"
    form = await read_form(call, ChangePassword)
    receipt = await authentication.change_password(
        context.ledger,
        context.attempts,
        call.stamp(context.environment),
        admin,
        form,
        admit=lambda uow: enter(uow, token),
    )
    return Reply(204, b"", [(b"ledger-position", b"%d" % receipt.position)])


async def accept_invitation(context: "Context", call: Call, _: Parameters) -> Reply:
    """A first password."""
    return await _choose_password(context, call, await read_form(call, AcceptInvitation))


async def finish_reset(context: "Context", call: Call, _: Parameters) -> Reply:
    """Another password, for one that was reset."""
    return await _choose_password(context, call, await read_form(call, FinishReset))


async def _choose_password(
    context: "Context", call: Call, form: AcceptInvitation | FinishReset
) -> Reply:
    receipt = await choose_password(context.ledger, call.stamp(context.environment), form)
    return Reply(204, b"", [(b"ledger-position", b"%d" % receipt.position)])


async def hash_or_promise(context: "Context", request: "CommandRequest") -> Form:
    """Have a new password hashed, or make up the token that will be sent in its place."""
    form = request.command
    assert isinstance(form, WithPassword)
    if form.password:
        return await form.hashed()
    return form.promised(new_token(context.environment), context.sender)


async def send_promise(context: "Context", request: "CommandRequest", receipt: Receipt) -> Receipt:
    """Send the token that was promised, now that it is one."""
    form = request.command
    assert isinstance(form, WithPassword)
    if form.promise and not receipt.replayed:
        await send_token(
            context.ledger, context.sender, context.environment, receipt.id, form.promise
        )
    return receipt


def position(context: "Context") -> tuple[bytes, bytes]:
    """How far the log is known to go."""
    return b"ledger-position", b"%d" % context.ledger.head


def rfc3339(moment: datetime) -> str:
    """A time as the wire writes it."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


TEXT = {"type": "string"}
ADMIN = {"id": {"type": "string", "format": "uuid"}, "username": TEXT, "role": TEXT}
SESSION = {
    "token": TEXT,
    "enrolOnly": {"type": "boolean"},
    "expiresAt": {"type": "string", "format": "date-time"},
    "admin": shape("SignedInAdmin", ADMIN),
}
CHALLENGE = {
    "challenge": TEXT,
    "methods": {"type": "array", "items": ref("TwoFactorMethod")},
    "expiresAt": {"type": "string", "format": "date-time"},
}
MYSELF = ADMIN | {"permissions": {"type": "array", "items": ref("Permission")}}

Change = partial(Route, admits_first=True)
"""A change of an admin, for whom it may be the end of a session in which others wait their turn."""

ROUTES: list[AnyRoute] = [
    Other(
        "POST",
        AUTH + "/login",
        log_in,
        "Log in",
        form=authentication.LogIn,
        public=True,
        gives=SESSION,
        gives_name="Session",
        or_gives=CHALLENGE,
        or_gives_name="Challenge",
    ),
    Other("POST", AUTH + "/logout", log_out, "Log out", status=204),
    Other("GET", AUTH + "/me", get_myself, "Who asks", gives=MYSELF, gives_name="Myself"),
    Other(
        "POST", AUTH + "/password", change_password, "New password", form=ChangePassword, status=204
    ),
    Other(
        "POST",
        AUTH + "/invitation",
        accept_invitation,
        "Choose a first password",
        form=AcceptInvitation,
        public=True,
        status=204,
    ),
    Other(
        "POST",
        AUTH + "/reset",
        finish_reset,
        "Choose another password",
        form=FinishReset,
        public=True,
        status=204,
    ),
    *resource(ADMINS, AdminUserRow, "admins"),
    Change(
        "POST",
        ADMINS,
        AdminUser,
        CreateAdmin,
        WRITE,
        "Take an admin on",
        prepare=hash_or_promise,
        after=send_promise,
    ),
    Change("PATCH", ONE_ADMIN, AdminUser, EditAdmin, WRITE, "Change e-mail, name or phone"),
    Change("POST", ONE_ADMIN + "/role", AdminUser, AssignRole, WRITE, "Give another role"),
    Change("POST", ONE_ADMIN + "/suspend", AdminUser, SuspendAdmin, WRITE, "Suspend"),
    Change("POST", ONE_ADMIN + "/reinstate", AdminUser, ReinstateAdmin, WRITE, "Reinstate"),
    Change("POST", ONE_ADMIN + "/deactivate", AdminUser, DeactivateAdmin, WRITE, "Deactivate"),
    Change("POST", ONE_ADMIN + "/activate", AdminUser, ActivateAdmin, WRITE, "Activate"),
    Change(
        "POST",
        ONE_ADMIN + "/reset-password",
        AdminUser,
        ResetPassword,
        WRITE,
        "New password",
        prepare=hash_or_promise,
        after=send_promise,
    ),
    Change("POST", ONE_ADMIN + "/revoke-sessions", AdminUser, RevokeSessions, WRITE, "Log out"),
    *resource(ROLES, AdminRoleRow, "roles"),
    Route("POST", ROLES, AdminRole, CreateRole, WRITE_ROLES, "Make a role"),
    Route("PATCH", ONE_ROLE, AdminRole, EditRole, WRITE_ROLES, "Change a role"),
    Route("DELETE", ONE_ROLE, AdminRole, DeleteRole, ("roles", "delete"), "Put a role away"),
    One(SECURITY, SecuritySettingsRow, READ_SECURITY, "How people get in"),
    Route(
        "PATCH",
        SECURITY,
        SecuritySettings,
        EditSecuritySettings,
        WRITE_SECURITY,
        "Change how people get in",
        lambda _: SETTINGS,
    ),
    *resource("/v1/admin-activity-logs", AdminActivityLogRow, "activity_logs"),
    *resource("/v1/audit-logs", AuditLogRow, "audit_logs"),
]
