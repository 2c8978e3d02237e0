"""Signs of life: by them others know that a process runs which answers nobody."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import Final, NoReturn

from psycopg import AsyncConnection

from rim_ledger.postgres.outage import OUTAGE

INTERVAL_SECONDS: Final = 1.0
BEAT: Final = """
INSERT INTO ledger.heartbeats VALUES (%s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET at = excluded.at"""


async def alive(url: str, name: str, *work: Awaitable[object]) -> None:
    """Do work that has no end, and give signs of life meanwhile. Raises what the work raises."""
    await asyncio.gather(beat(url, name), *work)


async def beat(url: str, name: str) -> NoReturn:
    """Give signs of life under a name until cancelled; while the database is away, none."""
    while True:
        with suppress(*OUTAGE):
            async with await AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute("SET synchronous_commit = off")  # It is soon out of date.
                while True:
                    await connection.execute(BEAT, [name])
                    await asyncio.sleep(INTERVAL_SECONDS)
        await asyncio.sleep(INTERVAL_SECONDS)
