"""The routes of templates: of e-mails and of SMS, to be kept, looked at and tried."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from msgspec.structs import replace

from api.http.call import Call, Reply
from api.http.ids import resolve
from api.http.problem import encoded
from api.pipeline.commands import read_form, receipt_headers, receipt_json
from api.pipeline.pipeline import decide, request_of
from api.pipeline.routes import AnyRoute, Other, Parameters, Route, activity_of, resource
from projections.notifications import EmailTemplateRow, SmsTemplateRow
from rim_ledger.delivery.port import Channel, Message
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.idempotency import Idempotency
from rim_ledger.engine.refusals import Unavailable, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.contact import recipient_hash, require_test_recipient
from rim_ledger.notifications.sms_text import measured
from rim_ledger.notifications.template import (
    ArchiveEmailTemplate,
    ArchiveSmsTemplate,
    CreateEmailTemplate,
    CreateSmsTemplate,
    DisableEmailTemplate,
    DisableSmsTemplate,
    EmailTemplate,
    EnableEmailTemplate,
    EnableSmsTemplate,
    PreviewEmail,
    PreviewSms,
    SmsTemplate,
    TryEmail,
    TrySms,
    UpdateEmailTemplate,
    UpdateSmsTemplate,
)
from rim_ledger.notifications.template_text import FillIn, require_enabled
from rim_ledger.postgres.outage import OUTAGE, unavailable
from rim_ledger.postgres.pool import lease

if TYPE_CHECKING:
    from api.context import Context

T = TypeVar("T", EmailTemplate, SmsTemplate)
F = TypeVar("F", bound=FillIn)

EMAILS, ONE_EMAIL = "/v1/email-templates", "/v1/email-templates/{id}"
SMS, ONE_SMS = "/v1/sms-templates", "/v1/sms-templates/{id}"
READ, WRITE, DELETE = ("templates", "read"), ("templates", "write"), ("templates", "delete")
DISABLED: Final = "The template is disabled: nothing is sent from it."
ARCHIVED: Final = "The template was put away: nothing is sent from it."
CHANNELS: Final = {EmailTemplate: Channel.EMAIL, SmsTemplate: Channel.SMS}
RECEIPT: Final = {
    "id": {"type": "string", "format": "uuid"},
    "version": {"type": "integer"},
    "position": {"type": "integer"},
}


async def preview_email_template(context: "Context", call: Call, parameters: Parameters) -> Reply:
    """An e-mail as it would be sent with these values. Its body is HTML."""
    template, form = await _look(context, call, parameters, EmailTemplate, PreviewEmail)
    letter = template.filled(form.values)
    warnings = _standing(template)
    return _told(context, {"subject": letter.subject, "body": letter.body, "warnings": warnings})


async def preview_sms_template(context: "Context", call: Call, parameters: Parameters) -> Reply:
    """An SMS as it would be sent with these values, and what that costs."""
    template, form = await _look(context, call, parameters, SmsTemplate, PreviewSms)
    text = template.filled(form.values)
    cost = measured(text)
    warnings = _standing(template)
    if cost.offending:
        which = " ".join(cost.offending)
        warnings.append(f"Not in GSM-7, so that 70 characters fill an SMS: {which}")
    if cost.segments > 1:
        warnings.append(f"It is sent, and paid for, as {cost.segments} segments.")
    told = {"encoding": cost.encoding, "units": cost.units, "segments": cost.segments}
    return _told(context, {"body": text, **told, "warnings": warnings})


async def send_test_email(context: "Context", call: Call, parameters: Parameters) -> Reply:
    """Send one e-mail to oneself, at the recorded address, or to one of RIM_TEST_RECIPIENTS. It is
    no notification: no row is kept, but for a keyed hash of the recipient in the activity log."""
    form = await read_form(call, TryEmail)

    def written(template: EmailTemplate) -> Message:
        letter, reference = template.filled(form.values), str(context.environment.new_id())
        return Message(Channel.EMAIL, form.to, letter.subject, letter.body, reference, html=True)

    return await _try(context, call, parameters, EmailTemplate, form=form, written=written)


async def send_test_sms(context: "Context", call: Call, parameters: Parameters) -> Reply:
    """Send one SMS to oneself, at the recorded phone, or to one of RIM_TEST_RECIPIENTS. It is no
    notification: no row is kept, but for a keyed hash of the recipient in the activity log."""
    form = await read_form(call, TrySms)

    def written(template: SmsTemplate) -> Message:
        text, reference = template.filled(form.values), str(context.environment.new_id())
        return Message(Channel.SMS, form.to, None, text, reference)

    return await _try(context, call, parameters, SmsTemplate, form=form, written=written)


async def _look(
    context: "Context", call: Call, parameters: Parameters, kind: type[T], form: type[F]
) -> tuple[T, F]:
    """The template that a reader's path names, and what they fill in."""
    wish = await read_form(call, form)

    def look(uow: UnitOfWork) -> T:
        return uow.read(kind, resolve(uow, kind, parameters["id"]))

    return await context.ledger.read(look, Stamp(at=context.environment.now(), actor=SYSTEM)), wish


