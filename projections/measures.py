"""Measures that alerts watch, read from the tables. A measure without data has no value."""

from collections.abc import Collection, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection

from projections.follow import lag
from projections.follow.lag import LATE
from rim_ledger.delivery.port import Channel
from rim_ledger.notifications.alert import AlertType

FRESH: Final = """
SELECT coalesce((SELECT e.recorded_at FROM ledger.events e
                  WHERE e.position > (SELECT min(position) FROM read.tracking)
                  ORDER BY e.position LIMIT 1) > now() - interval '1 minute', true)"""
"""True if the tables are at most a minute behind; otherwise their follower has stopped, and no
measure can be read."""

LATE_SECONDS: Final = 60
"""A process that lags by more counts as a system error."""

QUERIES: Final[Mapping[AlertType, str]] = {
    AlertType.OVERDUE_LOANS: """
SELECT count(*) FROM read.loans
 WHERE status IN ('disbursed', 'repaying', 'defaulted')
   AND due_date <= %(at)s - interval '1 second' AND outstanding_amount > 0""",
    AlertType.API_FAILURE: """
SELECT count(*) FILTER (WHERE failed) FROM ledger.calls
 WHERE at > %(at)s - interval '5 minutes' AND at <= %(at)s HAVING count(*) > 0""",
    AlertType.PAYMENT_GATEWAY: """
SELECT count(*) FILTER (
           WHERE status = 'failed' OR created_at <= %(at)s - interval '15 minutes')
  FROM read.transactions
 WHERE type = 'repayment' AND payment_method IS DISTINCT FROM 'cash'
   AND (status = 'pending' OR updated_at > %(at)s - interval '15 minutes')
   AND status IN ('pending', 'completed', 'failed') HAVING count(*) > 0""",
    AlertType.USER_ISSUE: """
SELECT count(*) FROM read.tickets
 WHERE status = 'escalated' OR (priority = 'urgent' AND status IN ('open', 'in-progress'))""",
    AlertType.SYSTEM_ERROR: """
SELECT (SELECT count(*) FROM ledger.faults
         WHERE at > %(at)s - interval '5 minutes' AND at <= %(at)s)
     + (SELECT count(*) FROM read.backups b
         WHERE status = 'failed' AND deleted_at IS NULL AND failed_at <= %(at)s
           AND NOT EXISTS (SELECT FROM read.backups later
                            WHERE later.status = 'success' AND later.created_at > b.failed_at))""",
}
"""A query without rows means no data, such as no calls or payments."""

OF_TABLES: Final = (AlertType.OVERDUE_LOANS, AlertType.PAYMENT_GATEWAY, AlertType.USER_ISSUE)

FAILING: Final = """
SELECT type FROM read.api_integrations i
 WHERE type IN ('sms', 'email') AND NOT archived AND (status = 'error' OR status = 'active'
   AND (SELECT failed FROM ledger.calls c WHERE c.integration_id = i.id
           AND at > %(at)s - interval '5 minutes' ORDER BY at DESC LIMIT 1))"""


class TableMeasures:
    """Connects for each query, as queries are far apart."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def value(self, type: AlertType, at: datetime) -> Decimal | None:
        """The value at a time, or None without data."""
        try:
            async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
                (fresh,) = await _row(connection, FRESH, at) or (False,)
                if type in OF_TABLES and not fresh:
                    return None
                found = await _row(connection, QUERIES[type], at)
                late = lag.found(await (await connection.execute(LATE.encode())).fetchall())
        except psycopg.Error:
            return None
        if found is None:
            return None
        stopped = sum(each.is_late(LATE_SECONDS) for each in late)
        return Decimal(found[0] + (stopped if type is AlertType.SYSTEM_ERROR else 0))

    async def failing(self, at: datetime) -> Collection[Channel]:
        """The channels whose provider is in error, or whose last call failed."""
        try:
            async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
                cursor = await connection.execute(FAILING, {"at": at})
                return {Channel(kind) async for (kind,) in cursor}
        except psycopg.Error:
            return ()


async def _row(
    connection: AsyncConnection[Any], query: str, at: datetime
) -> tuple[Any, ...] | None:
    return await (await connection.execute(query.encode(), {"at": at})).fetchone()
