"""Daily counts per person for quotas: stored beside the log, for a short time."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection

from rim_ledger.engine.refusals import Refused

KEPT: Final = timedelta(days=2)
Count = tuple[date, UUID, str]
"""The day (Lagos), the person, and what is counted: "files"."""

KEEP: Final = """
counted AS (
    INSERT INTO ledger.counts
    SELECT c.* FROM head, unnest(%(count_days)b::date[], %(counted_who)b::uuid[],
                                 %(counted_what)b::text[], %(totals)b::int8[]) c
     WHERE head.position = %(head)s
    ON CONFLICT (day, who, what) DO UPDATE SET total = excluded.total)"""
"""A part of the statement that writes a batch."""

LOAD: Final = """
WITH past AS (DELETE FROM ledger.counts WHERE day < %(first)s)
SELECT day, who, what, total FROM ledger.counts
  JOIN unnest(%(count_days)b::date[], %(counted_who)b::uuid[], %(counted_what)b::text[])
       AS wanted (day, who, what) USING (day, who, what)"""


class QuotaExceeded(Refused):
    """The caller's quota of today is used up; `retryAfter` is in seconds."""

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__("quota-exceeded", detail, retryAfter=retry_after)


def columns(counts: Mapping[Count, int] | Collection[Count]) -> dict[str, list[Any]]:
    """Return the SQL parameters of these counts."""
    return {
        "count_days": [day for day, _, _ in counts],
        "counted_who": [who for _, who, _ in counts],
        "counted_what": [what for _, _, what in counts],
        "totals": [*counts.values()] if isinstance(counts, Mapping) else [],
    }


async def load(connection: AsyncConnection[Any], wanted: Collection[Count]) -> dict[Count, int]:
    """Return these counts as committed, 0 if missing. Counts of past days are deleted after KEPT,
    which allows for clock differences."""
    first = min(day for day, _, _ in wanted) - KEPT
    cursor = await connection.execute(LOAD, columns(wanted) | {"first": first})
    found = {(day, who, what): total async for day, who, what, total in cursor}
    return dict.fromkeys(wanted, 0) | found
