"""A pool of connections that comes back as quickly as its callers expect it to."""

import select
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Final

from psycopg import AsyncConnection, Error
from psycopg.errors import UndefinedTable
from psycopg_pool import AsyncConnectionPool

from rim_ledger.postgres.outage import OUTAGE, unavailable

RETRY_SECONDS: Final = 1.0
"""After which an attempt to connect is given up, and made anew while somebody waits. The pool's own
pause would double up to minutes, and outlast the patience of those who wait for a connection."""

NETWORK: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""Within what time a server is noticed that is gone without a word; a socket file ignores these."""


class Pool(AsyncConnectionPool[AsyncConnection[Any]]):
    """Hands out connections that live: what the server ended in the meantime is thrown away."""

    def __init__(
        self, url: str, *, min_size: int, max_size: int, timeout: float, autocommit: bool = False
    ) -> None:
        """`timeout` is in seconds: how long a caller waits for a connection."""
        super().__init__(
            url,
            min_size=min_size,
            max_size=max_size,
            timeout=timeout,
            kwargs={"autocommit": autocommit, **NETWORK},
            reconnect_timeout=RETRY_SECONDS,
            reconnect_failed=_try_again,
            open=False,
        )

    async def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a query finds, in one snapshot. Raises Unavailable without a database."""
        async with self.reader() as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection to read with. Raises Unavailable without a database."""
        try:
            async with self.connection() as connection:
                yield connection
        except (*OUTAGE, UndefinedTable) as error:
            raise unavailable(error) from None

    async def getconn(self, timeout: float | None = None) -> AsyncConnection[Any]:  # noqa: ASYNC109
        """A connection that lives. Raises PoolTimeout when there is none in time."""
        deadline = monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            connection = await super().getconn(deadline - monotonic())
            if await _lives(connection):
                return connection
            await connection.close()
            await self.putconn(connection)  # Which opens another one in its place.

    async def putconn(self, conn: AsyncConnection[Any]) -> None:
        """Take a connection back. One that is read-only is not used again: a session stays as it
        began, when the database has long been taking writes."""
        if conn.info.parameter_status("default_transaction_read_only") == "on":
            await conn.close()
        await super().putconn(conn)


async def _lives(connection: AsyncConnection[Any]) -> bool:
    """Whether the server still answers. It is asked only when there is something to read, as the
    end of a session is: an idle one is silent, and a question before each query would cost more
    than many a query."""
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


async def _try_again(pool: AsyncConnectionPool[Any]) -> None:
    if pool.get_stats().get("requests_waiting"):
        await pool.check()  # Begins to connect, where nothing else does.
