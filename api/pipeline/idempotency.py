"""The scope of an idempotency key: its caller, and a hash of what the request was understood as."""

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from decimal import Context as Precision
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from pydantic import BaseModel, SecretStr

from api.context import Context
from rim_ledger.engine.command import Form
from rim_ledger.engine.idempotency import Idempotency
from rim_ledger.engine.refusals import Invalid
from rim_ledger.values import UUID_TEXT

KEY: Final = re.compile(r"[ -~]{1,255}")
EXACT: Final = Precision(prec=100)
"""More digits than a number of a body can have."""

_encoder: Final = msgspec.json.Encoder(order="sorted", decimal_format="number")


def key_for(
    context: Context, caller: UUID | None, key: str | None, op: str, *, meant: Any, said: Any
) -> Idempotency | None:
    """The scope of a key: the caller, or else the one that the decision admits, the method and path
    (`op`), and what is `meant`: the command, or another parsed body. Its spelling makes no
    difference.

    `said` is the body as it was spelled: outcomes stored when the hash was over that are still
    found by it; they are kept for 30 days.
    """
    if key is None:
        return None
    if not KEY.fullmatch(key):
        words = "A key has 1 to 255 printable ASCII characters."
        raise Invalid("invalid-idempotency-key", words, "Idempotency-Key")
    understood = b"understood\n" + _encoder.encode(asked_by(op, meant))

    def former() -> str:
        return _digest(context, (op + json.dumps(said, sort_keys=True, default=str)).encode())

    return Idempotency(str(caller or ""), key, _digest(context, understood), former)


def _digest(context: Context, text: bytes) -> str:
    return hmac.new(context.request_key, text, hashlib.sha256).hexdigest()


def asked_by(op: str, meant: Any) -> Any:
    """A request in one spelling. An omitted field means its default, except in a PATCH."""
    op = UUID_TEXT.sub(lambda found: found[0].lower(), op)
    if isinstance(meant, BaseModel) and op.startswith("PATCH "):
        return [op, {name: _plain(getattr(meant, name)) for name in meant.model_fields_set}]
    return [op, _plain(meant)]


def _plain(value: Any) -> Any:  # noqa: PLR0911 - a line a type
    """A value as JSON in which equal things are spelled alike."""
    match value:
        case None | bool() | str() | UUID():
            return value
        case int() | float() | Decimal():
            return EXACT.normalize(Decimal(str(value))) or Decimal(0)
        case datetime():
            return value.astimezone(UTC)
        case SecretStr():
            return value.get_secret_value()
        case BaseModel():
            return {name: _plain(each) for name, each in _fields(value).items()}
        case Struct():
            return _plain(msgspec.structs.asdict(value))
        case dict():
            return {str(name): _plain(each) for name, each in value.items()}
        case set() | frozenset():
            return {str(_plain(each)) for each in value}
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return str(value)


def _fields(model: BaseModel) -> dict[str, Any]:
    """The fields of a form, without those that a later release added and that are at their
    defaults."""
    later = model.LATER if isinstance(model, Form) else frozenset()
    unset = {
        name for name in later if getattr(model, name) == type(model).model_fields[name].default
    }
    return {name: each for name, each in vars(model).items() if name not in unset}
