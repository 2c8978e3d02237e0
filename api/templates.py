"""The routes of templates: of e-mails and of SMS, to be kept, looked at and tried."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from msgspec.structs import replace

from api.road.commands import read_form, receipt_headers, receipt_json
from api.road.idempotency import key_for
from api.road.routes import AnyRoute, Other, Parameters, Route, activity_of, resource
from api.road.wish import LetIn, let_in
from api.wire.call import Call, Reply
from api.wire.ids import resolve
from api.wire.problem import encoded
from projections.notifications import EmailTemplateRow, SmsTemplateRow
from rim_ledger.admin import gate
from rim_ledger.book import Book
from rim_ledger.core import SYSTEM, Aggregate, Stamp, Unavailable, require
from rim_ledger.delivery.port import Channel, Message
from rim_ledger.lease import lease
from rim_ledger.notifications.email_template import (
    ArchiveEmailTemplate,
    CreateEmailTemplate,
    DisableEmailTemplate,
    EmailTemplate,
    EnableEmailTemplate,
    PreviewEmail,
    TryEmail,
    UpdateEmailTemplate,
)
from rim_ledger.notifications.sms_template import (
    ArchiveSmsTemplate,
    CreateSmsTemplate,
    DisableSmsTemplate,
    EnableSmsTemplate,
    PreviewSms,
    SmsTemplate,
    TrySms,
    UpdateSmsTemplate,
)
from rim_ledger.notifications.sms_text import measured
from rim_ledger.notifications.trial import recipient_hash, require_test_recipient
from rim_ledger.notifications.wording import FillIn, require_enabled
from rim_ledger.outage import OUTAGE, unavailable
from rim_ledger.outcomes import Idempotency, Receipt

if TYPE_CHECKING:
    from api.road.desk import Desk

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


async def preview_email_template(desk: "Desk", call: Call, parameters: Parameters) -> Reply:
    """An e-mail as it would be sent with these values. Its body is HTML."""
    template, form = await _look(desk, call, parameters, EmailTemplate, PreviewEmail)
    letter = template.filled(form.values)
    warnings = _standing(template)
    return _told(desk, {"subject": letter.subject, "body": letter.body, "warnings": warnings})


async def preview_sms_template(desk: "Desk", call: Call, parameters: Parameters) -> Reply:
    """An SMS as it would be sent with these values, and what that costs."""
    template, form = await _look(desk, call, parameters, SmsTemplate, PreviewSms)
    text = template.filled(form.values)
    cost = measured(text)
    warnings = _standing(template)
    if cost.offending:
        which = " ".join(cost.offending)
        warnings.append(f"Not in GSM-7, so that 70 characters fill an SMS: {which}")
    if cost.segments > 1:
        warnings.append(f"It is sent, and paid for, as {cost.segments} segments.")
    told = {"encoding": cost.encoding, "units": cost.units, "segments": cost.segments}
    return _told(desk, {"body": text, **told, "warnings": warnings})


async def send_test_email(desk: "Desk", call: Call, parameters: Parameters) -> Reply:
    """Send one e-mail to oneself, at the recorded address, or to one of RIM_TEST_RECIPIENTS. It is
    no notification: no row is kept, but for a keyed hash of the recipient in the activity log."""
    form = await read_form(call, TryEmail)

    def written(template: EmailTemplate) -> Message:
        letter, reference = template.filled(form.values), str(desk.world.new_id())
        return Message(Channel.EMAIL, form.to, letter.subject, letter.body, reference, html=True)

    return await _try(desk, call, parameters, EmailTemplate, form=form, written=written)


async def send_test_sms(desk: "Desk", call: Call, parameters: Parameters) -> Reply:
    """Send one SMS to oneself, at the recorded phone, or to one of RIM_TEST_RECIPIENTS. It is no
    notification: no row is kept, but for a keyed hash of the recipient in the activity log."""
    form = await read_form(call, TrySms)

    def written(template: SmsTemplate) -> Message:
        text, reference = template.filled(form.values), str(desk.world.new_id())
        return Message(Channel.SMS, form.to, None, text, reference)

    return await _try(desk, call, parameters, SmsTemplate, form=form, written=written)


async def _look(
    desk: "Desk", call: Call, parameters: Parameters, kind: type[T], form: type[F]
) -> tuple[T, F]:
    """The template that a reader's path names, and what they fill in."""
    wish = await read_form(call, form)

    def look(book: Book) -> T:
        return book.read(kind, resolve(book, kind, parameters["id"]))

    return await desk.ledger.read(look, Stamp(at=desk.world.now(), actor=SYSTEM)), wish


async def _try(
    desk: "Desk",
    call: Call,
    parameters: Parameters,
    kind: type[T],
    *,
    form: TryEmail | TrySms,
    written: Callable[[T], Message],
) -> Reply:
    """Send what a template gives with these values, once under a key. Only that it went is kept:
    whoever was told that it did not may ask again."""
    found: T
    failure: Unavailable | None = None
    token, key = call.token, call.header(b"idempotency-key")
    asked = activity_of(type(form).__name__, call.path, parameters)
    caller, stamp = await desk.caller(call, token, asked), call.stamp(desk.world, key)
    said = form.model_dump(mode="json")
    idempotency = key_for(desk, caller, key, f"POST {call.path}", meant=form, said=said)

    def admit(book: Book) -> None:
        gate.enter(book, token)
        told = {"recipientHash": recipient_hash(book, form.to)}
        book.activities.append(replace(asked, details=told))
        book.need(*WRITE)

    def look(book: Book) -> UUID:
        nonlocal found
        require_test_recipient(book, CHANNELS[kind], form.to, desk.test_recipients)
        desk.sender.require(CHANNELS[kind], book)
        found = book.read(kind, resolve(book, kind, parameters["id"]))
        require_enabled(enabled=found.enabled, archived=found.archived)
        found.filled(form.values)
        return let_in(book)

    def done(book: Book) -> UUID:
        if failure:
            raise failure  # From here, so that the log of activities has it.
        return book.read(kind, found.id).id

    async with _alone(desk, idempotency):
        try:
            receipt = await desk.ledger.submit(look, stamp, idempotency, admit)
        except LetIn:
            try:
                await desk.sender.send(written(found))
            except Unavailable as error:
                failure = error
            receipt = await desk.ledger.submit(done, stamp, idempotency, admit)
    return _receipt(kind, receipt)


@asynccontextmanager
async def _alone(desk: "Desk", idempotency: Idempotency | None) -> AsyncIterator[None]:
    """Let nobody else, in whatever process, send under the same key at the same time."""
    if idempotency is None:
        yield
        return
    what = f"test-send {idempotency.caller} {idempotency.key}"
    try:
        async with desk.trials, lease(desk.url, what) as free:
            require(free, "request-in-progress", "This request is being carried out under its key.")
            yield
    except OUTAGE as error:  # Whoever asks again under the same key is told what came of it.
        raise unavailable(error) from None


def _standing(template: EmailTemplate | SmsTemplate) -> list[str]:
    """What keeps a template from being used."""
    if template.archived:
        return [ARCHIVED]
    return [] if template.enabled else [DISABLED]


def _told(desk: "Desk", fields: dict[str, object]) -> Reply:
    return Reply(200, encoded(fields), [(b"ledger-position", b"%d" % desk.ledger.head)])


def _receipt(kind: type[Aggregate], receipt: Receipt) -> Reply:
    return Reply(200, receipt_json(kind, receipt), receipt_headers(receipt))


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
