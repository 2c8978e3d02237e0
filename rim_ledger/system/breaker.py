"""The circuit breaker: who keeps failing is called no more, until a test succeeds."""

from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection, OperationalError

from rim_ledger.core import SYSTEM, Stamp
from rim_ledger.ledger import Ledger
from rim_ledger.system.mending import break_
from rim_ledger.world import World

FAILURES_MAX: Final = 5
"""Calls that fail one after the other, without a success between them…"""
WITHIN: Final = timedelta(minutes=5)
"""… in this time, and the breaker opens."""
KEPT: Final = timedelta(days=1)

NOTE: Final = """
WITH old AS (DELETE FROM ledger.calls WHERE at <= %(forgotten)s),
     noted AS (INSERT INTO ledger.calls (integration_id, at, failed)
               VALUES (%(id)s, %(now)s, %(failed)s))
SELECT count(*) FROM ledger.calls
 WHERE integration_id = %(id)s AND failed AND at > greatest(%(since)s,
       (SELECT max(at) FROM ledger.calls WHERE integration_id = %(id)s AND NOT failed))"""


class Breaker:
    """Counts in the database, so that all processes count together."""

    def __init__(self, url: str, ledger: Ledger, world: World) -> None:
        self._url, self._ledger, self._world = url, ledger, world

    async def note(self, integration: UUID, *, failed: bool) -> None:
        """Count a call, and put the integration out of use that failed too often."""
        # What a provider answered counts for more than that it is counted.
        with suppress(OperationalError):
            failures = await self._count(integration, failed=failed)
            if failures >= FAILURES_MAX:
                stamp = Stamp(at=self._world.now(), actor=SYSTEM)
                await self._ledger.submit(break_(integration, failures), stamp)

    async def _count(self, integration: UUID, *, failed: bool) -> int:
        """How many calls failed since the last that did not, this one among them."""
        now = self._world.now()
        values = {"id": integration, "now": now, "failed": failed}
        times = {"since": now - WITHIN, "forgotten": now - KEPT}
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            row = await (await connection.execute(NOTE, values | times)).fetchone()
        assert row is not None, "a count is a row"
        return int(row[0]) + 1 if failed else 0
