"""Fills the tables anew beside the live ones, compares, and puts them in their place at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from msgspec import Struct
from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable

from projections import log, schema
from projections.catalogue import TABLES
from projections.compare import Difference, differences
from projections.fold import Entry, Trace, fold
from projections.follower import Follower
from projections.log import Line
from projections.statements import fills
from projections.writer import copy, rows_of, unquoted
from rim_ledger.vault import Vault

NEXT: Final = "read_next"
PAST: Final = "read_past"
STRETCH: Final = 5000
LOCK: Final = 7_264_003
PREPARING: Final = 7_264_004
LINGERING: Final = 5_000
"""Milliseconds in which the session of a rebuild that has ended is gone, and its lock with it."""
YIELD: Final = 100
"""Milliseconds that a drop waits for a reader; PostgreSQL ends one of both after a second."""
ENDING: Final = 5_000
"""Milliseconds in which PostgreSQL ends an automatic vacuum that somebody waits for."""

Progress = Callable[[int, int], None]
"""Is told how many events are done, of how many."""


def silent(done: int, total: int) -> None:
    """Tells nobody."""


class Rebuilt(Struct, frozen=True):
    """What a rebuild came to: how far the new tables are, and where the old ones were wrong."""

    position: int
    differences: tuple[Difference, ...]
    swapped: bool


class Busy(Exception):
    """Another rebuild is under way."""


async def prepare(url: str, vault: Vault) -> bool:
    """Make the tables, or rebuild those of another version of the program; whether that was so.

    Whoever comes second waits, and finds them made.
    """
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [PREPARING])
        if await schema.found(connection) == schema.fingerprint():
            return False
        await rebuild(url, vault)
        return True


async def rebuild(
    url: str, vault: Vault, progress: Progress = silent, *, check: bool = False
) -> Rebuilt:
    """Build the tables from the log alone and swap them in; with `check`, only compare.

    Reads go on meanwhile, and so does the follower. What an interrupted rebuild left is dropped
    by the next. Raises Busy, or Poisoned or Unwritable when an event cannot be shown.
    """
    async with (
        await AsyncConnection.connect(url, autocommit=True) as source,
        await AsyncConnection.connect(url, autocommit=True) as connection,
    ):
        await _claim(connection)
        await _drop(connection, NEXT, PAST)
        await _run(connection, schema.bare(NEXT))
        follower, upto = Follower(connection, vault, NEXT), await log.head(connection)
        async for done in _fill(connection, source, follower, upto):
            progress(done, upto)
        await _run(connection, schema.finish(NEXT))
        await _run(connection, [f"ANALYZE {NEXT}.{table}" for table in TABLES])
        rebuilt = await _settle(connection, follower, vault, check=check)
        await _drop(connection, NEXT, PAST)
        return rebuilt


async def _claim(connection: AsyncConnection[Any]) -> None:
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {LINGERING}".encode())
            await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    except LockNotAvailable:
        raise Busy("Another rebuild is under way.") from None


async def _settle(
    connection: AsyncConnection[Any], follower: Follower, vault: Vault, *, check: bool
) -> Rebuilt:
    """Bring both sets of tables to one position; there, compare and swap."""
    before = await schema.found(connection)
    sets = [follower]
    if before == schema.fingerprint():
        sets.append(Follower(connection, vault))
    for each in sets:
        while await each.advance():
            pass
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [schema.LOCK])
        upto = await log.head(connection)
        for each in sets:
            while await each.advance(upto):
                pass
        found = await differences(connection, schema.LIVE, NEXT) if len(sets) > 1 else []
        if not check:
            if before is not None:
                await _run(connection, [f"ALTER SCHEMA {schema.LIVE} RENAME TO {PAST}"])
            await _run(connection, [f"ALTER SCHEMA {NEXT} RENAME TO {schema.LIVE}"])
            await connection.execute("SELECT pg_notify('read', %s)", [str(upto)])
    return Rebuilt(upto, tuple(found), not check)


async def _drop(connection: AsyncConnection[Any], *schemas: str) -> None:
    """Drop tables one after the other. Somebody may still read some of them and want another:
    rather than wait for each other, we let go of all and begin again."""
    await connection.execute(f"SET lock_timeout = {YIELD}".encode())
    for each in schemas:
        dropped = False
        while not dropped:
            try:
                await _run(connection, [f"DROP SCHEMA IF EXISTS {each} CASCADE"])
                dropped = True
            except LockNotAvailable:
                await _end_vacuum(connection, each)
    await connection.execute("RESET lock_timeout")


async def _end_vacuum(connection: AsyncConnection[Any], schema: str) -> None:
    """Have the automatic vacuum of tables ended, which may take hours: PostgreSQL does so when
    somebody waits for it longer than a drop does. We wait with nothing else in hand, and with a
    lock that is in no reader's way."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
    for (table,) in await (await connection.execute(query, [schema])).fetchall():
        lock = f"LOCK TABLE {schema}.{table} IN SHARE UPDATE EXCLUSIVE MODE"
        with contextlib.suppress(LockNotAvailable):
            async with connection.transaction():
                await _run(connection, [f"SET LOCAL lock_timeout = {ENDING}", lock])


async def _fill(
    connection: AsyncConnection[Any], source: AsyncConnection[Any], follower: Follower, upto: int
) -> AsyncIterator[int]:
    """Copy every row into the bare tables, stream by stream, so that each is written once.

    Reading, folding and copying go on at the same time. Yields how many events are done.
    """
    done, copying = 0, asyncio.create_task(asyncio.sleep(0))
    async for ended, traces, done in histories(source, upto):
        await copying
        rows = rows_of(ended, traces, await follower.keys(ended))
        copying = asyncio.create_task(copy(connection, NEXT, rows))
        yield done
    await copying
    assert done == upto, "the log has every position"
    copies = [each for row in TABLES.values() for each in fills(row, NEXT)]
    await _run(connection, [*copies, f"UPDATE {NEXT}.tracking SET position = {upto}"])


async def histories(
    source: AsyncConnection[Any], upto: int, stretch: int = STRETCH
) -> AsyncIterator[tuple[list[Entry], list[Trace], int]]:
    """Every stream, folded up to a position, so many events at a time: those that came to their
    end there, what their events left, and how many events are done."""
    done, entry = 0, None
    async for lines in _stretches(source, upto, stretch):
        ended, traces = list[Entry](), list[Trace]()
        for line in lines:
            if entry and line.version == 1:
                ended.append(entry)
                entry = None
            entry, left = fold(entry, line)
            traces += left
        done += len(lines)
        yield ended, traces, done
    if entry:
        yield [entry], [], done


async def _stretches(
    source: AsyncConnection[Any], upto: int, size: int
) -> AsyncIterator[list[Line]]:
    """The log in the order of its streams; while one stretch is worked on, the next is read."""
    lines = await log.stretch(source, log.FIRST, upto, size)
    while lines:
        place = (lines[-1].stream, lines[-1].version)
        coming = asyncio.create_task(log.stretch(source, place, upto, size))
        await asyncio.sleep(0)  # The question goes out now.
        yield lines
        lines = await coming


async def _run(connection: AsyncConnection[Any], statements: list[str]) -> None:
    with unquoted():
        for statement in statements:
            await connection.execute(statement.encode())
