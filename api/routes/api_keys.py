"""The routes of API keys: a key is told once, when it is made."""

from typing import TYPE_CHECKING, Final

from api.http.call import Reply
from api.http.problem import encoded
from api.pipeline.commands import command_reply, receipt_fields
from api.pipeline.routes import AnyRoute, Route, resource
from projections.admin import ApiKeyRow
from rim_ledger.admin.api_key import ApiKey
from rim_ledger.admin.api_key_commands import CreateApiKey, RevokeApiKey
from rim_ledger.admin.session import new_token
from rim_ledger.engine.command import Form

if TYPE_CHECKING:
    from api.context import Context
    from api.pipeline.routes import CommandRequest, Done

KEYS, ONE = "/v1/api-keys", "/v1/api-keys/{id}"
WRITE, DELETE = ("api_keys", "write"), ("api_keys", "delete")
PREFIX: Final = "rim_"
"""What a key begins with, so that a leaked one is known for what it is."""


async def make_up_key(context: "Context", request: "CommandRequest") -> Form:
    """Make up the key, of which the ledger keeps the hash."""
    form = request.command
    assert isinstance(form, CreateApiKey)
    return form.known_by(PREFIX + new_token(context.environment))


def tell_key(done: "Done") -> Reply:
    """The receipt and the key, which is told once: the same request again under the same
    Idempotency-Key is answered without it."""
    form, receipt = done.request.command, done.receipt
    assert isinstance(form, CreateApiKey)
    key = None if receipt.replayed else form.key
    return command_reply(done, encoded(receipt_fields(ApiKey, receipt) | {"key": key}))


GIVES: Final = {
    "id": {"type": "string", "format": "uuid"},
    "key": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "version": {"type": "integer"},
    "position": {"type": "integer"},
}

ROUTES: list[AnyRoute] = [
    *resource(KEYS, ApiKeyRow, "api_keys"),
    Route(
        "POST",
        KEYS,
        ApiKey,
        CreateApiKey,
        WRITE,
        "Let a machine in",
        prepare=make_up_key,
        answer=tell_key,
        gives=GIVES,
    ),
    Route("DELETE", ONE, ApiKey, RevokeApiKey, DELETE, "End a key"),
]
