"""The command `replay`: writes the read tables as of a moment into a DuckDB file."""

import asyncio
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from psycopg import AsyncConnection

from api.cli.progress import interruptible, progress, require_new
from api.config.database import log_database
from api.config.settings import Settings
from api.pipeline.as_of import NUMBER
from projections.analysis.replay import replay as write_tables
from projections.follow import log
from projections.follow.as_of import Moment
from rim_ledger.operator_error import OperatorError
from rim_ledger.values import moment

OPENINGS: Final = "('UserRegistered', 'LoanRequested', 'TransactionRecorded')"
LENDING: Final = f"SELECT 1 FROM ledger.events WHERE position <= %s AND name IN {OPENINGS} LIMIT 1"  # noqa: S608 - our own names
HAPPENED: Final = (
    f"SELECT 1 FROM ledger.events WHERE position > %s AND name IN {OPENINGS}"  # noqa: S608 - our own names
    " AND (body::json #>> '{stamp,at}')::timestamptz <= %s LIMIT 1"
)
UNRECORDED: Final = (
    "no user, loan or transaction was recorded by then, but some had happened: with"
    " --business-time they are counted"
)
APPROXIMATE: Final = (
    "this is approximate: some older events do not say when they happened, and stand at the time"
    " of their command"
)
BY: Final = "SELECT coalesce(max(position), 0) FROM ledger.events WHERE recorded_at <= %s"


def replay(*, into: Path, until: str | None = None, business_time: bool = False) -> None:
    """Write every read table as of a position or a time into a DuckDB file, without persons' words.

    :param into: The file, which is not there yet.
    :param until: A position, or a time in RFC 3339; the end of the log, when left out.
    :param business_time: Count what had happened until that time, as far as it is known now, rather
        than what was recorded until then.
    """
    by = _business_time(until) if business_time else None
    settings = Settings.load(keyless=True)
    require_new(into)

    async def run(url: str) -> str:
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            upto = await _position(connection, None if by else until)
            with progress("events") as advance:
                approximate = await write_tables(connection, Moment(upto, by), into, advance)
            if approximate:
                _warn(APPROXIMATE)
            if by is None and until and await _unrecorded(connection, upto, moment(until)):
                _warn(UNRECORDED)
        return f"position {upto}" + (f", as of what had happened by {until}" if by else "")

    with interruptible(f"{into} was not written"), log_database(settings) as url:
        print(f"{into}: the tables at {asyncio.run(run(url))}")  # noqa: T201


def _business_time(until: str | None) -> datetime:
    if until is None or (time := moment(until)) is None:
        raise OperatorError(
            "--business-time needs --until with a time, such as 2016-12-31T22:59:59Z"
        )
    return time


async def _unrecorded(connection: AsyncConnection[Any], upto: int, time: datetime | None) -> bool:
    """True if no lending had been recorded by a position, though some had happened by its time."""
    if time is None or (await (await connection.execute(LENDING, [upto])).fetchone()):
        return False
    return bool(await (await connection.execute(HAPPENED, [upto, time])).fetchone())


def _warn(words: str) -> None:
    print(f"rim-ledger: {words}", file=sys.stderr)  # noqa: T201


async def _position(connection: AsyncConnection[Any], until: str | None) -> int:
    head = await log.head(connection)
    if until is None:
        return head
    if NUMBER.fullmatch(until) and int(until) <= head:
        return int(until)
    if (time := moment(until)) is None:
        raise OperatorError(
            f"--until is a position up to {head}, or a time such as 2026-01-31T23:00:00Z"
        )
    return await log.number(connection, BY, time)
