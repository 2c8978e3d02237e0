"""The circuit breaker: an integration that keeps failing is not called until a test succeeds."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection

from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.postgres.outage import OUTAGE
from rim_ledger.system.integration_commands import open_breaker

FAILURES_MAX: Final = 5
"""Calls failed in a row…"""
WITHIN: Final = timedelta(minutes=5)
"""… within this time open the breaker."""
KEPT: Final = timedelta(days=1)
"""Retention of calls; the alerts read some minutes of them too."""

NOTE: Final = """
INSERT INTO ledger.calls (integration_id, at, failed)
SELECT * FROM unnest(%(ids)s::uuid[], %(times)s::timestamptz[], %(failed)s::boolean[])"""

# A statement of its own, so that it counts concurrent inserts.
COUNT: Final = """
SELECT count(*) FROM ledger.calls
 WHERE integration_id = %(id)s AND failed AND at > greatest(%(since)s,
       (SELECT max(at) FROM ledger.calls WHERE integration_id = %(id)s AND NOT failed))"""


class Breaker:
    """Counts in the database, for all processes together. Calls that end at about the same time
    share one statement: while it runs, the next ones gather."""

    def __init__(self, url: str, ledger: Ledger, environment: Environment) -> None:
        self._url, self._ledger, self._environment = url, ledger, environment
        self._waiting: list[tuple[UUID, datetime, bool]] = []
        """For each call: the integration, when it ended, and whether it failed."""
        self._writing = asyncio.Lock()

    async def note(self, integration: UUID, *, failed: bool) -> None:
        """Count a call, and put the integration out of use after too many failures."""
        self._waiting.append((integration, self._environment.now(), failed))
        async with self._writing:
            calls, self._waiting = self._waiting, []
            # The provider's answer matters more than counting it.
            with suppress(*OUTAGE, Unavailable):
                for each, failures in await self._count(calls):
                    await self._ledger.run(open_breaker(each, failures))

    async def _count(self, calls: Sequence[tuple[UUID, datetime, bool]]) -> list[tuple[UUID, int]]:
        """Record calls; return the integrations with too many failures in a row, and how many."""
        if not calls:
            return []  # Recorded by another call's statement.
        now, (ids, times, failed) = self._environment.now(), map(list, zip(*calls, strict=True))
        noted = {"ids": ids, "times": times, "failed": failed}
        counted = []
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            await connection.execute(NOTE, noted)
            for id_ in {id_ for id_, _, failed in calls if failed}:
                asked = {"id": id_, "since": now - WITHIN}
                row = await (await connection.execute(COUNT, asked)).fetchone()
                assert row is not None, "a count is a row"
                counted.append((id_, int(row[0])))
        return [(each, failures) for each, failures in counted if failures >= FAILURES_MAX]
