"""Retention: the clock deletes rows that no rule reads any more, a few at a time."""

import asyncio
import logging
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from psycopg import AsyncConnection

from rim_ledger.admin import login_throttle
from rim_ledger.delivery import breaker
from rim_ledger.engine import idempotency, store
from rim_ledger.engine.environment import Environment
from rim_ledger.postgres import heartbeat
from rim_ledger.postgres.outage import Outages

INTERVAL_SECONDS: Final = 60.0
"""Between two rounds."""
BATCH: Final = 1000
"""Rows deleted in one transaction, at most."""
REST_SECONDS: Final = 0.1
"""Between two batches: writers and the disk come first."""
BEYOND: Final = timedelta(days=7)
"""How much longer outcomes are stored than their readers expect, whose clocks may differ, and whose
verification of a long log may take days."""

log = logging.getLogger("rim_ledger")


class Retention(Struct, frozen=True):
    """How long the rows of a table of the schema `ledger` are stored, from the time in a column."""

    table: str
    column: str
    kept: timedelta

    @property
    def delete(self) -> str:
        """SQL that deletes the oldest rows up to a time, so many at most."""
        return f"""
DELETE FROM ledger.{self.table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ledger.{self.table} WHERE {self.column} <= %s
     ORDER BY {self.column} LIMIT %s FOR UPDATE SKIP LOCKED))"""  # noqa: S608 - names are ours


RETENTIONS: Final = (
    Retention("outcomes", "recorded_at", idempotency.KEPT + BEYOND),
    Retention("refused_entries", "hour", login_throttle.COUNTED),
    Retention("counts", "day", store.COUNTS_KEPT),
    Retention("attempts", "at", login_throttle.KEPT),
    Retention("calls", "at", breaker.KEPT),
    Retention("faults", "at", heartbeat.KEPT),
    Retention("challenges", "expires_at", timedelta()),
)
"""The tables that grow with time and are neither the log nor its seals, nor follow from it."""


async def drop_expired(url: str, now: datetime, rest_seconds: float = REST_SECONDS) -> int:
    """Delete all rows whose retention has ended at a time (UTC); return their number. May be
    interrupted anywhere, and run by several processes."""
    dropped = 0
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        # A deletion that is lost in a crash is made again.
        await connection.execute("SET synchronous_commit = off")
        for each in RETENTIONS:
            while count := await _drop_batch(connection, each, now):
                dropped += count
                await asyncio.sleep(rest_seconds)
    return dropped


async def _drop_batch(connection: AsyncConnection[Any], each: Retention, now: datetime) -> int:
    cursor = await connection.execute(each.delete.encode(), [now - each.kept, BATCH])
    return cursor.rowcount


async def run(url: str, environment: Environment) -> None:
    """Delete forever. On failure, such as an unavailable database, try again."""
    outages = Outages(log.warning, "the retention")
    while True:
        try:
            await drop_expired(url, environment.now())
            outages.end()
        except Exception as error:
            outages.begin(error)
        await asyncio.sleep(INTERVAL_SECONDS)
