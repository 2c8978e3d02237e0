"""The routes of the second factor: at the log-in, and for oneself."""

from functools import partial

from api.context import Context
from api.description.components import TEXT, TEXTS, TIME, either, ref, shape
from api.http.call import Call, Reply, at_position
from api.pipeline.commands import read_form
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, operation
from api.routes.admin import AUTH, SESSION, admission, of_admins, position, session_reply
from rim_ledger.admin import two_factor
from rim_ledger.admin.authentication import enter_in_person_to_enrol
from rim_ledger.admin.second_factor import AnswerChallenge

ENROLMENT = {"method": ref("TwoFactorMethod"), "expiresAt": TIME}
OF_AN_APP = ENROLMENT | dict.fromkeys(("secret", "otpauthUri", "qrSvg"), TEXT)


@operation(
    f"POST {AUTH}/login/verify",
    "Answer a challenge",
    form=AnswerChallenge,
    public=True,
    gives=SESSION,
)
async def verify_log_in(context: Context, call: Call, _: Rights) -> Reply:
    """A code for a token."""
    form = await read_form(call, AnswerChallenge)
    session = await context.second_factor.verify(call.stamp(context.environment), form)
    return session_reply(context, session)


@operation(
    f"POST {AUTH}/2fa/enrol",
    "Prepare a second factor",
    action="EnrolTwoFactor",
    enter=enter_in_person_to_enrol,
    form=two_factor.EnrolTwoFactor,
    gives=either(shape("AppEnrolment", OF_AN_APP), shape("Enrolment", ENROLMENT)),
)
async def enrol_second_factor(context: Context, call: Call, rights: Rights) -> Reply:
    """The secret of an app and its picture, told once; for the other methods a code is sent."""
    form, admit = await read_form(call, two_factor.EnrolTwoFactor), _admission(call)
    stamp = call.stamp(context.environment)
    enrolled = await context.second_factor.enrol(stamp, rights.id, form, admit)
    body = {"method": enrolled.method, "expiresAt": enrolled.expires_at}
    if enrolled.secret:
        uri = two_factor.uri(enrolled.secret, enrolled.username)
        body |= {"secret": enrolled.secret, "otpauthUri": uri, "qrSvg": two_factor.qr_svg(uri)}
    return Reply(200, body, [position(context)])


@operation(
    f"POST {AUTH}/2fa/confirm",
    "Let it count",
    action="ConfirmTwoFactor",
    enter=enter_in_person_to_enrol,
    form=two_factor.ConfirmTwoFactor,
    gives={"recoveryCodes": TEXTS},
)
async def confirm_second_factor(context: Context, call: Call, rights: Rights) -> Reply:
    """The recovery codes, told once. Every session ends."""
    form, admit = await read_form(call, two_factor.ConfirmTwoFactor), _admission(call)
    stamp = call.stamp(context.environment)
    receipt, codes = await context.second_factor.confirm(stamp, rights.id, form, admit)
    return Reply(200, {"recoveryCodes": codes}, [at_position(receipt.position)])


@operation(
    f"POST {AUTH}/2fa/disable",
    "Do without",
    action="DisableTwoFactor",
    enter=enter_in_person_to_enrol,
    form=two_factor.DisableTwoFactor,
    status=204,
)
async def disable_second_factor(context: Context, call: Call, rights: Rights) -> Reply:
    """204 when it is done, and every session ends; 202 when a code was sent first."""
    form, admit = await read_form(call, two_factor.DisableTwoFactor), _admission(call)
    stamp = call.stamp(context.environment)
    receipt = await context.second_factor.disable(stamp, rights.id, form, admit)
    if receipt is None:
        return Reply(202, b"", [position(context)])
    return Reply(204, b"", [at_position(receipt.position)])


_admission = partial(admission, enter=enter_in_person_to_enrol)
"""Of an admin who has logged in, even if only to enrol."""


ROUTES: list[AnyRoute] = [
    verify_log_in,
    enrol_second_factor,
    confirm_second_factor,
    disable_second_factor,
    of_admins("POST /{id}/reset-2fa", two_factor.ResetTwoFactor, "Take a second factor away"),
]
