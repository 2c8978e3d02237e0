"""The routes of administration: sessions, admins, roles, security settings, the audit log."""

from uuid import UUID

from api.context import Context
from api.description.components import FLAG, ID, TEXT, TIME, either, ref, several, shape
from api.http.call import Call, Reply, at_position
from api.pipeline.commands import read_form
from api.pipeline.pipeline import request_of
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, CommandRequest, Enter, One, Resource, operation
from projections.activity import AdminActivityLogRow
from projections.admin import AdminRoleRow, AdminUserRow, SecuritySettingsRow
from projections.audit import AuditLogRow
from rim_ledger.admin import admin_commands as admins
from rim_ledger.admin import authentication
from rim_ledger.admin.admin_role import CreateRole, DeleteRole, EditRole
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.audit_actor import access_activity
from rim_ledger.admin.one_time import AcceptInvitation, FinishReset, choose_password, send_token
from rim_ledger.admin.passwords import WithPassword
from rim_ledger.admin.permissions import ALL, permissions
from rim_ledger.admin.security_settings import SETTINGS, EditSecuritySettings
from rim_ledger.admin.session import new_token
from rim_ledger.engine.command import Form, perform
from rim_ledger.engine.deciding import Admit
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.unit_of_work import UnitOfWork

AUTH = "/v1/auth"
SECURITY = "/v1/security-settings"
ADMIN = {"id": ID, "username": TEXT, "role": TEXT}
SESSION = shape(
    "Session",
    {"token": TEXT, "enrolOnly": FLAG, "expiresAt": TIME, "admin": shape("SignedInAdmin", ADMIN)},
)
CHALLENGE = shape(
    "Challenge",
    {"challenge": TEXT, "methods": several(ref("TwoFactorMethod")), "expiresAt": TIME},
)
MYSELF = shape("Myself", ADMIN | {"permissions": several(ref("Permission"))})


@operation(
    f"POST {AUTH}/login",
    "Log in",
    form=authentication.LogIn,
    public=True,
    gives=either(SESSION, CHALLENGE),
)
async def log_in(context: Context, call: Call, _: Rights) -> Reply:
    """A password for a token."""
    form = await read_form(call, authentication.LogIn)
    stamp = call.stamp(context.environment)
    session = await authentication.log_in(
        context.ledger, context.attempts, stamp, form, context.environment
    )
    if isinstance(session, authentication.LoggedIn):
        return session_reply(context, session)
    asked = await context.second_factor.challenge(stamp, session)
    body = {"challenge": asked.challenge, "methods": [asked.method]}
    return Reply(200, body | {"expiresAt": asked.expires_at}, [position(context)])


def session_reply(context: Context, session: authentication.LoggedIn) -> Reply:
    """A new session; its token is shown once."""
    admin = {"id": session.admin_id, "username": session.username, "role": session.role}
    body = {
        "token": session.token,
        "expiresAt": session.expires_at,
        "enrolOnly": session.enrol_only,
        "admin": admin,
    }
    return Reply(200, body, [position(context)])


@operation(
    f"POST {AUTH}/logout",
    "Log out",
    action="LogOut",
    enter=authentication.enter_in_person_to_enrol,
    status=204,
)
async def log_out(context: Context, call: Call, _: Rights) -> Reply:
    """End this session; the others stay."""
    enter, command = authentication.enter_in_person_to_enrol, admins.LogOut(session=call.token)

    def work(uow: UnitOfWork) -> tuple[UUID, None]:
        return perform(uow, AdminUser, uow.stamp.admin, command), None

    request = request_of(context, call, access_activity("LogOut"), enter=enter)
    receipt, _value = await context.ledger.decide(work, *request.terms)
    context.callers.pop(call.token, None)
    return Reply(204, b"", [at_position(receipt.position)])


@operation(f"GET {AUTH}/me", "Who asks", enter=authentication.enter_to_enrol, gives=MYSELF)
async def get_myself(context: Context, _: Call, rights: Rights) -> Reply:
    """Who asks, and what they may do."""
    actor = rights.actor
    body = {"id": actor.id, "username": actor.name, "role": actor.role}
    given = [right for right in sorted(ALL) if rights.may(*right)]
    return Reply(200, body | {"permissions": permissions(given)}, [position(context)])


