"""The routes of the second factor: at the log-in, and for oneself."""

from typing import TYPE_CHECKING
from uuid import UUID

from api.description.components import ref
from api.http.call import Call, Reply
from api.http.problem import encoded
from api.pipeline.commands import read_form
from api.pipeline.pipeline import admitted
from api.pipeline.routes import AnyRoute, Other, Parameters
from api.routes.admin import (
    AUTH,
    ONE_ADMIN,
    SESSION,
    WRITE,
    Change,
    position,
    rfc3339,
    session_reply,
)
from rim_ledger.admin import authentication, two_factor
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.audit_actor import access_activity
from rim_ledger.admin.second_factor import AnswerChallenge
from rim_ledger.engine.command import Form
from rim_ledger.engine.deciding import Admit

if TYPE_CHECKING:
    from api.context import Context


async def verify_log_in(context: "Context", call: Call, _: Parameters) -> Reply:
    """A code for a token."""
    form = await read_form(call, AnswerChallenge)
    session = await context.second_factor.verify(call.stamp(context.environment), form)
    return session_reply(context, session)


async def enrol_second_factor(context: "Context", call: Call, _: Parameters) -> Reply:
    """The secret of an app and its picture, told once; for the other methods a code is sent."""
    admin, admit = await _person(context, call, two_factor.EnrolTwoFactor)
    form = await read_form(call, two_factor.EnrolTwoFactor)
    enrolled = await context.second_factor.enrol(
        call.stamp(context.environment), admin, form, admit
    )
    body = {"method": enrolled.method, "expiresAt": rfc3339(enrolled.expires_at)}
    if enrolled.secret:
        uri = two_factor.uri(enrolled.secret, enrolled.username)
        told = {"secret": enrolled.secret, "otpauthUri": uri, "qrSvg": two_factor.qr_svg(uri)}
        body |= told
    return Reply(200, encoded(body), [position(context)])


async def confirm_second_factor(context: "Context", call: Call, _: Parameters) -> Reply:
    """The recovery codes, told once. Every session ends."""
    admin, admit = await _person(context, call, two_factor.ConfirmTwoFactor)
    form = await read_form(call, two_factor.ConfirmTwoFactor)
    stamp = call.stamp(context.environment)
    receipt, codes = await context.second_factor.confirm(stamp, admin, form, admit)
    headers = [(b"ledger-position", b"%d" % receipt.position)]
    return Reply(200, encoded({"recoveryCodes": codes}), headers)


async def disable_second_factor(context: "Context", call: Call, _: Parameters) -> Reply:
    """204 when it is done, and every session ends; 202 when a code was sent first."""
    admin, admit = await _person(context, call, two_factor.DisableTwoFactor)
    form = await read_form(call, two_factor.DisableTwoFactor)
    receipt = await context.second_factor.disable(
        call.stamp(context.environment), admin, form, admit
    )
    if receipt is None:
        return Reply(202, b"", [position(context)])
    return Reply(204, b"", [(b"ledger-position", b"%d" % receipt.position)])


async def _person(context: "Context", call: Call, form: type[Form]) -> tuple[UUID, Admit]:
    """Who has logged in, though it be only to enrol; and what admits them again."""
    token, enter = call.token, authentication.enter_in_person_to_enrol
    asked = access_activity(form.__name__)
    rights = await admitted(context, call, activity=asked, enter=enter)
    assert rights.actor.id is not None, "whoever holds a session is an admin"
    return rights.actor.id, lambda uow: enter(uow, token)


TEXT = {"type": "string"}
ENROLMENT = {
    "method": ref("TwoFactorMethod"),
    "expiresAt": {"type": "string", "format": "date-time"},
}
OF_AN_APP = ENROLMENT | {"secret": TEXT, "otpauthUri": TEXT, "qrSvg": TEXT}
CODES = {"recoveryCodes": {"type": "array", "items": TEXT}}

ROUTES: list[AnyRoute] = [
    Other(
        "POST",
        AUTH + "/login/verify",
        verify_log_in,
        "Answer a challenge",
        form=AnswerChallenge,
        public=True,
        gives=SESSION,
        gives_name="Session",
    ),
    Other(
        "POST",
        AUTH + "/2fa/enrol",
        enrol_second_factor,
        "Prepare a second factor",
        form=two_factor.EnrolTwoFactor,
        gives=OF_AN_APP,
        gives_name="AppEnrolment",
        or_gives=ENROLMENT,
        or_gives_name="Enrolment",
    ),
    Other(
        "POST",
        AUTH + "/2fa/confirm",
        confirm_second_factor,
        "Let it count",
        form=two_factor.ConfirmTwoFactor,
        gives=CODES,
    ),
    Other(
        "POST",
        AUTH + "/2fa/disable",
        disable_second_factor,
        "Do without",
        form=two_factor.DisableTwoFactor,
        status=204,
    ),
    Change(
        "POST",
        ONE_ADMIN + "/reset-2fa",
        AdminUser,
        two_factor.ResetTwoFactor,
        WRITE,
        "Take a second factor away",
    ),
]
