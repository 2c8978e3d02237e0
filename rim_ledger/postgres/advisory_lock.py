"""Locks for work that one process at a time may do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg import AsyncConnection


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
