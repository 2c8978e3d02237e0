"""How far the log and the read tables are, and who waits for them."""

import asyncio
import contextlib
from typing import ClassVar, Final, Self

from psycopg import AsyncConnection

from rim_ledger.engine.refusals import Unavailable
from rim_ledger.engine.store import CHANNEL, HEAD
from rim_ledger.postgres.pool import listen

READ_TIMEOUT_SECONDS: Final = 5.0
"""So long a read waits for the tables."""
POLL_SECONDS: Final = 0.25


class Position:
    """Follows a position: woken by NOTIFY, and looking by itself in case one was missed."""

    CHANNEL: ClassVar[str]
    QUERY: ClassVar[str]

    def __init__(self, url: str) -> None:
        self._url = url
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.position = 0

    async def __aenter__(self) -> Self:
        following = listen(self._url, self.CHANNEL, POLL_SECONDS, self._look)
        self._task = asyncio.create_task(following)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def wait(self, position: int, seconds: float | None = None) -> bool:
        """Whether a position is reached within some seconds, READ_TIMEOUT_SECONDS by default."""
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS if seconds is None else seconds):
                while self.position < position:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def _look(self, connection: AsyncConnection) -> None:
        cursor = await connection.execute(self.QUERY.encode())
        row = await cursor.fetchone()
        if row and row[0] != self.position:
            self.position = row[0]
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()


class LogPosition(Position):
    """The last position of the log, of any process."""

    CHANNEL, QUERY = CHANNEL, HEAD


class ReadPosition(Position):
    """How far the read tables are."""

    CHANNEL = "read"
    QUERY = "SELECT position FROM read.tracking WHERE name = 'read'"

    async def require(self, position: int) -> None:
        """Wait for a position, or raise Unavailable."""
        if not await self.wait(position):
            words = f"The read tables are at {self.position}, not yet at {position}."
            raise Unavailable("projection-lagging", words)
