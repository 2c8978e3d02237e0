"""Sends a file whole or in ranges, so that an aborted download can be resumed."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from msgspec import Struct

from api.http.call import Call, Headers
from api.http.problem import Unsatisfiable
from api.http.stream import Stream
from rim_ledger.engine.refusals import Unavailable

RANGE: Final = re.compile(r"bytes=(\d{0,99})-(\d{0,99})", re.ASCII | re.IGNORECASE)
"""One range; for several the whole file is sent, as RFC 9110 allows."""

ADMITTED_BYTES: Final = 1024 * 1024
"""Bytes sent between two authorization checks."""
NOTICED_SECONDS: Final = 0.25
"""Time to notice a disconnected client while data is still in buffers."""


class Download(Struct, frozen=True):
    """A file that is immutable under its ETag."""

    size: int
    etag: str
    headers: Headers
    read: Callable[[int, int], AsyncIterator[bytes]]
    """Gives the bytes from one offset up to another, in chunks."""
    admit: Callable[[], Awaitable[object]] | None = None
    """Authorization check before each MiB; raises Refused."""
    used: Callable[[], Awaitable[object]] | None = None
    """Called before the last byte, so that a one-time link is used up by a complete download."""

    async def answer(self, call: Call, stream: Stream) -> None:
        """Send the file, the requested range, or the headers alone.

        Raises Unsatisfiable for a range outside the file, Unavailable if it cannot be read,
        Disconnected when the client leaves.
        """
        part = self._asked(call) if call.method == "GET" else None
        first, end = part or (0, self.size)
        headers: Headers = [
            *self.headers,
            (b"accept-ranges", b"bytes"),
            (b"etag", self.etag.encode()),
            (b"content-length", b"%d" % (end - first)),
        ]
        if part:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (first, end - 1, self.size)))
        pieces = self.read(first, end)
        piece = await anext(pieces, b"")  # Fail while another answer can still be sent.
        await call.start(206 if part else 200, headers)
        if call.method != "HEAD":
            await self._send(stream, piece, pieces, end - first, end)
        await stream.end()

    def _asked(self, call: Call) -> tuple[int, int] | None:
        """The requested range: offsets of the first byte and of the one after the last."""
        found = RANGE.fullmatch((call.header(b"range") or "").strip())
        if found is None or call.header(b"if-range") not in (None, self.etag):
            return None
        first, last = (int(each) if each else None for each in found.groups())
        if first is None:
            if last is None:
                return None
            first, last = max(0, self.size - last), None
        elif last is not None and last < first:
            return None
        if first >= self.size:
            raise Unsatisfiable(self.size)
        return first, self.size if last is None else min(last + 1, self.size)

    async def _send(
        self, stream: Stream, piece: bytes, pieces: AsyncIterator[bytes], length: int, end: int
    ) -> None:
        """Send a range until done or disconnected."""
        sent = admitted = 0
        while length:
            if self.admit and sent >= admitted:
                await self.admit()
                admitted = sent + ADMITTED_BYTES
            sent += len(piece)
            if not piece:
                words = "The file ends too early."
                raise Unavailable("storage-unavailable", words)
            length -= len(piece)
            if not length and end == self.size and self.used:
                await stream.send(piece[:-1])
                await stream.require_there(NOTICED_SECONDS)
                await self.used()
                piece = piece[-1:]
            await stream.send(piece)
            piece = await anext(pieces, b"")
        await stream.require_there()


async def cut(pieces: AsyncIterator[bytes], first: int, end: int) -> AsyncIterator[bytes]:
    """Cut the bytes between two offsets out of chunks."""
    at = 0
    async for piece in pieces:
        if part := piece[max(0, first - at) : max(0, end - at)]:
            yield part
        at += len(piece)
