"""Rebuild: fills new tables beside the live ones, compares, and swaps them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import psycopg
from msgspec import Struct
from psycopg import AsyncConnection
from psycopg.errors import LockNotAvailable

from projections.catalogue import TABLES
from projections.follow import log
from projections.follow.as_of import Moment
from projections.follow.dependents import Irreplaceable
from projections.follow.exchange import NEXT, PAST, drop, exchange, fill, try_exchange
from projections.follow.fold import Entry, StreamFold, Trace
from projections.follow.follower import Follower
from projections.follow.log import Line
from projections.follow.snapshots import MILESTONE, StreamStates
from projections.tables import schema
from projections.tables.compare import Difference, differences
from projections.tables.upsert_sql import fill_copies
from projections.tables.writer import copy, hiding_values, rows_of
from rim_ledger.operator_error import OperatorError
from rim_ledger.progress import Progress, unreported
from rim_ledger.vault.personal_keys import Vault

STRETCH: Final = 5000
ROUNDS: Final = 8
NEAR: Final = 100
"""Events that may be left for the swap, which takes a fraction of a second."""
LOCK: Final = 7_264_003
PREPARING: Final = 7_264_004
LINGERING: Final = 5_000
"""Milliseconds for the session of an ended rebuild to go, and its lock with it."""


class Rebuilt(Struct, frozen=True):
    """The result of a rebuild: the position, and where the old tables were wrong."""

    position: int
    differences: tuple[Difference, ...]
    swapped: bool


class Busy(OperatorError):
    """Another rebuild is running."""


async def prepare(url: str, vault: Vault) -> bool:
    """Create the tables, or rebuild those of another version; gives True in that case.

    A concurrent caller waits. Raises Outdated if another version has taken over from this one.
    """
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", [PREPARING])
        await schema.require_not_replaced(connection)
        if await schema.found(connection) == schema.fingerprint():
            return False
        await rebuild(url, vault)
        return True


async def rebuild(
    url: str, vault: Vault, progress: Progress = unreported, *, check: bool = False
) -> Rebuilt:
    """Build the tables from the log and swap them in; with `check`, only compare.

    Reads, writes and the follower go on meanwhile. Leftovers of an interrupted rebuild are dropped.
    Raises Busy, PoisonEvent, Unwritable, or Irreplaceable when others' objects on the tables cannot
    be recreated.
    """
    async with (
        await AsyncConnection.connect(url, autocommit=True) as source,
        await AsyncConnection.connect(url, autocommit=True) as connection,
    ):
        await _claim(connection)
        await drop(connection, NEXT, PAST)
        await _run(connection, schema.bare(NEXT))
        try:
            await try_exchange(connection)
        except Irreplaceable:
            await drop(connection, NEXT)
            raise
        comparable = await schema.found(connection) == schema.fingerprint()
        side = _Side(connection, Follower(connection, vault, NEXT), comparable=comparable)
        head, upto = await log.head(connection), await side.goal()
        states = StreamStates(connection, mac) if (mac := vault.event_mac) else None
        async for done in _fill(connection, source, side.follower, upto, states):
            progress(done, upto)
        await _run(connection, schema.finish(NEXT))
        await _run(connection, [f"ANALYZE {NEXT}.{table}" for table in TABLES])
        position, found = await side.compared() if comparable else (upto, [])
        if not check:
            position = await side.swapped(head)
        await drop(connection, NEXT, PAST)
        return Rebuilt(position, tuple(found), not check)


async def _claim(connection: AsyncConnection[Any]) -> None:
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = {LINGERING}".encode())
            await connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    except LockNotAvailable:
        raise Busy("Another rebuild is under way.") from None


class _Side(Struct):
    """The new tables beside the live ones, once filled."""

    connection: AsyncConnection[Any]
    follower: Follower
    comparable: bool
    """True if the live tables are of this version, so that both can be at one position."""

    async def goal(self, least: int = 0) -> int:
        """The position to reach: that of the live tables and at least `least`; else the end of the
        log."""
        if self.comparable:
            return max(least, await schema.position(self.connection))
        return await log.head(self.connection)

    async def compared(self) -> tuple[int, list[Difference]]:
        """The differences of the live tables, and the position of the comparison.

        An erased person's data is gone from new tables at once, from live ones at that event: only
        what differs a second time counts.
        """
        position, found = await self._differences()
        if found:
            rows = {(each.table, each.id) for each in found}
            position, again = await self._differences()
            found = [each for each in again if (each.table, each.id) in rows]
        return position, found

    async def _differences(self) -> tuple[int, list[Difference]]:
        """Compare both sets in a snapshot at one position, while the follower goes on."""
        await self._catch_up()
        async with self._followers_held():
            await self._advance(position := await self.goal())
            await self.connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            await schema.position(self.connection, NEXT)  # The first query takes the snapshot.
        found = await differences(self.connection, schema.LIVE, NEXT)
        await self.connection.execute("COMMIT")
        return position, found

    async def swapped(self, least: int) -> int:
        """Swap at this position or later; gives the position."""
        while True:
            await self._catch_up(least)
            with contextlib.suppress(LockNotAvailable):
                async with self._followers_held():
                    await self._advance(position := await self.goal(least))
                    kept = await exchange(self.connection, position)
                await fill(self.connection, kept)
                return position

    async def _catch_up(self, least: int = 0) -> None:
        """Approach the goal in a bounded number of rounds, each shorter than the one before, as
        these tables are filled faster than the log grows."""
        for _ in range(ROUNDS):
            if await self._advance(await self.goal(least)) <= NEAR:
                break

    async def _advance(self, upto: int) -> int:
        """Advance to a position; gives the number of events."""
        total = 0
        while count := await self.follower.advance(upto):
            total += count
        return total

    @asynccontextmanager
    async def _followers_held(self) -> AsyncIterator[None]:
        """Keep others from writing the live tables in the block. Commands and reads go on."""
        await self.connection.execute("SELECT pg_advisory_lock(%s)", [schema.LOCK])
        try:
            yield
        finally:
            with contextlib.suppress(psycopg.Error):  # A lost connection has released it.
                await self.connection.execute("SELECT pg_advisory_unlock(%s)", [schema.LOCK])


async def _fill(
    connection: AsyncConnection[Any],
    source: AsyncConnection[Any],
    follower: Follower,
    upto: int,
    states: StreamStates | None,
) -> AsyncIterator[int]:
    """Copy all rows into bare tables, stream by stream, each row once; and keep milestones.

    Reading, folding and copying overlap. Yields the number of events processed.
    """
    done, copying = 0, asyncio.create_task(asyncio.sleep(0))
    passed = list[tuple[UUID, Entry]]()
    if states:
        await states.forget_past()
    async for ended, traces, done in histories(source, Moment(upto), passed=passed):
        await copying
        if states:
            await states.keep_past(passed)
        passed.clear()
        rows = rows_of(ended, traces, await follower.keys(ended))
        copying = asyncio.create_task(copy(connection, NEXT, rows))
        yield done
    await copying
    assert done == upto, "the log has every position"
    copies = [each for row in TABLES.values() for each in fill_copies(row, NEXT)]
    await _run(connection, [*copies, f"UPDATE {NEXT}.tracking SET position = {upto}"])


async def histories(
    source: AsyncConnection[Any],
    moment: Moment,
    stretch: int = STRETCH,
    passed: list[tuple[UUID, Entry]] | None = None,
) -> AsyncIterator[tuple[list[Entry], list[Trace], int]]:
    """Fold every stream up to a moment, so many events at a time: yields entries, traces, and the
    number of events processed. Adds the milestones of streams to `passed`."""
    done, course = 0, StreamFold()
    async for lines in _stretches(source, moment.position, stretch):
        ended, traces = list[Entry](), list[Trace]()
        for line in lines:
            if line.version == 1:
                ended += course.results
                course = StreamFold()
            before, course = course, course.after(line, moment.happened_by)
            traces += course.left_after(before, line)
            if passed is not None and line.version % MILESTONE == 0 and course.recorded:
                passed.append((line.stream, course.recorded))
        done += len(lines)
        yield ended, traces, done
    yield course.results, [], done


async def _stretches(
    source: AsyncConnection[Any], upto: int, size: int
) -> AsyncIterator[list[Line]]:
    """Yield the log in order of streams; the next part is read while one is processed."""
    lines = await log.stretch(source, log.FIRST, upto, size)
    while lines:
        place = (lines[-1].stream, lines[-1].version)
        coming = asyncio.create_task(log.stretch(source, place, upto, size))
        await asyncio.sleep(0)  # Start the query now.
        yield lines
        lines = await coming


async def _run(connection: AsyncConnection[Any], statements: list[str]) -> None:
    with hiding_values():
        for statement in statements:
            await connection.execute(statement.encode())
