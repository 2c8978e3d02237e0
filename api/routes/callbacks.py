"""The route that providers call: no session, but a signature over every message."""

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

from pydantic import Field, RootModel, ValidationError

from api.http.body import BODY_SECONDS, Chunks, gather, read_json, unpacked
from api.http.call import Call, Reply
from api.http.content_type import require_media_type
from api.http.ids import missing
from api.http.problem import InvalidFields
from api.pipeline.commands import errors_in, receipt_headers, receipt_json
from api.pipeline.idempotency import key_for
from api.pipeline.routes import AnyRoute, Other, Parameters
from rim_ledger.delivery.callbacks import (
    Callback,
    NotOurs,
    UnknownReference,
    enter,
    unauthenticated,
)
from rim_ledger.delivery.signature import SignedMessage
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.top_up_callback import TopUpCallback
from rim_ledger.notifications.message_callback import MessageCallback
from rim_ledger.payments.payment_callback import PaymentCallback
from rim_ledger.system.integration import IntegrationType
from rim_ledger.values import UUID_TEXT

if TYPE_CHECKING:
    from api.context import Context

BODY_MAX: Final = 64 * 1024
NOT_KNOWN: Final = b'{"known": false}'
AS_IT_CAME: Final[Mapping[bytes, bytes]] = {}
"""No header: the signature is over the bytes that were sent, and a stranger's are not unpacked."""

FORMS: Final[Mapping[IntegrationType, type[Callback]]] = {
    IntegrationType.PAYMENT_GATEWAY: PaymentCallback,
    IntegrationType.TELECOM: TopUpCallback,
    IntegrationType.SMS: MessageCallback,
}
"""What each type of integration may speak of. SMTP knows no callbacks."""


class ProviderCallback(
    RootModel[
        Annotated[PaymentCallback | TopUpCallback | MessageCallback, Field(discriminator="type")]
    ]
):
    """A provider's word, signed as Standard Webhooks say. Which of these it may be follows from the
    type of the integration: payments are for payment gateways, top-ups for telcos, messages for
    providers of SMS. The id of the message is its idempotency key."""


class _Caller:
    """Whoever calls. What it may speak of is known once it is admitted."""

    form: type[Callback]

    def __init__(self, integration: UUID, message: SignedMessage) -> None:
        self.integration, self.message = integration, message

    def admit(self, uow: UnitOfWork) -> None:
        self.form = FORMS[enter(uow, self.integration, self.message, FORMS).type]


async def receive_callback(context: "Context", call: Call, parameters: Parameters) -> Reply:
    """Take a provider's word, once: the message's id is its idempotency key."""
    text = parameters["integration"]
    if not UUID_TEXT.fullmatch(text):
        raise unauthenticated()
    integration, message = UUID(text), await _message(call)
    caller, stamp = _Caller(integration, message), call.stamp(context.environment, message.id)
    try:
        require_media_type(call.headers, b"application/json")
        said = read_json(unpacked(message.body, call.headers, BODY_MAX))
        key = key_for(
            context, integration, message.id, f"POST {call.path}", meant=_meant(said), said=said
        )
    except Refused:  # a stranger learns only that it is one
        await context.ledger.read(lambda _: None, stamp, caller.admit)
        raise

    def work(uow: UnitOfWork) -> UUID:
        return caller.form.filled_in(said).take(uow)

    try:
        receipt = await context.ledger.submit(work, stamp, key, caller.admit)
    except ValidationError as error:
        raise InvalidFields(errors_in(error, caller.form, said)) from None
    except UnknownReference:
        raise missing(caller.form.ABOUT, "reference") from None
    except NotOurs:
        return Reply(200, NOT_KNOWN)
    return Reply(200, receipt_json(caller.form.ABOUT, receipt), receipt_headers(receipt))


def _meant(said: Any) -> Any:
    """What a message says to us, whenever it says that it happened. One that says nothing is
    refused by whoever admits its sender."""
    for form in FORMS.values():
        with suppress(ValidationError):
            return form.filled_in(said).model_copy(update={"timestamp": None})
    return said


async def _message(call: Call) -> SignedMessage:
    names = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
    id_, timestamp, signatures = (call.header(name) or "" for name in names)
    body = await gather(Chunks(call.receive, AS_IT_CAME, BODY_SECONDS), BODY_MAX)
    return SignedMessage(id_, timestamp, signatures, body)


RECEIPT: Final = {
    "id": {"type": "string", "format": "uuid"},
    "version": {"type": "integer"},
    "position": {"type": "integer"},
}

ROUTES: list[AnyRoute] = [
    Other(
        "POST",
        "/v1/callbacks/{integration}",
        receive_callback,
        "A provider's word, known by its signature alone",
        form=ProviderCallback,
        public=True,
        gives=RECEIPT,
        or_gives={"known": {"type": "boolean"}},
        or_gives_name="UnknownReference",
    ),
]