async def _try(
    context: "Context",
    call: Call,
    parameters: Parameters,
    kind: type[T],
    *,
    form: TryEmail | TrySms,
    written: Callable[[T], Message],
) -> Reply:
    """Send what a template gives with these values, once under a key. Only that it went is kept:
    whoever was told that it did not may ask again."""
    asked = replace(
        activity_of(type(form).__name__, call.path, parameters),
        details={"recipientHash": recipient_hash(context.vault, form.to)},
    )
    request = request_of(context, call, asked, WRITE, meant=form)

    def find(uow: UnitOfWork) -> tuple[None, T]:
        require_test_recipient(uow, CHANNELS[kind], form.to, context.test_recipients)
        context.sender.require(CHANNELS[kind], uow)
        template = uow.read(kind, resolve(uow, kind, parameters["id"]))
        require_enabled(enabled=template.enabled, archived=template.archived)
        template.filled(form.values)
        uow.activities.clear()  # What comes of it is logged when it is done.
        return None, template

    async with _alone(context, request.idempotency):
        receipt, template = await decide(context, request, find)
        if receipt is None:
            failure = await _send(context, written(template))

            def record(uow: UnitOfWork) -> tuple[UUID, None]:
                if failure:
                    raise failure  # From here, so that the log of activities has it.
                return uow.read(kind, template.id).id, None

            receipt, _ = await decide(context, request, record)
    return Reply(200, receipt_json(kind, receipt), receipt_headers(receipt))


async def _send(context: "Context", message: Message) -> Unavailable | None:
    """Send a message; why it did not go, if it did not."""
    try:
        await context.sender.send(message)
    except Unavailable as error:
        return error
    return None


@asynccontextmanager
async def _alone(context: "Context", idempotency: Idempotency | None) -> AsyncIterator[None]:
    """Let nobody else, in whatever process, send under the same key at the same time."""
    if idempotency is None:
        yield
        return
    what = f"test-send {idempotency.caller} {idempotency.key}"
    try:
        async with context.trials, lease(context.url, what) as free:
            require(free, "request-in-progress", "This request is being carried out under its key.")
            yield
    except OUTAGE as error:  # Whoever asks again under the same key is told what came of it.
        raise unavailable(error) from None


def _standing(template: EmailTemplate | SmsTemplate) -> list[str]:
    """What keeps a template from being used."""
    if template.archived:
        return [ARCHIVED]
    return [] if template.enabled else [DISABLED]


def _told(context: "Context", fields: dict[str, object]) -> Reply:
    return Reply(200, encoded(fields), [(b"ledger-position", b"%d" % context.ledger.head)])


_text = {"type": "string"}
_warnings = {"warnings": {"type": "array", "items": _text}}
_cost = {"encoding": _text, "units": {"type": "integer"}, "segments": {"type": "integer"}}

ROUTES: list[AnyRoute] = [
    *resource(EMAILS, EmailTemplateRow, "templates"),
    Route("POST", EMAILS, EmailTemplate, CreateEmailTemplate, WRITE, "Keep a template"),
    Route("PATCH", ONE_EMAIL, EmailTemplate, UpdateEmailTemplate, WRITE, "Change a template"),
    Route("DELETE", ONE_EMAIL, EmailTemplate, ArchiveEmailTemplate, DELETE, "Put away"),
    Route("POST", ONE_EMAIL + "/enable", EmailTemplate, EnableEmailTemplate, WRITE, "Enable"),
    Route("POST", ONE_EMAIL + "/disable", EmailTemplate, DisableEmailTemplate, WRITE, "Disable"),
    Other(
        "POST",
        ONE_EMAIL + "/preview",
        preview_email_template,
        "See an e-mail",
        READ,
        form=PreviewEmail,
        gives={"subject": _text, "body": _text, **_warnings},
    ),
    Other(
        "POST",
        ONE_EMAIL + "/test-send",
        send_test_email,
        "Send a test e-mail",
        WRITE,
        form=TryEmail,
        gives=RECEIPT,
    ),
    *resource(SMS, SmsTemplateRow, "templates"),
    Route("POST", SMS, SmsTemplate, CreateSmsTemplate, WRITE, "Keep a template"),
    Route("PATCH", ONE_SMS, SmsTemplate, UpdateSmsTemplate, WRITE, "Change a template"),
    Route("DELETE", ONE_SMS, SmsTemplate, ArchiveSmsTemplate, DELETE, "Put away"),
    Route("POST", ONE_SMS + "/enable", SmsTemplate, EnableSmsTemplate, WRITE, "Enable"),
    Route("POST", ONE_SMS + "/disable", SmsTemplate, DisableSmsTemplate, WRITE, "Disable"),
    Other(
        "POST",
        ONE_SMS + "/preview",
        preview_sms_template,
        "See an SMS, and what it costs",
        READ,
        form=PreviewSms,
        gives={"body": _text, **_cost, **_warnings},
    ),
    Other(
        "POST",
        ONE_SMS + "/test-send",
        send_test_sms,
        "Send a test SMS",
        WRITE,
        form=TrySms,
        gives=RECEIPT,
    ),
]
