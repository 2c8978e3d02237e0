"""The body of an answer that goes on."""

import asyncio
from typing import Final, Self

from api.http.body import Disconnected
from api.http.call import Call

PIECE_MAX: Final = 64 * 1024
"""Bytes of a body that are handed to the server at once. It takes the next piece when the client
has taken most of the last one, so that about two of them are in its memory."""


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
        await self.require_there()
        await self._call.go_on(body)

    async def require_there(self, seconds: float = 0.0) -> None:
        """Raises Disconnected when the client has left, or leaves within some seconds."""
        if seconds:
            await asyncio.wait({self.left}, timeout=seconds)
        if self.left.done():
            raise Disconnected("disconnected", "The client left.")

    async def end(self) -> None:
        """Send the end of the body: it was whole."""
        await self._call.go_on(b"", more=False)
