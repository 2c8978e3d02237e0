"""The ledger's single write connection, which reconnects after an outage."""

import asyncio
from functools import partial
from typing import Final

from psycopg import AsyncConnection

from rim_ledger.engine.refusals import Unavailable
from rim_ledger.engine.store import Store
from rim_ledger.postgres.outage import OUTAGE
from rim_ledger.postgres.pool import NETWORK

RECONNECT_TIMEOUT_SECONDS: Final = 10.0
"""How long a command waits for a lost database."""
END: Final = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE pid = %s AND pid <> pg_backend_pid() AND usename = session_user"""


class WriteConnection:
    """Holds the store on the connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: Store | None = None
        self._backend: int | None = None

    @property
    def store(self) -> Store:
        assert self._store is not None, "the ledger is used as an async context manager"
        return self._store

    async def connect(self) -> None:
        """Begin a session, once the former one has ended: the outcome of its last commit is final
        then."""
        connection = await AsyncConnection.connect(self._url, autocommit=True, **NETWORK)
        try:
            store = Store(connection)
            if self._backend:
                end = partial(connection.execute, END, [self._backend])
                while (await end()).rowcount:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await store.prepare()
        except BaseException:
            await connection.close()
            raise
        self._store, self._backend = store, connection.info.backend_pid

    async def reconnect(self) -> None:
        """Reconnect to the database. Raises Unavailable."""
        await self.close()
        deadline = asyncio.get_running_loop().time() + RECONNECT_TIMEOUT_SECONDS
        while True:
            try:
                await self.connect()
            except OUTAGE:
                if asyncio.get_running_loop().time() > deadline:
                    words = "The ledger's database cannot be reached."
                    raise Unavailable("store-unavailable", words) from None
                await asyncio.sleep(0.2)
            else:
                return

    async def close(self) -> None:
        await self.store.connection.close()
