"""The routes of API keys: a key is told once, when it is made."""

from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Final
from uuid import UUID

from api.http.call import Call, Reply
from api.http.problem import encoded
from api.pipeline.commands import read_form, receipt_fields, receipt_headers
from api.pipeline.idempotency import key_for
from api.pipeline.routes import AnyRoute, Other, Parameters, Route, resource
from projections.admin import ApiKeyRow
from rim_ledger.admin import authentication
from rim_ledger.admin.api_key import ApiKey
from rim_ledger.admin.api_key_commands import CreateApiKey, RevokeApiKey
from rim_ledger.engine.activity import Activity, note_made
from rim_ledger.engine.command import perform
from rim_ledger.engine.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from api.context import Context

KEYS, ONE = "/v1/api-keys", "/v1/api-keys/{id}"
WRITE, DELETE = ("api_keys", "write"), ("api_keys", "delete")
PREFIX: Final = "rim_"
"""What a key begins with, so that a leaked one is known for what it is."""


async def make_api_key(context: "Context", call: Call, _: Parameters) -> Reply:
    """Let a machine act for oneself, within some of one's own rights. The key is told once: the
    same request again under the same Idempotency-Key is answered without it."""
    token, asked = call.token, Activity(action="CreateApiKey", resource="api-keys")
    caller = await context.caller(call, token, asked)
    form = await read_form(call, CreateApiKey)
    given = call.header(b"idempotency-key")
    said = form.model_dump(mode="json")
    idempotency = key_for(context, caller, given, f"POST {call.path}", meant=form, said=said)
    key = PREFIX + urlsafe_b64encode(
        context.environment.random(authentication.TOKEN)
    ).decode().rstrip("=")
    ready = form.known_by(authentication.token_hash(key))

    def admit(uow: UnitOfWork) -> None:
        authentication.enter(uow, token)
        uow.activities.append(asked)
        uow.need(*WRITE)

    def work(uow: UnitOfWork) -> UUID:
        made = perform(uow, ApiKey, None, ready)
        note_made(uow.activities, made)
        return made

    receipt = await context.ledger.submit(
        work,
        call.stamp(context.environment, given),
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
