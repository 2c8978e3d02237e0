"""The routes of administration: sessions, admins, roles, security settings, the audit log."""

from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from api.road.commands import read_form
from api.road.routes import AnyRoute, One, Other, Parameters, Route, resource
from api.wire.call import Call, Reply
from api.wire.problem import encoded
from projections.activity import AdminActivityLogRow
from projections.admin import AdminRoleRow, AdminUserRow, SecuritySettingsRow
from projections.audit import AuditLogRow
from rim_ledger.admin import gate
from rim_ledger.admin.account import (
    ActivateAdmin,
    AssignRole,
    ChangePassword,
    CreateAdmin,
    DeactivateAdmin,
    LogOut,
    ReinstateAdmin,
    ResetPassword,
    RevokeSessions,
    SuspendAdmin,
)
from rim_ledger.admin.acting import at_the_gate
from rim_ledger.admin.admin_role import AdminRole, CreateRole, DeleteRole, EditRole
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.contact import EditAdmin
from rim_ledger.admin.one_time import AcceptInvitation, FinishReset, choose_password
from rim_ledger.admin.permissions import ALL, permissions
from rim_ledger.admin.security_settings import (
    SETTINGS,
    EditSecuritySettings,
    SecuritySettings,
    TwoFactorMethod,
)
from rim_ledger.book import Book, perform

if TYPE_CHECKING:
    from api.road.desk import Desk

AUTH = "/v1/auth"
ADMINS, ONE_ADMIN = "/v1/admin-users", "/v1/admin-users/{id}"
ROLES, ONE_ROLE = "/v1/admin-roles", "/v1/admin-roles/{id}"
SECURITY = "/v1/security-settings"
WRITE, WRITE_ROLES = ("admins", "write"), ("roles", "write")
READ_SECURITY, WRITE_SECURITY = ("security_settings", "read"), ("security_settings", "write")


async def log_in(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """A password for a token."""
    form = await read_form(call, gate.LogIn)
    stamp = call.stamp(desk.world)
    session = await gate.log_in(desk.ledger, desk.attempts, stamp, form, desk.world)
    if isinstance(session, gate.LoggedIn):
        return session_reply(desk, session)
    asked = await desk.second_factor.challenge(stamp, session)
    body = {
        "challenge": asked.challenge,
        "methods": [asked.method],
        "expiresAt": rfc3339(asked.expires_at),
    }
    return Reply(200, encoded(body), [position(desk)])


def session_reply(desk: "Desk", session: gate.LoggedIn) -> Reply:
    """A session that was opened; its token is told once."""
    admin = {"id": session.admin_id, "username": session.username, "role": session.role}
    body = {
        "token": session.token,
        "expiresAt": rfc3339(session.expires_at),
        "enrolOnly": session.enrol_only,
        "admin": admin,
    }
    return Reply(200, encoded(body), [position(desk)])


async def log_out(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """End this session; the others stay."""
    token = call.token
    asked = at_the_gate("LogOut")
    enter = gate.enter_in_person_to_enrol
    admin = (await desk.rights(call, token, activity=asked, enter=enter)).actor.id
    assert admin is not None, "whoever holds a session is an admin"
    command = LogOut(session=token)

    def work(book: Book) -> UUID:
        book.activities.append(asked)
        return perform(book, AdminUser, admin, command)

    receipt = await desk.ledger.submit(
        work,
        call.stamp(desk.world),
        None,
        lambda book: enter(book, token),
    )
    desk.callers.pop(token, None)
    return Reply(204, b"", [(b"ledger-position", b"%d" % receipt.position)])


async def get_myself(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """Who asks, and what they may do."""
    asked = at_the_gate("Read")
    rights = await desk.rights(call, call.token, activity=asked, enter=gate.enter_to_enrol)
    actor = rights.actor
    body = {"id": actor.id, "username": actor.name, "role": actor.role}
    given = [right for right in sorted(ALL) if rights.may(*right)]
    return Reply(200, encoded(body | {"permissions": permissions(given)}), [position(desk)])


async def change_password(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """Another password for oneself; every session ends."""
    token = call.token
    asked, enter = at_the_gate("ChangePassword"), gate.enter_in_person
    admin = (await desk.rights(call, token, activity=asked, enter=enter)).actor.id
    assert admin is not None, "whoever holds a session is an admin"
    form = await read_form(call, ChangePassword)
    receipt = await gate.change_password(
        desk.ledger,
        desk.attempts,
        call.stamp(desk.world),
        admin,
        form,
        admit=lambda book: enter(book, token),
    )
    return Reply(204, b"", [(b"ledger-position", b"%d" % receipt.position)])


async def accept_invitation(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """A first password."""
    return await _choose_password(desk, call, await read_form(call, AcceptInvitation))


async def finish_reset(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """Another password, for one that was reset."""
    return await _choose_password(desk, call, await read_form(call, FinishReset))


async def _choose_password(desk: "Desk", call: Call, form: AcceptInvitation | FinishReset) -> Reply:
    receipt = await choose_password(desk.ledger, call.stamp(desk.world), form)
    return Reply(204, b"", [(b"ledger-position", b"%d" % receipt.position)])


def position(desk: "Desk") -> tuple[bytes, bytes]:
    """How far the log is known to go."""
    return b"ledger-position", b"%d" % desk.ledger.head


def rfc3339(moment: datetime) -> str:
    """A time as the wire writes it."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


TEXT = {"type": "string"}
ADMIN = {"id": {"type": "string", "format": "uuid"}, "username": TEXT, "role": TEXT}
SESSION = {
    "token": TEXT,
    "enrolOnly": {"type": "boolean"},
    "expiresAt": {"type": "string", "format": "date-time"},
    "admin": {"type": "object", "required": [*ADMIN], "properties": ADMIN},
}
CHALLENGE = {
    "challenge": TEXT,
    "methods": {"type": "array", "items": {"type": "string", "enum": [*TwoFactorMethod]}},
    "expiresAt": {"type": "string", "format": "date-time"},
}
MYSELF = ADMIN | {"permissions": {"type": "array", "items": {"type": "object"}}}

ROUTES: list[AnyRoute] = [
    Other(
        "POST",
        AUTH + "/login",
        log_in,
        "Log in",
        form=gate.LogIn,
        public=True,
        gives=SESSION,
        or_gives=CHALLENGE,
    ),
    Other("POST", AUTH + "/logout", log_out, "Log out", status=204),
    Other("GET", AUTH + "/me", get_myself, "Who asks", gives=MYSELF),
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
    Route("POST", ADMINS, AdminUser, CreateAdmin, WRITE, "Take an admin on"),
    Route("PATCH", ONE_ADMIN, AdminUser, EditAdmin, WRITE, "Change e-mail, name or phone"),
    Route("POST", ONE_ADMIN + "/role", AdminUser, AssignRole, WRITE, "Give another role"),
    Route("POST", ONE_ADMIN + "/suspend", AdminUser, SuspendAdmin, WRITE, "Suspend"),
    Route("POST", ONE_ADMIN + "/reinstate", AdminUser, ReinstateAdmin, WRITE, "Reinstate"),
    Route("POST", ONE_ADMIN + "/deactivate", AdminUser, DeactivateAdmin, WRITE, "Deactivate"),
    Route("POST", ONE_ADMIN + "/activate", AdminUser, ActivateAdmin, WRITE, "Activate"),
    Route("POST", ONE_ADMIN + "/reset-password", AdminUser, ResetPassword, WRITE, "New password"),
    Route("POST", ONE_ADMIN + "/revoke-sessions", AdminUser, RevokeSessions, WRITE, "Log out"),
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
