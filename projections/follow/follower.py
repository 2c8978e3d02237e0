"""The follower: folds the log page by page, and writes each page together with its position."""

import asyncio
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection

from projections.catalogue import TABLES
from projections.follow import log
from projections.follow.as_of import Moment, folded
from projections.follow.fold import Entry, PoisonEvent, Trace, fold
from projections.follow.snapshots import StreamStates
from projections.tables import schema
from projections.tables.writer import Unwritable, persons_of, rows_of, write
from rim_ledger.engine.entry import weight
from rim_ledger.engine.recent import Recent
from rim_ledger.engine.store import CHANNEL, IMPATIENT, INDEXES_ONLY, Line
from rim_ledger.postgres.outage import OUTAGE, Outages
from rim_ledger.vault.living_keys import LIVING_KEYS
from rim_ledger.vault.personal_keys import Keys, Vault

PAGE: Final = 2_000
CACHE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Memory, about, of the cached streams."""
KEYS_MAX: Final = 50_000
POLL_SECONDS: Final = 0.25
"""Poll interval, should a notification be lost."""
BUSY: Final = 16
"""Events of a page after which the next one is left to fill."""
FILL_SECONDS: Final = 0.04
"""How long it is left to fill: a page costs some milliseconds, however few its events are."""
PAUSE_SECONDS_MAX: Final = 1.0
"""Maximum delay between reconnects: readers wait five seconds for a position."""


class Follower:
    """One set of tables, with a cache of recently folded streams."""

    def __init__(self, connection: AsyncConnection[Any], vault: Vault, tables: str = schema.LIVE):
        self._connection, self._tables = connection, tables
        self._unwrap = lru_cache(KEYS_MAX)(vault.unwrap)
        own = vault.event_mac if tables == schema.LIVE else None
        self._states = StreamStates(connection, own) if own else None
        """None where the tables are built anew, from events alone."""
        self._cache = Recent[UUID, Entry](CACHE_BYTES_MAX, lambda each: weight(each.folded))
        self._position = -1

    async def advance(self, upto: int | None = None, limit: int = PAGE) -> int:
        """Write the next page; gives its number of events.

        Position and version of the tables are read under the lock of their writers, so that another
        process's progress or swap is noticed. Raises Outdated when they are another version's.
        """
        async with self._connection.transaction():
            # The tables can be rebuilt from the log, so commits need not be flushed.
            await self._connection.execute("SET LOCAL synchronous_commit = off")
            if self._tables == schema.LIVE:
                await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", [schema.LOCK])
                await schema.require(self._connection)
            position = await schema.position(self._connection, self._tables)
            if position != self._position:
                self._cache.clear()
            lines = await log.page(self._connection, position, upto, limit)
            touched = await self._write(position, lines) if lines else {}
        self._position = position + len(lines)
        self._remember(touched)
        return len(lines)

    async def _write(self, position: int, lines: list[Line]) -> dict[UUID, Entry]:
        """Fold and write a page; gives the touched entries."""
        touched = await self._load({line.stream for line in lines}, position)
        traces: list[Trace] = []
        for expected, line in enumerate(lines, position + 1):
            if line.position != expected:
                raise PoisonEvent(line, f"position {expected} is missing")
            touched[line.stream], left = fold(touched.get(line.stream), line)
            traces += left
        if self._states:
            self._states.check(lines)
        last = position + len(lines)
        keys = await self.keys(touched.values())
        touched |= await self._load(await self._rows_of_erased(touched, keys), last)
        try:
            await write(self._connection, self._tables, rows_of(touched.values(), traces, keys))
        except Unwritable as error:
            if len(lines) == 1:
                raise PoisonEvent(lines[0], str(error)) from None
            raise
        moved = await self._connection.execute(
            f"UPDATE {self._tables}.tracking SET position = %s WHERE position = %s".encode(),
            [last, position],
        )
        assert moved.rowcount == 1, "nobody else writes the tables while their lock is held"
        if self._tables == schema.LIVE:
            await self._connection.execute("SELECT pg_notify('read', %s)", [str(last)])
        return touched | await self._states.keep(touched) if self._states else touched

    async def keys(self, entries: Iterable[Entry]) -> Keys:
        """The keys of the persons in these entries; None once erased."""
        cursor = await self._connection.execute(LIVING_KEYS, [list(persons_of(entries))])
        return {person: self._unwrap(person, wrapped) async for person, wrapped in cursor}

    async def _rows_of_erased(self, touched: dict[UUID, Entry], keys: Keys) -> set[UUID]:
        """Rows that may still hold data of a person erased in this page: they are written again."""
        erased = [person for person in touched if keys.get(person, ...) is None]
        ids = set[UUID]()
        for row in TABLES.values():
            if erased and row.PERSON not in (None, "id"):
                query = f"SELECT id FROM {self._tables}.{row.TABLE} WHERE {row.PERSON} = ANY (%b)"
                cursor = await self._connection.execute(query.encode(), [erased])
                ids |= {stream async for (stream,) in cursor}
        return ids - touched.keys()

    async def _load(self, ids: set[UUID], position: int) -> dict[UUID, Entry]:
        """Streams as of a position, from the cache or else from the log."""
        entries = {each: self._cache[each] for each in ids if each in self._cache}
        if missing := ids - entries.keys():
            if self._states:
                entries |= await self._states.load(missing, position)
            else:
                entries |= await folded(self._connection, missing, Moment(position))
        return entries

    def _remember(self, touched: dict[UUID, Entry]) -> None:
        """Cache the entries that have not ended; the least recently used are evicted."""
        for stream, entry in touched.items():
            if entry.aggregate.ended:
                self._cache.forget(stream)
            else:
                self._cache[stream] = entry
        self._cache.shrink()


async def follow(
    url: str, vault: Vault, notice: Callable[[str], None] = lambda _: None, page: int = PAGE
) -> None:
    """Keep the tables up to date until cancelled.

    Reconnects after a database outage, reported to `notice`. Raises PoisonEvent when an event
    cannot be shown, and writes nothing after it. Raises Outdated when the tables must be rebuilt
    first.
    """
    pause, outages = 0.1, Outages(notice, "the read tables")
    while True:
        try:
            async with await AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(IMPATIENT)
                await schema.create(connection)
                await connection.execute(INDEXES_ONLY)
                await connection.execute(f"LISTEN {CHANNEL}".encode())
                follower = Follower(connection, vault)
                while True:
                    while written := await _advance(follower, page):
                        pause = 0.1
                        if BUSY <= written < page:
                            await let_fill()
                    outages.end()
                    async for _ in connection.notifies(timeout=POLL_SECONDS, stop_after=1):
                        pass
        except OUTAGE as error:
            outages.begin(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, PAUSE_SECONDS_MAX)


async def let_fill() -> None:
    """Wait for the next page to fill."""
    await asyncio.sleep(FILL_SECONDS)


async def _advance(follower: Follower, page: int) -> int:
    """A page; when it cannot be written, event by event, so that the error names the right one."""
    try:
        return await follower.advance(limit=page)
    except Unwritable:
        return await follower.advance(limit=1)
