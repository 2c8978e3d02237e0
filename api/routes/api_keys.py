"""The routes of API keys: a key is shown once, when it is made."""

from typing import Final

from api.context import Context
from api.description.components import ID, NULL, NUMBER, TEXT, either
from api.http.call import Reply
from api.http.problem import encoded
from api.pipeline.receipts import command_reply, receipt_fields
from api.pipeline.routes import AnyRoute, CommandRequest, Done, Resource
from projections.admin import ApiKeyRow
from rim_ledger.admin.api_key import ApiKey
from rim_ledger.admin.api_key_commands import CreateApiKey, RevokeApiKey
from rim_ledger.admin.session import new_token
from rim_ledger.engine.command import Form

PREFIX: Final = "rim_"
"""What a key begins with, so that a leaked one is known for what it is."""


async def make_up_key(context: Context, _: CommandRequest, form: CreateApiKey) -> Form:
    """Make up the key, of which the ledger keeps the hash."""
    return form.known_by(PREFIX + new_token(context.environment))


def tell_key(done: Done) -> Reply:
    """The receipt and the key, which is shown once: a repetition of the request under the same
    Idempotency-Key is answered without it."""
    form, receipt = done.request.command, done.receipt
    assert isinstance(form, CreateApiKey)
    key = None if receipt.replayed else form.key
    return command_reply(done, encoded(receipt_fields(ApiKey, receipt) | {"key": key}))


of_keys = Resource("/v1/api-keys", ApiKeyRow, "api_keys")
GIVES: Final = {"id": ID, "key": either(TEXT, NULL), "version": NUMBER, "position": NUMBER}

ROUTES: list[AnyRoute] = [
    *of_keys.reads,
    of_keys(
        "POST",
        CreateApiKey,
        "Let a machine in",
        prepare=make_up_key,
        answer=tell_key,
        gives=GIVES,
        approvable=False,
    ),
    of_keys("DELETE /{id}", RevokeApiKey, "End a key"),
]
