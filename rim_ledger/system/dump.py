"""Reads a whole ledger, as it is at one moment, into the pieces of a backup."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection, IsolationLevel

from rim_ledger.storage import Storage
from rim_ledger.system.archive import EVENTS, FILE, PIECE_MAX, Manifest, Sealer

LEFT_OUT: Final = ("attempts", "challenges", "heartbeats")
"""What counts for minutes, and is of no use in a day."""

TABLES: Final = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
  FROM pg_class c
  JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r'
   AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
 GROUP BY c.relname ORDER BY c.relname <> 'events', c.relname"""

ADDED: Final = """
SELECT (body::json #>> '{data,attachmentId}')::uuid FROM ledger.events
 WHERE name = 'AttachmentAdded' AND position > %s AND position <= %s ORDER BY position"""

CHECKPOINT: Final = "SELECT note FROM ledger.checkpoints ORDER BY number DESC LIMIT 1"

MIGRATIONS: Final = "SELECT name FROM migrations ORDER BY name"

Progress = Callable[[int, int], None]
"""Is told how many lines and files are done, of how many."""


class Dump(Struct, kw_only=True):
    """One backup while it is written: everything, or the events after a parent's position and
    all that changes whole."""

    url: str
    files: Storage
    sealer: Sealer
    id: UUID
    parent: UUID | None
    after: int
    told: Progress
    done: int = 0
    total: int = 0
    manifest: Manifest | None = None
    """What it holds, once it was read to its end."""

    async def parts(self) -> AsyncIterator[bytes]:
        """The bytes of the backup's file, made as they are asked for."""
        yield self.sealer.head
        async with _one_moment(self.url) as connection:
            head = "SELECT coalesce(max(position), 0), transaction_timestamp() FROM ledger.events"
            ((position, at),) = await _rows(connection, head)
            columns = dict(await _rows(connection, TABLES))
            columns = {table: names for table, names in columns.items() if table not in LEFT_OUT}
            added = [file for (file,) in await _rows(connection, ADDED, self.after, position)]
            self.total = position - self.after + len(added)
            for table in columns:
                if table != EVENTS:
                    self.total += (await _rows(connection, _counted(table)))[0][0]
            for table, names in columns.items():
                async for part in self._table(connection, table, names):
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
            parent=self.parent,
            after=self.after,
            position=position,
            made_at=at,
            checkpoint=notes[0][0] if notes else None,
            migrations=migrations,
            columns=columns,
            missing=missing,
            pieces=self.sealer.pieces,
        )
        yield self.sealer.manifest(self.manifest)

    async def _table(
        self, connection: AsyncConnection[Any], table: str, names: list[str]
    ) -> AsyncIterator[bytes]:
        where = f" WHERE position > {self.after} ORDER BY position" if table == EVENTS else ""
        query = f"COPY (SELECT {', '.join(names)} FROM ledger.{table}{where}) TO STDOUT"
        lines, size = list[bytes](), 0
        async with connection.cursor().copy(query.encode()) as source:
            async for line in source:
                lines.append(bytes(line))
                size += len(line)
                if size >= PIECE_MAX:
                    yield self._lines(table, lines)
                    lines, size = [], 0
        if lines:
            yield self._lines(table, lines)

    def _lines(self, table: str, lines: list[bytes]) -> bytes:
        self._tell(len(lines))
        return self.sealer.piece(table, b"".join(lines), len(lines))

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
        yield connection
    finally:
        await connection.close()


def _counted(table: str) -> str:
    return f"SELECT count(*) FROM ledger.{table}"


async def _rows(
    connection: AsyncConnection[Any], query: str, *values: object
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(query.encode(), values or None)).fetchall()
