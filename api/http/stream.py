"""The body of a streaming answer."""

import asyncio
from typing import Final, Self

from api.http.body import Disconnected
from api.http.call import Call

PIECE_MAX: Final = 64 * 1024
"""Maximum bytes given to the server at once. It takes the next piece when most of the last was
sent, so about two are in memory."""


class Stream:
    """The body of a started answer, which notices when its client disconnects. The request's body
    must have been read."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.left: asyncio.Task[None]
        """Done when the client has disconnected."""

    async def __aenter__(self) -> Self:
        self.left = asyncio.create_task(self._call.left())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.left.cancel()

    async def send(self, body: bytes) -> None:
        """Send a part of the body. Raises Disconnected."""
        await self.require_there()
        await self._call.go_on(body)

    async def require_there(self, seconds: float = 0.0) -> None:
        """Raise Disconnected if the client is gone, or leaves within this time."""
        if seconds:
            await asyncio.wait({self.left}, timeout=seconds)
        if self.left.done():
            raise Disconnected("disconnected", "The client left.")

    async def end(self) -> None:
        """Send the end of a complete body."""
        await self._call.go_on(b"", more=False)
