"""Reads a whole ledger, as it is at one moment, into the pieces of a backup."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection, IsolationLevel

from rim_ledger.progress import Progress
from rim_ledger.storage import Storage
from rim_ledger.system.backup_chain import Chain
from rim_ledger.system.backup_file import Sealer
from rim_ledger.system.backup_manifest import CHANGES, EVENTS, FILE, Manifest
from rim_ledger.system.backup_rows import PIECE_MAX, Layout, difference, packed

LEFT_OUT: Final = ("attempts", "challenges", "exports", "heartbeats", "snapshots")
"""What counts for minutes or hours, and is of no use in a day; and what is made again."""

SPELLING: Final = """
SELECT set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, MDY', true),
       set_config('IntervalStyle', 'postgres', true), set_config('bytea_output', 'hex', true),
       set_config('extra_float_digits', '1', true)"""
"""The same value is the same text in every backup: so what changed is told from what did not."""

# A table's columns, and those of its primary key, or all where it has none.
TABLES: Final = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum),
       coalesce(array_agg(a.attname::text ORDER BY array_position(p.indkey::int2[], a.attnum))
                FILTER (WHERE a.attnum = ANY (p.indkey::int2[])),
                array_agg(a.attname::text ORDER BY a.attnum))
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid
  LEFT JOIN pg_index p ON p.indrelid = c.oid AND p.indisprimary
 WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r'
   AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
 GROUP BY c.relname ORDER BY c.relname <> 'events', c.relname"""

ADDED: Final = """
SELECT (body::json #>> '{data,attachmentId}')::uuid FROM ledger.events
 WHERE name = 'AttachmentAdded' AND position > %s AND position <= %s ORDER BY position"""

CHECKPOINT: Final = "SELECT note FROM ledger.checkpoints ORDER BY number DESC LIMIT 1"

MIGRATIONS: Final = "SELECT name FROM migrations ORDER BY name"

ROUND: Final = 1000
"""Lines after which is told how many were read."""


class Dump(Struct, kw_only=True):
    """One backup while it is written: everything, or the events after those of the chain before it
    and what else has changed since."""

    url: str
    files: Storage
    sealer: Sealer
    id: UUID
    before: Chain | None
    told: Progress
    done: int = 0
    total: int = 0
    manifest: Manifest | None = None
    """What it holds, once it was read to its end."""

    async def parts(self) -> AsyncIterator[bytes]:
        """The bytes of the backup's file, made as they are asked for. Raises Unsound where the
        chain before it cannot be read."""
        yield self.sealer.head
        before = self.before.last if self.before else None
        after = before.position if before else 0
        async with _one_moment(self.url) as connection:
            head = "SELECT coalesce(max(position), 0), transaction_timestamp() FROM ledger.events"
            ((position, at),) = await _rows(connection, head)
            layouts = {
                table: Layout(columns, key)
                for table, columns, key in await _rows(connection, TABLES)
                if table not in LEFT_OUT
            }
            added = [file for (file,) in await _rows(connection, ADDED, after, position)]
            self.total = position - after + len(added)
            state = {table: layout for table, layout in layouts.items() if table != EVENTS}
            for table in state:
                self.total += (await _rows(connection, _counted(table)))[0][0]
            events = self._lines(connection, EVENTS, layouts[EVENTS], after)
            async for part in self._pieces(EVENTS, events):
                yield part
            for table, layout in state.items():
                async for part in self._state(connection, table, layout):
                    yield part
            notes = await _rows(connection, CHECKPOINT)
            migrations = [name for (name,) in await _rows(connection, MIGRATIONS)]
        missing = list[UUID]()
        for file in added:
            if await self.files.size(str(file)) is None:
                missing.append(file)
                continue
            async for part in self._file(str(file)):
                yield part
            self._tell(1)
        self.manifest = Manifest(
            id=self.id,
            parent=before.id if before else None,
            after=after,
            position=position,
            made_at=at,
            checkpoint=notes[0][0] if notes else None,
            migrations=migrations,
            columns={table: list(layout.columns) for table, layout in layouts.items()},
            missing=missing,
            pieces=self.sealer.pieces,
            keys={table: list(layout.key) for table, layout in state.items()},
            changes=[table for table, layout in state.items() if self._knows(table, layout)],
            parent_file=self.before.links[-1][0].name if self.before else None,
            parent_digest=before.digest if before else None,
        )
        yield self.sealer.manifest(self.manifest)

    def _knows(self, table: str, layout: Layout) -> bool:
        """Whether the chain before has a table that the one of now can be compared with."""
        return self.before is not None and self.before.last.has(table, layout)

    async def _state(
        self, connection: AsyncConnection[Any], table: str, layout: Layout
    ) -> AsyncIterator[bytes]:
        of, lines = table, self._lines(connection, table, layout)
        if self.before and self._knows(table, layout):
            before = self.before.rows(table, _silent)
            of, lines = CHANGES + table, difference(before, layout.groups(lines))
        async for part in self._pieces(of, lines):
            yield part

    async def _lines(
        self, connection: AsyncConnection[Any], table: str, layout: Layout, after: int | None = None
    ) -> AsyncIterator[bytes]:
        """The rows of a table in the order of its key, as lines of COPY; of the events those after
        a position."""
        where, order = "", ", ".join(f'{name}::text COLLATE "C"' for name in layout.key)
        if after is not None:
            where, order = f" WHERE position > {after}", "position"
        columns = ", ".join(layout.columns)
        query = f"COPY (SELECT {columns} FROM ledger.{table}{where} ORDER BY {order}) TO STDOUT"
        read = 0
        async with connection.cursor().copy(query.encode()) as source:
            async for line in source:
                yield bytes(line)
                read += 1
                if read == ROUND:
                    self._tell(read)
                    read = 0
        self._tell(read)

    async def _pieces(self, of: str, lines: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for content, count in packed(lines):
            yield self.sealer.piece(of, content, count)

    async def _file(self, name: str) -> AsyncIterator[bytes]:
        rest = b""
        async for part in self.files.read(name):
            rest += part
            if len(rest) >= PIECE_MAX:
                yield self.sealer.piece(FILE + name, rest)
                rest = b""
        yield self.sealer.piece(FILE + name, rest)

    def _tell(self, more: int) -> None:
        self.done += more
        self.told(self.done, self.total)


@asynccontextmanager
async def _one_moment(url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """A connection that sees the ledger as it is at one moment. Closed without a word: there is
    nothing to take back, and a copy that was interrupted takes no further command."""
    connection = await AsyncConnection.connect(url)
    try:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        await connection.execute(SPELLING)
        yield connection
    finally:
        await connection.close()


def _silent(_: int) -> None:
    """What is read of the chain before is no part of the progress."""


def _counted(table: str) -> str:
    return f"SELECT count(*) FROM ledger.{table}"


async def _rows(
    connection: AsyncConnection[Any], query: str, *values: object
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query.encode(), values or None)).fetchall()
