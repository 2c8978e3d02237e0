"""The routes of administration: sessions, admins, roles, the audit log."""

from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from api.body import BODY_MAX, read_body, read_json, require_media_type
from api.call import Call, Reply
from api.commands import errors_in
from api.problem import InvalidFields, encoded
from api.routes import AnyRoute, Other, Parameters, Route, resource
from projections.activity import AdminActivityLogRow
from projections.admin import AdminRoleRow, AdminUserRow
from projections.audit import AuditLogRow
from rim_ledger.admin import gate
from rim_ledger.admin.admin_role import AdminRole, CreateRole, DeleteRole, EditRole
from rim_ledger.admin.admin_user import (
    ActivateAdmin,
    AdminUser,
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
from rim_ledger.admin.permissions import ALL, permissions
from rim_ledger.book import perform
from rim_ledger.core import Form

if TYPE_CHECKING:
    from api.desk import Desk

AUTH = "/v1/auth"
ADMINS, ONE_ADMIN = "/v1/admin-users", "/v1/admin-users/{id}"
ROLES, ONE_ROLE = "/v1/admin-roles", "/v1/admin-roles/{id}"
WRITE, WRITE_ROLES = ("admins", "write"), ("roles", "write")


F = TypeVar("F", bound=Form)


async def _form(call: Call, form: type[F]) -> F:
    body = await read_body(call.receive, call.headers, BODY_MAX)
    require_media_type(call.headers, b"application/json")
    value = read_json(body)
    try:
        return form.model_validate(value)
    except ValidationError as error:
        raise InvalidFields(errors_in(error, value)) from None


async def log_in(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """A password for a token."""
    form = await _form(call, gate.LogIn)
    session = await gate.log_in(
        desk.ledger, call.stamp(desk.world), form.username, form.password, desk.world
    )
    admin = {"id": session.admin_id, "username": session.username, "role": session.role}
    body = {"token": session.token, "expiresAt": _rfc3339(session.expires_at), "admin": admin}
    return Reply(200, encoded(body), [_position(desk)])


async def log_out(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """End this session; the others stay."""
    token = call.token
    admin = await desk.caller(call, token)
    command = LogOut(session=token)
    receipt = await desk.ledger.submit(
        lambda book: perform(book, AdminUser, admin, command),
        call.stamp(desk.world),
        None,
        lambda book: gate.enter(book, token),
    )
    desk.callers.pop(token, None)
    return Reply(204, b"", [(b"ledger-position", b"%d" % receipt.position)])


async def me(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """Who asks, and what they may do."""
    rights = await desk.rights(call, call.token)
    actor = rights.actor
    body = {"id": actor.id, "username": actor.name, "role": actor.role}
    given = [right for right in sorted(ALL) if rights.may(*right)]
    return Reply(200, encoded(body | {"permissions": permissions(given)}), [_position(desk)])


async def change_password(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """Another password for oneself; every session ends."""
    token = call.token
    admin = await desk.caller(call, token)
    form = await _form(call, ChangePassword)
    receipt = await gate.change_password(
        desk.ledger,
        call.stamp(desk.world),
        admin,
        form,
        desk.world,
        admit=lambda book: gate.enter(book, token),
    )
    return Reply(204, b"", [(b"ledger-position", b"%d" % receipt.position)])


def _position(desk: "Desk") -> tuple[bytes, bytes]:
    return b"ledger-position", b"%d" % desk.ledger.head


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


TEXT = {"type": "string"}
ADMIN = {"id": {"type": "string", "format": "uuid"}, "username": TEXT, "role": TEXT}
SESSION = {
    "token": TEXT,
    "expiresAt": {"type": "string", "format": "date-time"},
    "admin": {"type": "object", "required": [*ADMIN], "properties": ADMIN},
}
MYSELF = ADMIN | {"permissions": {"type": "array", "items": {"type": "object"}}}

ROUTES: list[AnyRoute] = [
    Other("POST", AUTH + "/login", log_in, "Log in", form=gate.LogIn, public=True, gives=SESSION),
    Other("POST", AUTH + "/logout", log_out, "Log out", status=204),
    Other("GET", AUTH + "/me", me, "Who asks", gives=MYSELF),
    Other(
        "POST", AUTH + "/password", change_password, "New password", form=ChangePassword, status=204
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
    *resource("/v1/admin-activity-logs", AdminActivityLogRow, "activity_logs"),
    *resource("/v1/audit-logs", AuditLogRow, "audit_logs"),
]
