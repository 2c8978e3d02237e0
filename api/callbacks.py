"""The route that payment providers call: no session, but a signature over every message."""

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from pydantic import ValidationError

from api.body import read_body, read_json, require_media_type
from api.call import Call, Reply
from api.commands import errors_in, key_for, receipt_json
from api.ids import CANONICAL, missing
from api.problem import InvalidFields
from api.routes import AnyRoute, Other, Parameters
from rim_ledger.book import Book
from rim_ledger.core import Refused
from rim_ledger.payments.callback import Callback, UnknownPayment, enter, stranger
from rim_ledger.payments.transaction import Transaction
from rim_ledger.system.signature import Message

if TYPE_CHECKING:
    from api.desk import Desk

BODY_MAX: Final = 64 * 1024


async def answer_callback(desk: "Desk", call: Call, parameters: Parameters) -> Reply:
    """Take a provider's word, once: the message's id is its idempotency key."""
    text = parameters["integration"]
    if not CANONICAL.fullmatch(text):
        raise stranger()
    integration, message = UUID(text), await _message(call)
    stamp = call.stamp(desk.world, message.id)

    def admit(book: Book) -> None:
        enter(book, integration, message)

    try:
        require_media_type(call.headers, b"application/json")
        said = read_json(message.body)
        callback = _form(said)
        key = key_for(desk, integration, message.id, f"POST {call.path}", said)
    except Refused:  # a stranger learns only that it is one
        await desk.ledger.submit(lambda _: integration, stamp, None, admit)
        raise
    try:
        receipt = await desk.ledger.submit(callback.work, stamp, key, admit)
    except UnknownPayment:
        raise missing(Transaction) from None
    headers = [(b"ledger-position", b"%d" % receipt.position)]
    if receipt.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    return Reply(200, receipt_json(Transaction, receipt), headers)


async def _message(call: Call) -> Message:
    names = (b"webhook-id", b"webhook-timestamp", b"webhook-signature")
    id_, timestamp, signatures = (call.header(name) or "" for name in names)
    body = await read_body(call.receive, call.headers, BODY_MAX)
    return Message(id_, timestamp, signatures, body)


def _form(said: Any) -> Callback:
    try:
        return Callback.model_validate(said)
    except ValidationError as error:
        raise InvalidFields(errors_in(error, said)) from None


RECEIPT: Final = {
    "id": {"type": "string", "format": "uuid"},
    "transactionId": {"type": "string"},
    "version": {"type": "integer"},
    "position": {"type": "integer"},
}

ROUTES: list[AnyRoute] = [
    Other(
        "POST",
        "/v1/callbacks/{integration}",
        answer_callback,
        "A payment provider's word, known by its signature alone",
        form=Callback,
        public=True,
        gives=RECEIPT,
    ),
]
