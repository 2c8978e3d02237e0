"""Reads a request's body: bounded, and as strict JSON that means one thing only."""

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from api.wire.problem import Malformed, TooLarge, TooSlow, WrongType
from rim_ledger.core import Unavailable

BODY_MAX: Final = 1024 * 1024
BODY_SECONDS: Final = 60.0
"""A body that is read as a whole is there within so many seconds."""
PAUSE_MAX: Final = 60.0
"""Seconds that a body which is read piece by piece may pause."""
DEPTH_MAX: Final = 20
DIGITS_MAX: Final = 40
MEMBERS_MAX: Final = 1_000
"""Names in one JSON object: each that is wrong takes time to say so."""
SUSPECT: Final = re.compile(r"\\u(0000|[dD][89a-fA-F])")
SURROGATE: Final = re.compile("[\0\ud800-\udfff]")

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Disconnected(Unavailable):
    """The client left before it had said everything."""


class Chunks:
    """A body, piece by piece, as it arrives. Raises TooSlow for a long pause; given a number of
    seconds, also when it has not all come by then."""

    def __init__(self, receive: Receive, seconds: float | None = None) -> None:
        self._receive, self._more = receive, True
        self._until = seconds and asyncio.get_running_loop().time() + seconds

    def __aiter__(self) -> "Chunks":
        return self

    async def __anext__(self) -> bytes:
        if not self._more:
            raise StopAsyncIteration
        until = self._until or asyncio.get_running_loop().time() + PAUSE_MAX
        try:
            async with asyncio.timeout_at(until):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow("request-timeout", "The body did not come in time.") from None
        if message["type"] == "http.disconnect":
            raise Disconnected("disconnected", "The client left.")
        self._more = message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """The whole body; TooLarge as soon as it is known to be above the limit, in bytes."""
    too_large = TooLarge("body-too-large", f"A body has at most {limit} bytes here.")
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > limit:
        raise too_large
    parts: list[bytes] = []
    size = 0
    async for part in Chunks(receive, BODY_SECONDS):
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def require_media_type(headers: Mapping[bytes, bytes], wanted: bytes) -> None:
    """Refuse a body that says it is something else."""
    named = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
    if named != wanted:
        words = f"This path reads {wanted.decode()}; the Content-Type says otherwise."
        raise WrongType("unsupported-media-type", words)


def read_json(body: bytes) -> Any:
    """The value of a JSON text. Raises Malformed for what is not JSON, or not safely so.

    A number that a float tells exactly is a float; any other stays a Decimal, so that nothing is
    rounded away before a rule has seen it.
    """
    try:
        text = body.decode()
        if text.count("[") + text.count("{") > DEPTH_MAX:
            _require_shallow(text)
        value = _decoder.decode(text)
    except (ValueError, InvalidOperation, RecursionError) as error:
        words = str(error) if isinstance(error, _Odd) else "The body is not valid JSON in UTF-8."
        raise Malformed("malformed-json", words) from None
    if SUSPECT.search(text) or "\0" in text:
        _require_plain(value)
    return value


class _Odd(ValueError):
    """JSON by the letter, and still not to be trusted."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MEMBERS_MAX:
        raise _Odd(f"An object has at most {MEMBERS_MAX:,} names; one here has {len(pairs):,}.")
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Odd("A name stands twice in one object.")
    return value


def _number(text: str) -> float | Decimal:
    if len(text) > DIGITS_MAX:
        raise _Odd(f"A number has at most {DIGITS_MAX} characters.")
    exact = Decimal(text)
    near = float(text)
    return near if math.isfinite(near) and Decimal(repr(near)) == exact else exact


def _integer(text: str) -> int:
    if len(text) > DIGITS_MAX:
        raise _Odd(f"A number has at most {DIGITS_MAX} characters.")
    return int(text)


def _refuse_constant(name: str) -> Any:
    raise _Odd(f"{name} is not a JSON number.")


_decoder: Final = json.JSONDecoder(
    parse_float=_number,
    parse_int=_integer,
    parse_constant=_refuse_constant,
    object_pairs_hook=_object,
)


def _require_shallow(text: str) -> None:
    depth, inside, escaped = 0, False, False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise _Odd(f"The body is nested deeper than {DEPTH_MAX} levels.")
        elif character in "]}":
            depth -= 1


def _require_plain(value: Any) -> None:
    if any(SURROGATE.search(text) for text in _texts(value)):
        raise Malformed("malformed-json", "A text has a NUL or half of a surrogate pair.")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
