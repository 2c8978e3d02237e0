"""Finds a broadcast's audience in the read tables, once these are up to date."""

import asyncio
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection

from rim_ledger.engine.refusals import Unavailable
from rim_ledger.notifications.broadcast import Target, TargetAudience
from rim_ledger.notifications.broadcast_commands import Frozen
from rim_ledger.notifications.contact import Purpose

CATCH_UP_SECONDS: Final = 5.0
"""Timeout for the read tables to reach the end of the log."""
POLL_SECONDS: Final = 0.05

MEANT: Final = {
    TargetAudience.ALL: "true",
    TargetAudience.ACTIVE_USERS: "status = 'active'",
    TargetAudience.INACTIVE_USERS: "status = 'inactive'",
    TargetAudience.OVERDUE_USERS: "repayment_status = 'Overdue'",
    TargetAudience.CUSTOM: "id = ANY (%(users)s)",
}
"""`contact.wants` checks each user again before sending."""

# One statement is one snapshot, so position and users agree.
FREEZE: Final = """
SELECT k.position, ARRAY(
    SELECT id FROM read.users
     WHERE {meant} AND status <> 'suspended' AND NOT erased AND deleted_at IS NULL
       AND NOT (opted_out AND %(marketing)s)
     ORDER BY id)
  FROM read.tracking k WHERE k.name = 'read'"""

BEHIND: Final = """
SELECT (SELECT coalesce(max(position), 0) FROM ledger.events)
     > (SELECT position FROM read.tracking WHERE name = 'read')"""


async def find_audience(url: str, target: Target) -> Frozen:
    """The matching users, with a position of the log no older than the query.

    Raises Unavailable (`projection-lagging`) when the read tables are too far behind.
    """
    marketing = target.purpose is Purpose.MARKETING
    values = {"users": list(target.users), "marketing": marketing}
    query = FREEZE.format(meant=MEANT[target.audience])
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await _catch_up(connection)
        row = await (await connection.execute(query.encode(), values)).fetchone()
    assert row is not None, "the tables know how far they are"
    return Frozen(target, row[0], tuple(row[1]))


async def find_users(url: str, ids: list[UUID | str]) -> dict[UUID | str, UUID]:
    """Resolve ids to users; unknown ids are left out."""
    found: dict[UUID | str, UUID] = {}
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await _catch_up(connection)
        uuids = [each for each in ids if isinstance(each, UUID)]
        names = [each for each in ids if isinstance(each, str)]
        query = "SELECT id FROM read.users WHERE id = ANY (%s)"
        found |= {each: each async for (each,) in await connection.execute(query, [uuids])}
        query = "SELECT user_id, id FROM read.users WHERE user_id = ANY (%s)"
        found |= {name: each async for name, each in await connection.execute(query, [names])}
    return found


async def _catch_up(connection: AsyncConnection[Any]) -> None:
    for _ in range(int(CATCH_UP_SECONDS / POLL_SECONDS)):
        row = await (await connection.execute(BEHIND)).fetchone()
        if row and not row[0]:
            return
        await asyncio.sleep(POLL_SECONDS)
    raise Unavailable("projection-lagging", "The read tables are behind. Please ask again.")
