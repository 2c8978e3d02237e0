"""How far the log and the read tables are, and who waits for them."""

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING, ClassVar, Final, Self

import psycopg
from psycopg import AsyncConnection

from api.http.call import Call
from rim_ledger.engine.refusals import Invalid, Unavailable
from rim_ledger.engine.store import CHANNEL, HEAD

if TYPE_CHECKING:
    from api.context import Context

READ_TIMEOUT_SECONDS: Final = 5.0
"""So long a read waits for the tables."""
POLL_SECONDS: Final = 0.25
POSITION: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


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
        self._task = asyncio.create_task(self._follow())
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

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(psycopg.Error):
                connection = await AsyncConnection.connect(self._url, autocommit=True)
                async with connection:
                    await connection.execute(f"LISTEN {self.CHANNEL}".encode())
                    while True:
                        await self._look(connection)
                        async for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                            pass
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self, connection: AsyncConnection) -> None:
        cursor = await connection.execute(self.QUERY.encode())
        row = await cursor.fetchone()
        if row and row[0] != self.position:
            self.position = row[0]
            moved, self._moved = self._moved, asyncio.Event()
            moved.set()


class LogPosition(Position):
    """The last position of the log, whoever wrote it."""

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


async def wait_for(context: "Context", call: Call) -> None:
    """Let the read tables come as far as the request's Ledger-Position says, and note it. Raises
    Invalid for what is no position yet, Unavailable when they do not come."""
    if (text := call.header(b"ledger-position")) is None:
        return
    if not POSITION.fullmatch(text):
        raise Invalid("invalid-position", "A position is a whole number.", "Ledger-Position")
    position = int(text)
    if position > context.ledger.head and position > await last_position(context):
        words = "The ledger has not come that far."
        raise Invalid("invalid-position", words, "Ledger-Position")
    await context.tables.require(position)
    call.position = position


async def last_position(context: "Context") -> int:
    """The last position in the store, whoever wrote it."""
    ((position,),) = await context.pool.rows("SELECT coalesce(max(position), 0) FROM ledger.events")
    return int(position)
