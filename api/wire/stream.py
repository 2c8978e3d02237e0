"""The body of an answer, sent in small pieces: each once the client has taken those before it."""

import asyncio
from typing import Final, Self

from api.wire.body import Disconnected
from api.wire.call import Call, Reply

PIECE_MAX: Final = 64 * 1024
"""Bytes that are sent at once. The server takes the next piece when the client has taken most of
the last one, so that about two of them are in memory."""


class Stream:
    """The body of an answer that has begun, and whether its client is still there. The request's
    body was read, or there is none."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.left: asyncio.Task[None]
        """Is done when the client has left."""

    async def __aenter__(self) -> Self:
        self.left = asyncio.create_task(self._call.left())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left.cancel()

    async def send(self, body: bytes) -> None:
        """Send a part of the body. Raises Disconnected when the client has left."""
        for first in range(0, len(body), PIECE_MAX):
            await self.require_there()
            await send_piece(self._call, body[first : first + PIECE_MAX])

    async def require_there(self, seconds: float = 0.0) -> None:
        """Raises Disconnected when the client has left, or leaves within some seconds."""
        if seconds:
            await asyncio.wait({self.left}, timeout=seconds)
        if self.left.done():
            raise Disconnected("disconnected", "The client left.")

    async def end(self) -> None:
        """Send the end of the body: it was whole."""
        await self._call.send({"type": "http.response.body", "body": b""})


async def send_piece(call: Call, piece: bytes, *, more: bool = True) -> None:
    """Send a piece of a body, and wait while the client has not taken most of those before."""
    await call.send({"type": "http.response.body", "body": piece, "more_body": more})


async def send_reply(call: Call, reply: Reply) -> None:
    """Send a whole answer."""
    headers = [(b"content-length", b"%d" % len(reply.body)), *reply.headers]
    if reply.body:
        headers.append((b"content-type", reply.media_type))
    await call.start(reply.status, headers)
    body = b"" if call.method == "HEAD" else reply.body
    last = max(0, len(body) - 1) // PIECE_MAX * PIECE_MAX
    for first in range(0, last, PIECE_MAX):
        await send_piece(call, body[first : first + PIECE_MAX])
    await send_piece(call, body[last:], more=False)
