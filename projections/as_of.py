"""Rows as they were known at a position: folded from their events, written as the tables write."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from projections import log
from projections.catalogue import TABLES
from projections.fold import Entry, step
from projections.statements import shows, sources
from projections.tables import Row
from projections.writer import encode, persons_of, rows_of
from rim_ledger.vault import Keys


class Page(Struct, frozen=True, kw_only=True):
    """Which rows are wanted, as they were at a position: those of these ids that meet the tests,
    in the order of the ids."""

    row: type[Row]
    ids: Sequence[UUID]
    position: int
    masked: bool
    tests: Sequence[tuple[str, list[Any]]] = ()


class Then(NamedTuple):
    """A row as it was: its id, the version it had, and its JSON."""

    id: UUID
    version: int
    text: str


async def folded(
    connection: AsyncConnection[Any], ids: Iterable[UUID], position: int
) -> dict[UUID, Entry]:
    """These streams as they stood at a position; those that had not begun are not among them."""
    entries: dict[UUID, Entry] = {}
    for line in await log.streams(connection, ids, position):
        entries[line.stream], _ = step(entries.get(line.stream), line)
    return entries


async def rows_then(
    connection: AsyncConnection[Any], page: Page, keys_of: Callable[[set[UUID]], Awaitable[Keys]]
) -> list[Then]:
    """The rows of a page as they were. What a row copies from another is what that one said then.

    A row that had not begun is not among them.
    """
    row = page.row
    streams = map(row.OF.stream_of, page.ids)
    entries = await folded(connection, streams, page.position)
    others = {}
    for source in sources(row):
        named = attrgetter(row.COLUMNS[source.by].source)
        ids = {named(entry.aggregate) for entry in entries.values()} - {None}
        streams = map(TABLES[source.table].OF.stream_of, ids)
        others[source] = await folded(connection, streams, page.position)
    everybody = [*entries.values(), *(each for one in others.values() for each in one.values())]
    keys = await keys_of(persons_of(everybody))
    written = [_written(row, entries, keys)]
    written += [_written(TABLES[source.table], other, keys) for source, other in others.items()]
    where = " AND ".join(["true", *(test for test, _ in page.tests)])
    values = [value for _, more in page.tests for value in more]
    query = shows(row, masked=page.masked) + where.encode()
    cursor = await connection.execute(query, [*written, *values])
    found = {then.id: then for then in map(Then._make, await cursor.fetchall())}
    return [found[each] for each in page.ids if each in found]


def _written(row: type[Row], entries: dict[UUID, Entry], keys: Keys) -> str:
    names = row.written()
    found = rows_of(entries.values(), (), keys)[row]
    return encode([dict(zip(names, values, strict=True)) for values in found]).decode()
