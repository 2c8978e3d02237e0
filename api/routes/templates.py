"""The routes of templates: of e-mails and of SMS, to be kept, looked at and tried."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from api.context import Context
from api.description.components import NUMBER, RECEIPT, TEXT, TEXTS
from api.http.call import Call, Reply, at_position
from api.http.ids import resolve
from api.http.problem import encoded
from api.pipeline.commands import read_form
from api.pipeline.pipeline import request_of
from api.pipeline.receipts import receipt_headers, receipt_json
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, Other, Resource, activity_of
from projections.notifications import EmailTemplateRow, SmsTemplateRow
from projections.tables.table import Row
from rim_ledger.delivery.port import Channel, Message
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.command import Form
from rim_ledger.engine.idempotency import Idempotency
from rim_ledger.engine.refusals import Unavailable, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications import template as templates
from rim_ledger.notifications.contact import recipient_hash, require_test_recipient
from rim_ledger.notifications.sms_text import measured
from rim_ledger.notifications.template import EmailTemplate, SmsTemplate
from rim_ledger.notifications.template_text import FillIn, Values, require_enabled
from rim_ledger.postgres.outage import OUTAGE, unavailable
from rim_ledger.postgres.pool import lease

WRITE: Final = ("templates", "write")
DISABLED: Final = "The template is disabled: nothing is sent from it."
ARCHIVED: Final = "The template was put away: nothing is sent from it."


class Kind(Struct, frozen=True):
    """What differs between templates of e-mails and of SMS."""

    row: type[Row]
    template: type[EmailTemplate] | type[SmsTemplate]
    channel: Channel
    commands: tuple[type[Form], ...]
    """To create, change, archive, enable and disable one."""
    preview: type[FillIn]
    try_: type[templates.TryEmail] | type[templates.TrySms]
    shown: Callable[[Any, Values], tuple[dict[str, Any], list[str]]]
    """What a preview shows, and what to mind."""
    summaries: tuple[str, str]
    """Of the preview, and of the test."""
    gives: dict[str, Any]
    """JSON Schema of what a preview shows."""


def _shown_email(template: EmailTemplate, values: Values) -> tuple[dict[str, Any], list[str]]:
    letter = template.filled(values)
    return {"subject": letter.subject, "body": letter.body}, []


def _shown_sms(template: SmsTemplate, values: Values) -> tuple[dict[str, Any], list[str]]:
    text, warnings = template.filled(values), list[str]()
    cost = measured(text)
    if cost.offending:
        which = " ".join(cost.offending)
        warnings.append(f"Not in GSM-7, so that 70 characters fill an SMS: {which}")
    if cost.segments > 1:
        warnings.append(f"It is sent, and paid for, as {cost.segments} segments.")
    costs = {"encoding": cost.encoding, "units": cost.units, "segments": cost.segments}
    return {"body": text, **costs}, warnings


EMAIL: Final = Kind(
    row=EmailTemplateRow,
    template=EmailTemplate,
    channel=Channel.EMAIL,
    commands=(
        templates.CreateEmailTemplate,
        templates.UpdateEmailTemplate,
        templates.ArchiveEmailTemplate,
        templates.EnableEmailTemplate,
        templates.DisableEmailTemplate,
    ),
    preview=templates.PreviewEmail,
    try_=templates.TryEmail,
    shown=_shown_email,
    summaries=("See an e-mail", "Send a test e-mail"),
    gives={"subject": TEXT, "body": TEXT},
)
SMS: Final = Kind(
    row=SmsTemplateRow,
    template=SmsTemplate,
    channel=Channel.SMS,
    commands=(
        templates.CreateSmsTemplate,
        templates.UpdateSmsTemplate,
        templates.ArchiveSmsTemplate,
        templates.EnableSmsTemplate,
        templates.DisableSmsTemplate,
    ),
    preview=templates.PreviewSms,
    try_=templates.TrySms,
    shown=_shown_sms,
    summaries=("See an SMS, and what it costs", "Send a test SMS"),
    gives={"body": TEXT, "encoding": TEXT, "units": NUMBER, "segments": NUMBER},
)


async def _preview(context: Context, call: Call, _: Rights, *, kind: Kind) -> Reply:
    """A message as it would be sent with these values."""
    form = await read_form(call, kind.preview)

    def look(uow: UnitOfWork) -> EmailTemplate | SmsTemplate:
        return uow.read(kind.template, resolve(uow, kind.template, call.path_params["id"]))

    stamp = Stamp(at=context.environment.now(), actor=SYSTEM)
    template = await context.ledger.read(look, stamp)
    shown, warnings = kind.shown(template, form.values)
    if template.archived:
        warnings.insert(0, ARCHIVED)
    elif not template.enabled:
        warnings.insert(0, DISABLED)
    body = encoded(shown | {"warnings": warnings})
    return Reply(200, body, [at_position(context.ledger.head)])


async def _try(context: Context, call: Call, _: Rights, *, kind: Kind) -> Reply:
    """Send what a template gives with these values, to oneself or to one of RIM_TEST_RECIPIENTS,
    once under a key. It is no notification: no row is kept, but for a keyed hash of the recipient
    in the activity log. Only that it went is kept: who was told that it did not may ask again."""
    form = await read_form(call, kind.try_)
    asked = replace(
        activity_of(kind.try_.__name__, call.path, call.path_params),
        details={"recipientHash": recipient_hash(context.vault, form.to)},
    )
    request = request_of(context, call, asked, WRITE, parsed=form)

    known = frozenset(each.casefold() for each in context.settings.test_recipients)

    def find(uow: UnitOfWork) -> tuple[None, EmailTemplate | SmsTemplate]:
        require_test_recipient(uow, kind.channel, form.to, known)
        context.sender.require(kind.channel, uow)
        template = uow.read(kind.template, resolve(uow, kind.template, call.path_params["id"]))
        require_enabled(enabled=template.enabled, archived=template.archived)
        template.filled(form.values)
        uow.activities.clear()  # What comes of it is logged when it is done.
        return None, template

    async with _alone(context, request.idempotency):
        receipt, template = await context.ledger.decide(find, *request.terms)
        if receipt is None:
            shown, _warnings = kind.shown(template, form.values)
            subject, reference = shown.get("subject"), str(context.environment.new_id())
            html = kind.channel is Channel.EMAIL
            message = Message(kind.channel, form.to, subject, shown["body"], reference, html=html)
            failure: Unavailable | None = None
            try:
                await context.sender.send(message)
            except Unavailable as error:
                failure = error

            def record(uow: UnitOfWork) -> tuple[UUID, None]:
                if failure:
                    raise failure  # From here, so that the log of activities has it.
                return uow.read(kind.template, template.id).id, None

            receipt, _value = await context.ledger.decide(record, *request.terms)
    return Reply(200, receipt_json(kind.template, receipt), receipt_headers(receipt))


@asynccontextmanager
async def _alone(context: Context, idempotency: Idempotency | None) -> AsyncIterator[None]:
    """Exclude other requests under the same key, in any process."""
    if idempotency is None:
        yield
        return
    what = f"test-send {idempotency.caller} {idempotency.key}"
    try:
        async with context.trials, lease(context.url, what) as free:
            require(free, "request-in-progress", "This request is being carried out under its key.")
            yield
    except OUTAGE as error:  # A repetition under the same key gets the outcome.
        raise unavailable(error) from None


def _routes(kind: Kind) -> list[AnyRoute]:
    name, (create, update, archive, enable, disable) = kind.channel.value, kind.commands
    of = Resource(f"/v1/{name}-templates", kind.row, "templates")
    return [
        *of.reads,
        of("POST", create, "Keep a template"),
        of("PATCH /{id}", update, "Change a template"),
        of("DELETE /{id}", archive, "Put away"),
        of("POST /{id}/enable", enable, "Enable"),
        of("POST /{id}/disable", disable, "Disable"),
        Other(
            "POST",
            of.path + "/{id}/preview",
            partial(_preview, kind=kind),
            kind.summaries[0],
            ("templates", "read"),
            name=f"preview_{name}_template",
            form=kind.preview,
            gives=kind.gives | {"warnings": TEXTS},
        ),
        Other(
            "POST",
            of.path + "/{id}/test-send",
            partial(_try, kind=kind),
            kind.summaries[1],
            WRITE,
            name=f"send_test_{name}",
            form=kind.try_,
            gives=RECEIPT,
        ),
    ]


ROUTES: list[AnyRoute] = [*_routes(EMAIL), *_routes(SMS)]
