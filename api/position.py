"""How far the read tables are, and who waits for them."""

import asyncio
import contextlib
from typing import Final, Self

import psycopg
from psycopg import AsyncConnection

from rim_ledger.core import Unavailable

PATIENCE: Final = 5.0
"""Seconds that a read waits for the tables."""
POLL: Final = 0.25


class ReadPosition:
    """Follows `read.tracking`: woken by NOTIFY, and looking by itself in case one was missed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.position = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def wait(self, position: int, seconds: float = PATIENCE) -> bool:
        """Whether the tables reflect a position within the time."""
        try:
            async with asyncio.timeout(seconds):
                while self.position < position:
                    await self._moved.wait()
        except TimeoutError:
            return False
        return True

    async def require(self, position: int) -> None:
        """Wait for a position, or raise Unavailable."""
        if not await self.wait(position):
            words = f"The read tables are at {self.position}, not yet at {position}."
            raise Unavailable("projection-lagging", words)

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(psycopg.Error):
                connection = await AsyncConnection.connect(self._url, autocommit=True)
                async with connection:
                    await connection.execute("LISTEN read")
                    while True:
                        await self._look(connection)
                        async for _ in connection.notifies(timeout=POLL, stop_after=1):
                            pass
            await asyncio.sleep(POLL)

    async def _look(self, connection: AsyncConnection) -> None:
        cursor = await connection.execute("SELECT position FROM read.tracking WHERE name = 'read'")
        row = await cursor.fetchone()
        if row and row[0] != self.position:
            self.position = row[0]
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()
