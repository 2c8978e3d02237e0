"""The route that providers call: no session, but a signature over every message."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import Field, RootModel

from api.context import Context
from api.description.components import FLAG, RECEIPT, either, shape
from api.http.body import BODY_SECONDS, Chunks, gather, read_json
from api.http.call import Call, Reply
from api.http.content_type import require_media_type
from api.http.ids import missing
from api.pipeline.commands import read_as
from api.pipeline.idempotency import key_for
from api.pipeline.receipts import receipt_headers, receipt_json
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, operation
from rim_ledger.delivery.callbacks import (
    Callback,
    NotOurs,
    UnknownReference,
    enter,
    speaker,
    unauthenticated,
)
from rim_ledger.delivery.signature import SignedMessage
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.top_up_callback import TopUpCallback
from rim_ledger.notifications.message_callback import MessageCallback
from rim_ledger.payments.payment_callback import PaymentCallback
from rim_ledger.system.integration import IntegrationType
from rim_ledger.values import UUID_TEXT

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


@operation(
    "POST /v1/callbacks/{integration}",
    "A provider's word, known by its signature alone",
    form=ProviderCallback,
    public=True,
    gives=either(
        shape("ReceiveCallbackAnswer", RECEIPT), shape("UnknownReference", {"known": FLAG})
    ),
)
async def receive_callback(context: Context, call: Call, _: Rights) -> Reply:
    """Take a provider's word, once: the message's id is its idempotency key."""
    text = call.path_params["integration"]
    if not UUID_TEXT.fullmatch(text):
        raise unauthenticated()
    names = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
    body = await gather(Chunks(call.receive, AS_IT_CAME, BODY_SECONDS), BODY_MAX)
    id_, timestamp, signatures = (call.header(name) or "" for name in names)
    message = SignedMessage(id_, timestamp, signatures, body)
    integration = UUID(text)
    stamp = call.stamp(context.environment, message.id)

    async def received() -> dict[str, Any]:
        return {"type": "http.request", "body": message.body}

    def admit(uow: UnitOfWork) -> None:
        enter(uow, integration, message, FORMS)

    form = FORMS[await context.ledger.read(lambda uow: speaker(uow).type, stamp, admit)]
    require_media_type(call.headers, b"application/json")
    body = read_json(await gather(Chunks(received, call.headers), BODY_MAX))
    word = read_as(form, body)
    # A repetition of the message may have another time.
    parsed, op = word.model_copy(update={"timestamp": None}), f"POST {call.path}"
    key = key_for(context, integration, message.id, op, parsed=parsed, body=body)
    try:
        receipt = await context.ledger.submit(word.take, stamp, key, admit)
    except UnknownReference:
        raise missing(form.ABOUT, "reference") from None
    except NotOurs:
        return Reply(200, NOT_KNOWN)
    return Reply(200, receipt_json(form.ABOUT, receipt), receipt_headers(receipt))


ROUTES: list[AnyRoute] = [
    receive_callback,
]