@operation(
    f"POST {AUTH}/password",
    "New password",
    action="ChangePassword",
    enter=authentication.enter_in_person,
    form=admins.ChangePassword,
    status=204,
)
async def change_password(context: Context, call: Call, rights: Rights) -> Reply:
    """Another password for oneself; every session ends."""
    form, admit = await read_form(call, admins.ChangePassword), admission(call)
    stamp = call.stamp(context.environment)
    receipt = await authentication.change_password(
        context.ledger, context.attempts, stamp, rights.id, form, admit=admit
    )
    return Reply(204, b"", [at_position(receipt.position)])


def admission(call: Call, enter: Enter = authentication.enter_in_person) -> Admit:
    """What admits the caller in each of several decisions."""
    token = call.token
    return lambda uow: enter(uow, token)


@operation(
    f"POST {AUTH}/invitation",
    "Choose a first password",
    form=AcceptInvitation,
    public=True,
    status=204,
)
async def accept_invitation(context: Context, call: Call, _: Rights) -> Reply:
    """A first password."""
    form = await read_form(call, AcceptInvitation)
    receipt = await choose_password(context.ledger, call.stamp(context.environment), form)
    return Reply(204, b"", [at_position(receipt.position)])


@operation(
    f"POST {AUTH}/reset", "Choose another password", form=FinishReset, public=True, status=204
)
async def finish_reset(context: Context, call: Call, _: Rights) -> Reply:
    """Another password, for one that was reset."""
    form = await read_form(call, FinishReset)
    receipt = await choose_password(context.ledger, call.stamp(context.environment), form)
    return Reply(204, b"", [at_position(receipt.position)])


async def hash_or_promise(context: Context, _: CommandRequest, form: WithPassword) -> Form:
    """Have a new password hashed, or make up the token that will be sent in its place."""
    if form.password:
        return await form.hashed()
    return form.promised(new_token(context.environment), context.sender)


async def send_promise(context: Context, request: CommandRequest, receipt: Receipt) -> Receipt:
    """Send the token that was promised, now that it is one."""
    form = request.command
    assert isinstance(form, WithPassword)
    if form.promise and not receipt.replayed:
        await send_token(
            context.ledger, context.sender, context.environment, receipt.id, form.promise
        )
    return receipt


def position(context: Context) -> tuple[bytes, bytes]:
    """How far the log is known to go."""
    return at_position(context.ledger.head)


of_admins = Resource("/v1/admin-users", AdminUserRow, "admins", always={"admits_first": True})
"""Each may end the session of an admin whose own request waits its turn."""
of_roles = Resource("/v1/admin-roles", AdminRoleRow, "roles")
of_settings = Resource(SECURITY, SecuritySettingsRow, "security_settings")

ROUTES: list[AnyRoute] = [
    log_in,
    log_out,
    get_myself,
    change_password,
    accept_invitation,
    finish_reset,
    *of_admins.reads,
    of_admins(
        "POST", admins.CreateAdmin, "Take an admin on", prepare=hash_or_promise, after=send_promise
    ),
    of_admins("PATCH /{id}", admins.EditAdmin, "Change e-mail, name or phone"),
    of_admins("POST /{id}/role", admins.AssignRole, "Give another role"),
    of_admins("POST /{id}/suspend", admins.SuspendAdmin, "Suspend"),
    of_admins("POST /{id}/reinstate", admins.ReinstateAdmin, "Reinstate"),
    of_admins("POST /{id}/deactivate", admins.DeactivateAdmin, "Deactivate"),
    of_admins("POST /{id}/activate", admins.ActivateAdmin, "Activate"),
    of_admins(
        "POST /{id}/reset-password",
        admins.ResetPassword,
        "New password",
        prepare=hash_or_promise,
        after=send_promise,
    ),
    of_admins("POST /{id}/revoke-sessions", admins.RevokeSessions, "Log out"),
    *of_roles.reads,
    of_roles("POST", CreateRole, "Make a role"),
    of_roles("PATCH /{id}", EditRole, "Change a role"),
    of_roles("DELETE /{id}", DeleteRole, "Put a role away"),
    One(SECURITY, SecuritySettingsRow, ("security_settings", "read"), "How people get in"),
    of_settings(
        "PATCH", EditSecuritySettings, "Change how people get in", stream=lambda _: SETTINGS
    ),
    *Resource("/v1/admin-activity-logs", AdminActivityLogRow, "activity_logs").reads,
    *Resource("/v1/audit-logs", AuditLogRow, "audit_logs").reads,
]
