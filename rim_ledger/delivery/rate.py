"""The rate of each provider, which all processes keep to together."""

import asyncio
from typing import Final

from psycopg import AsyncConnection

from rim_ledger.delivery.port import Lane

# The next time is taken by whoever asks first, so nobody waits for anybody but for the rate.
PACE: Final = """
INSERT INTO ledger.paces AS p VALUES (%(provider)s, clock_timestamp() + %(takes)s * interval '1 s')
ON CONFLICT (provider) DO UPDATE
   SET free_at = greatest(p.free_at, clock_timestamp()) + %(takes)s * interval '1 s'
RETURNING extract(epoch FROM free_at - clock_timestamp())::float8 - %(takes)s"""


async def pace(url: str, lane: Lane, count: int) -> None:
    """Wait until so many messages may go out; until then no other process sends any."""
    values = {"provider": lane.key, "takes": count / lane.rate}
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        row = await (await connection.execute(PACE, values)).fetchone()
    assert row is not None, "a time is a row"
    await asyncio.sleep(max(0.0, row[0]))
