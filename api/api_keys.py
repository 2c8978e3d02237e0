"""The routes of API keys: a key is told once, when it is made."""

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final
from uuid import UUID

from api.road.commands import read_form, receipt_fields, receipt_headers
from api.road.idempotency import key_for
from api.road.routes import AnyRoute, Other, Parameters, Route, resource
from api.wire.call import Call, Reply
from api.wire.problem import encoded
from projections.admin import ApiKeyRow
from rim_ledger.activity import Activity, note_made
from rim_ledger.admin import gate
from rim_ledger.admin.api_key import ApiKey
from rim_ledger.admin.machines import CreateApiKey, RevokeApiKey
from rim_ledger.book import Book, perform

if TYPE_CHECKING:
    from api.road.desk import Desk

KEYS, ONE = "/v1/api-keys", "/v1/api-keys/{id}"
WRITE, DELETE = ("api_keys", "write"), ("api_keys", "delete")
PREFIX: Final = "rim_"
"""What a key begins with, so that a leaked one is known for what it is."""


async def make_api_key(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """Let a machine act for oneself, within some of one's own rights. The key is told once: the
    same request again under the same Idempotency-Key is answered without it."""
    token, asked = call.token, Activity(action="CreateApiKey", resource="api-keys")
    caller = await desk.caller(call, token, asked)
    form = await read_form(call, CreateApiKey)
    given = call.header(b"idempotency-key")
    said = form.model_dump(mode="json")
    idempotency = key_for(desk, caller, given, f"POST {call.path}", meant=form, said=said)
    key = PREFIX + urlsafe_b64encode(desk.world.random(gate.TOKEN)).decode().rstrip("=")
    ready = form.known_by(gate.token_hash(key))

    def admit(book: Book) -> None:
        gate.enter(book, token)
        book.activities.append(asked)
        book.need(*WRITE)

    def work(book: Book) -> UUID:
        made = perform(book, ApiKey, None, ready)
        note_made(book.activities, made)
        return made

    receipt = await desk.ledger.submit(
        work,
        call.stamp(desk.world, given),
        idempotency,
        admit,
    )
    told = receipt_fields(ApiKey, receipt) | {"key": None if receipt.replayed else key}
    headers = [
        *receipt_headers(receipt),
        (b"etag", b'"%d"' % receipt.version),
        (b"location", f"{KEYS}/{receipt.id}".encode()),
    ]
    return Reply(201, encoded(told), headers)


GIVES: Final = {
    "id": {"type": "string", "format": "uuid"},
    "key": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "version": {"type": "integer"},
    "position": {"type": "integer"},
}

ROUTES: list[AnyRoute] = [
    *resource(KEYS, ApiKeyRow, "api_keys"),
    Other(
        "POST",
        KEYS,
        make_api_key,
        "Let a machine in",
        needs=WRITE,
        form=CreateApiKey,
        status=201,
        gives=GIVES,
    ),
    Route("DELETE", ONE, ApiKey, RevokeApiKey, DELETE, "End a key"),
]
