"""The routes of an admin's own sessions: which there are, and to end one."""

from typing import Final
from uuid import UUID

from api.context import Context
from api.description.components import FLAG, ID, TIME, several, shape
from api.http.call import Call, Reply, at_position
from api.http.ids import missing
from api.pipeline.pipeline import look, request_of
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, operation
from api.routes.admin import AUTH, position
from rim_ledger.admin.admin_commands import LogOut
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.audit_actor import access_activity
from rim_ledger.admin.authentication import enter_in_person_to_enrol
from rim_ledger.admin.security_settings import current
from rim_ledger.admin.session import Session, Sessions, session_id
from rim_ledger.engine.command import perform
from rim_ledger.engine.unit_of_work import UnitOfWork

SESSIONS: Final = AUTH + "/sessions"
OWN_SESSION: Final = shape(
    "OwnSession", {"id": ID, "current": FLAG, "seenAt": TIME, "expiresAt": TIME}
)


@operation(
    f"GET {SESSIONS}",
    "One's own sessions",
    enter=enter_in_person_to_enrol,
    gives={"items": several(OWN_SESSION)},
)
async def list_sessions(context: Context, call: Call, _: Rights) -> Reply:
    """The live sessions of the caller, the newest first: when each was last seen to be used, to a
    tenth of the idle timeout, and when it ends at the latest if it is not used."""

    def see(uow: UnitOfWork) -> list[dict[str, object]]:
        return [
            {
                "id": session_id(token),
                "current": token == call.token,
                "seenAt": each.seen_at,
                "expiresAt": min(each.expires_at, each.idle_at, each.seen_at + current(uow).idle),
            }
            for token, each in reversed(_live(uow))
        ]

    request = request_of(context, call, None, enter=enter_in_person_to_enrol)
    return Reply(200, {"items": await look(context, request, see)}, [position(context)])


@operation(
    f"DELETE {SESSIONS}/{{id}}",
    "End one of one's own sessions",
    action="EndSession",
    enter=enter_in_person_to_enrol,
    status=204,
)
async def end_session(context: Context, call: Call, _: Rights) -> Reply:
    """End a session of the caller, from the next request in every process. Any other is 404."""

    def work(uow: UnitOfWork) -> tuple[UUID, str]:
        named = call.path_params["id"].lower()
        found = [token for token, _ in _live(uow) if str(session_id(token)) == named]
        if not found:
            raise missing(Session)
        return perform(uow, AdminUser, uow.stamp.admin, LogOut(session=found[0])), found[0]

    activity = access_activity("EndSession")
    request = request_of(context, call, activity, enter=enter_in_person_to_enrol)
    receipt, token = await context.ledger.decide(work, *request.terms)
    context.callers.pop(token, None)
    return Reply(204, b"", [at_position(receipt.position)])


def _live(uow: UnitOfWork) -> list[tuple[str, Session]]:
    """The caller's live sessions by the hashes of their tokens, the oldest first."""
    assert uow.stamp.admin, "an admin was admitted"
    sessions: Sessions = uow.read(AdminUser, uow.stamp.admin).sessions
    idle = current(uow).idle
    return [each for each in sessions.items() if each[1].is_live(uow.now, idle)]


ROUTES: list[AnyRoute] = [list_sessions, end_session]
