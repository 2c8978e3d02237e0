"""A pool that reconnects as quickly as its callers expect; notifications; locks of processes."""

import asyncio
import select
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Any, Final, NoReturn

from psycopg import AsyncConnection, Error
from psycopg.errors import UndefinedTable
from psycopg_pool import AsyncConnectionPool

from rim_ledger.postgres.outage import OUTAGE, unavailable

RETRY_SECONDS: Final = 1.0
"""Limit of one attempt to connect, after which it is repeated while callers wait. The pool's own
backoff would double up to minutes, and exceed the timeouts of those callers."""

NETWORK: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""Limits within which a vanished server is noticed; ignored by Unix sockets."""


class Pool(AsyncConnectionPool[AsyncConnection[Any]]):
    """Hands out live connections; closed ones are discarded."""

    def __init__(
        self,
        url: str,
        *,
        min_size: int,
        max_size: int,
        timeout: float,
        autocommit: bool = False,
        settings: str = "",
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        """`timeout` is how long a caller waits for a connection, in seconds; `settings` are the
        SET statements that each connection begins with."""

        async def configure(connection: AsyncConnection[Any]) -> None:
            await connection.execute(settings.encode())

        super().__init__(
            url,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout,
            kwargs={"autocommit": autocommit, **NETWORK},
            reconnect_timeout=retry_seconds,
            reconnect_failed=_reconnect,
            configure=configure if settings else None,
            open=False,
        )

    async def rows(
        self, query: str, values: Any = (), *, prepare: bool | None = None
    ) -> list[tuple[Any, ...]]:
        """Return the rows of a query, in one snapshot. It is planned for its values each time if
        `prepare` is false. Raises Unavailable without a database."""
        async with self.reader() as connection:
            cursor = await connection.execute(query.encode(), values, prepare=prepare)
            return await cursor.fetchall()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AsyncConnection[Any]]:
        """Yield a connection. Raises Unavailable without a database."""
        try:
            async with self.connection() as connection:
                yield connection
        except (*OUTAGE, UndefinedTable) as error:
            raise unavailable(error) from None

    async def getconn(self, timeout: float | None = None) -> AsyncConnection[Any]:  # noqa: ASYNC109
        """Return a live connection. Raises PoolTimeout if there is none in time."""
        deadline = monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = await super().getconn(deadline - monotonic())
            if await _is_live(connection):
                return connection
            await connection.close()
            await self.putconn(connection)  # The pool opens a new one in its place.

    async def putconn(self, conn: AsyncConnection[Any]) -> None:
        """Take a connection back. A read-only one is closed: its session stays read-only after the
        database accepts writes again."""
        if conn.info.parameter_status("default_transaction_read_only") == "on":
            await conn.close()
        await super().putconn(conn)


async def _is_live(connection: AsyncConnection[Any]) -> bool:
    """Return whether the server still answers. It is asked only if there is input, as at the end of
    a session: an idle session has none, and a query before each query would be expensive."""
    if connection.closed:
        return False
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if not waiting.poll(0):
        return True
    try:
        await AsyncConnectionPool.check_connection(connection)
    except Error:
        return False
    return True


async def _reconnect(pool: AsyncConnectionPool[Any]) -> None:
    if pool.get_stats().get("requests_waiting"):
        await pool.check()  # Begins to connect, if nothing else does.


async def listen(
    url: str, channel: str, seconds: float, look: Callable[[AsyncConnection[Any]], Awaitable[None]]
) -> NoReturn:
    """Call `look` at once, at each notification of a channel and, in case one is lost, every so
    many seconds. Connects again after an outage."""
    while True:
        with suppress(Error):
            async with await AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(f"LISTEN {channel}".encode())
                while True:
                    await look(connection)
                    async for _ in connection.notifies(timeout=seconds, stop_after=1):
                        pass
        await asyncio.sleep(seconds)


@asynccontextmanager
async def lease(url: str, what: str) -> AsyncIterator[bool]:
    """Yield whether the lock was free, and is now held. The database releases the lock of a process
    that dies."""
    async with await AsyncConnection.connect(url) as connection, connection.transaction():
        cursor = await connection.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [what]
        )
        row = await cursor.fetchone()
        yield bool(row and row[0])
