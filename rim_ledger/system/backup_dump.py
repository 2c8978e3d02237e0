"""Writes a consistent snapshot of the ledger as the pieces of a backup."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection, IsolationLevel

from rim_ledger.progress import Progress
from rim_ledger.storage import Storage
from rim_ledger.system.backup_chain import Chain
from rim_ledger.system.backup_file import CHANGES, EVENTS, FILE, Manifest, Sealer
from rim_ledger.system.backup_rows import PIECE_MAX, Layout, difference, packed

LEFT_OUT: Final = ("attempts", "challenges", "exports", "heartbeats", "milestones", "snapshots")
"""Tables of short-lived counts, useless in a restore, and those that are derived."""

SPELLING: Final = """
SELECT set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, MDY', true),
       set_config('IntervalStyle', 'postgres', true), set_config('bytea_output', 'hex', true),
       set_config('extra_float_digits', '1', true)"""
"""Fixes the text of each value, so that unchanged rows compare equal across backups."""

# A table's columns, and those of its primary key, or all if it has none.
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
"""Lines between two reports of progress."""


class Dump(Struct, kw_only=True):
    """A backup being written: everything or, for an incremental one, the events after those of its
    parents and the rows that changed since."""

    url: str
    files: Storage
    sealer: Sealer
    id: UUID
    before: Chain | None
    report: Progress
    done: int = 0
    total: int = 0
    manifest: Manifest | None = None
    """Set once all parts were read."""

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the backup's file. Raises BackupError for unreadable parents."""
        yield self.sealer.head
        before = self.before.last if self.before else None
        after = before.position if before else 0
        async with _snapshot(self.url) as connection:
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
                self.total += (await _rows(connection, f"SELECT count(*) FROM ledger.{table}"))[0][
                    0
                ]
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
            self._count(1)
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
            changes=[table for table, layout in state.items() if self._has_base(table, layout)],
            parent_file=self.before.links[-1][0].name if self.before else None,
            parent_digest=before.digest if before else None,
        )
        yield self.sealer.manifest(self.manifest)

    def _has_base(self, table: str, layout: Layout) -> bool:
        """Return whether the parents have a table with the same columns and order."""
        return self.before is not None and self.before.last.has(table, layout)

    async def _state(
        self, connection: AsyncConnection[Any], table: str, layout: Layout
    ) -> AsyncIterator[bytes]:
        of, lines = table, self._lines(connection, table, layout)
        if self.before and self._has_base(table, layout):
            before = self.before.rows(table, lambda _: None)  # Not counted as progress.
            of, lines = CHANGES + table, difference(before, layout.groups(lines))
        async for part in self._pieces(of, lines):
            yield part

    async def _lines(
        self, connection: AsyncConnection[Any], table: str, layout: Layout, after: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the rows of a table in the order of its key, as COPY lines; of the events, those
        after a position."""
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
                    self._count(read)
                    read = 0
        self._count(read)

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

    def _count(self, more: int) -> None:
        self.done += more
        self.report(self.done, self.total)


@asynccontextmanager
async def _snapshot(url: str) -> AsyncIterator[AsyncConnection[Any]]:
    """Open a read-only connection on one snapshot. It is closed without a rollback, because an
    interrupted COPY accepts no further command."""
    connection = await AsyncConnection.connect(url)
    try:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        await connection.execute(SPELLING)
        yield connection
    finally:
        await connection.close()


async def _rows(
    connection: AsyncConnection[Any], query: str, *values: object
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query.encode(), values or None)).fetchall()
