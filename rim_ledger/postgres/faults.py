"""Unexpected errors, counted in the database so that an alert can watch them."""

from contextlib import suppress
from datetime import timedelta
from typing import Final

from psycopg import AsyncConnection

from rim_ledger.engine.environment import Environment
from rim_ledger.postgres.outage import OUTAGE

KEPT: Final = timedelta(days=1)
NOTE: Final = """
WITH old AS (DELETE FROM ledger.faults WHERE at <= %s)
INSERT INTO ledger.faults (at, place) VALUES (%s, %s)"""


async def note_fault(url: str, environment: Environment, place: str) -> None:
    """Count one, unless the database itself is unavailable."""
    now = environment.now()
    with suppress(*OUTAGE):
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(NOTE, [now - KEPT, now, place])
