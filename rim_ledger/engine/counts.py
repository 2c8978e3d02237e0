"""How much each did on a day, of what has a quota: kept beside the log, and not for long."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection

from rim_ledger.engine.refusals import Refused

KEPT: Final = timedelta(days=2)
Count = tuple[date, UUID, str]
"""The day in Lagos, who, and what is counted: "files"."""

KEEP: Final = """
counted AS (
    INSERT INTO ledger.counts
    SELECT c.* FROM head, unnest(%(count_days)b::date[], %(counted_who)b::uuid[],
                                 %(counted_what)b::text[], %(totals)b::int8[]) c
     WHERE head.position = %(head)s
    ON CONFLICT (day, who, what) DO UPDATE SET total = excluded.total)"""
"""A part of the statement that writes what a group decided."""

LOAD: Final = """
WITH past AS (DELETE FROM ledger.counts WHERE day < %(first)s)
SELECT day, who, what, total FROM ledger.counts
  JOIN unnest(%(count_days)b::date[], %(counted_who)b::uuid[], %(counted_what)b::text[])
       AS wanted (day, who, what) USING (day, who, what)"""


class QuotaExceeded(Refused):
    """The caller has had as much as they may today; `retryAfter` is in whole seconds."""

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__("quota-exceeded", detail, retryAfter=retry_after)


def columns(counts: Mapping[Count, int] | Collection[Count]) -> dict[str, list[Any]]:
    """The parameters of these counts."""
    return {
        "count_days": [day for day, _, _ in counts],
        "counted_who": [who for _, who, _ in counts],
        "counted_what": [what for _, _, what in counts],
        "totals": [*counts.values()] if isinstance(counts, Mapping) else [],
    }


async def load(connection: AsyncConnection[Any], wanted: Collection[Count]) -> dict[Count, int]:
    """These counts as they were committed, 0 where there is none. Those of earlier days are of no
    more use, and are deleted after a while: clocks differ."""
    first = min(day for day, _, _ in wanted) - KEPT
    cursor = await connection.execute(LOAD, columns(wanted) | {"first": first})
    found = {(day, who, what): total async for day, who, what, total in cursor}
    return dict.fromkeys(wanted, 0) | found
