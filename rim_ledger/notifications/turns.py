"""Whose turn it is to carry: what one process has in hand, and when the next message may go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from psycopg import AsyncConnection

from rim_ledger.sending import Lane

# The next time is taken by whoever asks first, so nobody waits for anybody but for the rate.
PACE: Final = """
INSERT INTO ledger.paces AS p VALUES (%(provider)s, clock_timestamp() + %(takes)s * interval '1 s')
ON CONFLICT (provider) DO UPDATE
   SET free_at = greatest(p.free_at, clock_timestamp()) + %(takes)s * interval '1 s'
RETURNING extract(epoch FROM free_at - clock_timestamp())::float8 - %(takes)s"""


async def pace(url: str, lane: Lane, count: int) -> None:
    """Wait until so many messages may go out; until then no other process sends any."""
    values = {"provider": lane.name, "takes": count / lane.rate}
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        row = await (await connection.execute(PACE, values)).fetchone()
    assert row is not None, "a time is a row"
    await asyncio.sleep(max(0.0, row[0]))


@asynccontextmanager
async def lease(url: str, what: str) -> AsyncIterator[bool]:
    """Whether nobody else has this in hand. The database ends the lease of a process that dies."""
    connection = await AsyncConnection.connect(url)
    async with connection, connection.transaction():
        cursor = await connection.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [what]
        )
        row = await cursor.fetchone()
        yield bool(row and row[0])
