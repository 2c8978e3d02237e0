"""The command that writes the tables as they were into a file for analysts."""

import asyncio
from pathlib import Path
from typing import Final

from psycopg import AsyncConnection

from api.installation.database import Unfit, log_database
from api.installation.settings import Settings
from api.process.progress import interruptible, progress
from api.road.as_of import NUMBER
from projections import log
from projections.replay import replay as write_tables
from rim_ledger.values import moment

BY: Final = "SELECT coalesce(max(position), 0) FROM ledger.events WHERE recorded_at <= %s"


def replay(*, into: Path, until: str | None = None) -> None:
    """Write every read table as of a position or a time into a DuckDB file, without persons' words.

    Parameters
    ----------
    into:
        The file, which is not there yet.
    until:
        A position, or a time in RFC 3339; the end of the log, when left out.
    """
    settings = Settings.load(keyless=True)
    if into.exists():
        raise Unfit(f"{into} is there already: name a new file")
    if not into.absolute().parent.is_dir():
        raise Unfit(f"{into.absolute().parent} is no directory")

    async def run(url: str) -> int:
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            upto = await _position(connection, until)
            with progress("events") as told:
                await write_tables(connection, upto, into, told)
            return upto

    with interruptible(f"{into} was not written"), log_database(settings) as url:
        print(f"{into}: the tables at position {asyncio.run(run(url))}")  # noqa: T201


async def _position(connection: AsyncConnection, until: str | None) -> int:
    head = await log.head(connection)
    if until is None:
        return head
    if NUMBER.fullmatch(until) and int(until) <= head:
        return int(until)
    if (time := moment(until)) is None:
        raise Unfit(f"--until is a position up to {head}, or a time such as 2026-01-31T23:00:00Z")
    row = await (await connection.execute(BY, [time])).fetchone()
    assert row, "an aggregate answers"
    return int(row[0])
