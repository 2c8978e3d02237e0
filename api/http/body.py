"""Reads a request's body with limits, and parses strict JSON."""

import asyncio
import json
import math
import re
import types
from collections.abc import (
    AsyncIterable,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    MutableMapping,
)
from decimal import Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from api.http.coding import Gunzip, is_gzip
from api.http.problem import Malformed, TooLarge, TooSlow
from rim_ledger.engine.refusals import Unavailable

BODY_MAX: Final = 1024 * 1024
BODY_SECONDS: Final = 60.0
"""Timeout for a body that is read as a whole."""
PAUSE_MAX: Final = 60.0
"""Maximum pause in a body that is read in chunks."""
DEPTH_MAX: Final = 20
DIGITS_MAX: Final = 40
MEMBERS_MAX: Final = 1_000
"""Maximum names in one JSON object: each wrong one costs time to report."""
SUSPECT: Final = re.compile(r"\\u(0000|[dD][89a-fA-F])")
SURROGATE: Final = re.compile("[\0\ud800-\udfff]")

T = TypeVar("T")
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class Disconnected(Unavailable):
    """The client left before its body was complete."""


class Chunks:
    """The chunks of a body as they arrive, decompressed if the headers say so.

    Raises WrongType at once for another coding; later what Gunzip raises, and TooSlow for a long
    pause or, given a timeout in seconds, when it is exceeded.
    """

    def __init__(
        self, receive: Receive, headers: Mapping[bytes, bytes], seconds: float | None = None
    ) -> None:
        self._receive, self._more = receive, True
        self._until = seconds and asyncio.get_running_loop().time() + seconds
        self._gunzip = Gunzip() if is_gzip(headers) else None
        self._unpacked: Iterator[bytes] = iter(())

    def __aiter__(self) -> "Chunks":
        return self

    async def __anext__(self) -> bytes:
        if self._gunzip is None:
            return await self._next()
        while (piece := next(self._unpacked, None)) is None:
            if not self._more:
                self._gunzip.end()
            self._unpacked = self._gunzip.unpack(await self._next())
        await asyncio.sleep(0)  # Let other tasks run between chunks of one read.
        return piece

    async def _next(self) -> bytes:
        if not self._more:
            raise StopAsyncIteration
        until = self._until or asyncio.get_running_loop().time() + PAUSE_MAX
        try:
            message = await _by(until, self._receive())
        except TimeoutError:
            raise TooSlow("request-timeout", "The body did not come in time.") from None
        if message["type"] == "http.disconnect":
            raise Disconnected("disconnected", "The client left.")
        self._more = message.get("more_body", False)
        body: bytes = message.get("body", b"")
        return body


async def _by(until: float, coming: Awaitable[T]) -> T:
    """What comes by a time of the loop. Most bodies are there already, and take no clock. Raises
    TimeoutError."""
    coroutine = coming.__await__()
    try:
        awaited = next(coroutine)
    except StopIteration as end:
        given: T = end.value
        return given
    async with asyncio.timeout_at(until):
        return await _resumed(coroutine, awaited)


@types.coroutine
def _resumed(coroutine: Generator[Any, Any, T], awaited: Any) -> Generator[Any, Any, T]:
    """The rest of a coroutine that waits for something."""
    try:
        yield awaited
    except BaseException as error:
        coroutine.throw(error)
        raise
    return (yield from coroutine)


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """Read the whole body. Raises TooLarge as soon as it exceeds the limit in bytes."""
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    return await gather(Chunks(receive, headers, BODY_SECONDS), limit)


async def gather(chunks: AsyncIterable[bytes], limit: int) -> bytes:
    """Join all chunks. Raises TooLarge above the limit in bytes."""
    parts: list[bytes] = []
    size = 0
    async for part in chunks:
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge("body-too-large", f"A body has at most {limit} bytes here.")


def read_json(body: bytes) -> Any:
    """Parse a JSON text. Raises Malformed for invalid or ambiguous JSON.

    Numbers that a float represents exactly are floats, others Decimals, so that rules see the exact
    value.
    """
    try:
        text = body.decode()
        if text.count("[") + text.count("{") > DEPTH_MAX:
            _require_shallow(text)
        value = _decoder.decode(text)
    except (ValueError, InvalidOperation, RecursionError) as error:
        words = str(error) if isinstance(error, _Odd) else "The body is not valid JSON in UTF-8."
        raise Malformed("malformed-json", words) from None
    suspect = SUSPECT.search(text) or "\0" in text
    if suspect and any(SURROGATE.search(each) for each in _texts(value)):
        raise Malformed("malformed-json", "A text has a NUL or half of a surrogate pair.")
    return value


class _Odd(ValueError):
    """Valid JSON that is ambiguous or unsafe."""


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
