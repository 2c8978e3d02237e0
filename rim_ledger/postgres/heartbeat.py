"""Heartbeats of processes that serve no requests, and counts of unexpected errors."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from datetime import timedelta
from typing import Final, NoReturn

from psycopg import AsyncConnection

from rim_ledger.engine.environment import Environment
from rim_ledger.postgres.outage import OUTAGE

INTERVAL_SECONDS: Final = 1.0
BEAT: Final = """
INSERT INTO ledger.heartbeats VALUES (%s, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET at = excluded.at"""


async def alive(url: str, name: str, *work: Awaitable[object]) -> None:
    """Run endless work with a heartbeat. Raises what the work raises."""
    await asyncio.gather(beat(url, name), *work)


async def beat(url: str, name: str) -> NoReturn:
    """Write heartbeats under a name until cancelled; none while the database is unavailable."""
    while True:
        with suppress(*OUTAGE):
            async with await AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(
                    "SET synchronous_commit = off"
                )  # A lost heartbeat does no harm.
                while True:
                    await connection.execute(BEAT, [name])
                    await asyncio.sleep(INTERVAL_SECONDS)
        await asyncio.sleep(INTERVAL_SECONDS)


KEPT: Final = timedelta(days=1)
"""Retention of errors; the alerts read the last minutes of them."""
NOTE: Final = "INSERT INTO ledger.faults (at, place) VALUES (%s, %s)"


async def note_fault(url: str, environment: Environment, place: str) -> None:
    """Count one, unless the database itself is unavailable."""
    with suppress(*OUTAGE):
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(NOTE, [environment.now(), place])
