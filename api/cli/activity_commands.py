"""Operators' commands on the activity log: dropping rows after their retention."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from psycopg import AsyncConnection

from api.cli.admin_commands import operator
from api.config.database import fitting_database, open_vault
from api.config.settings import Settings
from projections.proofs import checkpoints
from projections.proofs.activity_spans import DroppedSpan, drop
from projections.proofs.sealer import LOCK
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.operator_error import OperatorError

RETENTION_DAYS: Final = 1825
"""Five years."""


def drop_before(before: date, *, reason: str) -> None:
    """Drop activities and refused requests from before a day, when their retention is over.

    Only a whole span is dropped, from the oldest on. Its leaf hashes stay, and a signed note says
    who dropped it, when and why. Needs the owner of the tables and the master secret.

    :param before: The first day that is kept (UTC), such as 2021-01-31; at least five years ago.
    :param reason: Why, in a few words; they are kept in the clear.
    """
    settings, now = Settings.load(), SystemEnvironment().now()
    first = datetime.combine(before, time(), UTC)
    latest = now - timedelta(days=RETENTION_DAYS)
    if first > latest:
        words = f"activity is kept for {RETENTION_DAYS} days: name a day up to {latest:%Y-%m-%d}"
        raise OperatorError(words)
    with fitting_database(settings, owner=True) as url:
        span = asyncio.run(_drop(settings, url, first, reason))
    print(span or f"no activity from before {before} is sealed, but for what was dropped already")


async def _drop(settings: Settings, url: str, before: datetime, reason: str) -> DroppedSpan | None:
    vault, environment = open_vault(settings, url), SystemEnvironment()
    async with await AsyncConnection.connect(url) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        key = await checkpoints.signer(connection, vault, environment)
        return await drop(connection, key, before, (operator(), reason, environment.now()))
