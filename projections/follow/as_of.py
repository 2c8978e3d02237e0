"""Rows as of a moment, folded from events and written as tables write them."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from projections.catalogue import TABLES
from projections.follow import log
from projections.follow.fold import Entry, StreamFold
from projections.follow.snapshots import StreamStates
from projections.tables.table import Row
from projections.tables.upsert_sql import select_json, sources
from projections.tables.writer import encode, persons_of, rows_of
from rim_ledger.engine.event_mac import EventMac
from rim_ledger.vault.personal_keys import Keys


class Moment(Struct, frozen=True):
    """Selects events: recorded up to a position, and effective by a business time (UTC), if
    given."""

    position: int
    happened_by: datetime | None = None


class PastRow(NamedTuple):
    """A past row: id, version, JSON, and whether it is approximate, as some event has no business
    time."""

    id: UUID
    version: int
    text: str
    approximate: bool


async def folded(
    connection: AsyncConnection[Any], ids: Iterable[UUID], moment: Moment
) -> dict[UUID, Entry]:
    """Streams folded up to a moment; those that had not begun are left out."""
    courses: dict[UUID, StreamFold] = {}
    for line in await log.streams(connection, ids, moment.position):
        before = courses.get(line.stream, StreamFold())
        courses[line.stream] = before.after(line, moment.happened_by)
    return {stream: entry for stream, each in courses.items() for entry in each.results}


async def past_rows(
    connection: AsyncConnection[Any],
    row: type[Row],
    ids: Sequence[UUID],
    moment: Moment,
    event_mac: EventMac,
    *,
    masked: bool,
    tests: Sequence[tuple[str, list[Any]]],
    keys_of: Callable[[set[UUID]], Awaitable[Keys]],
) -> list[PastRow]:
    """The rows with these ids as of a moment, as far as they had begun and meet the conditions, in
    this order; copied columns are as of the same moment."""
    entries = await _loaded(connection, map(row.OF.stream_of, ids), moment, event_mac)
    others = {}
    for source in sources(row):
        named = attrgetter(row.COLUMNS[source.by].source)
        owners = {named(entry.aggregate) for entry in entries.values()} - {None}
        streams = map(TABLES[source.table].OF.stream_of, owners)
        others[source] = await _loaded(connection, streams, moment, event_mac)
    everybody = [*entries.values(), *(each for one in others.values() for each in one.values())]
    keys = await keys_of(persons_of(everybody))
    written = [_written(row, entries, keys)]
    written += [_written(TABLES[source.table], other, keys) for source, other in others.items()]
    where = " AND ".join(["true", *(test for test, _ in tests)])
    values = [value for _, more in tests for value in more]
    query = select_json(row, masked=masked) + where.encode()
    cursor = await connection.execute(query, [*written, *values])
    unsure = {each.aggregate.id for each in entries.values() if each.times.approximate}
    shown = await cursor.fetchall()
    found = {each[0]: PastRow._make([*each, each[0] in unsure]) for each in shown}
    return [found[each] for each in ids if each in found]


async def _loaded(
    connection: AsyncConnection[Any], ids: Iterable[UUID], moment: Moment, event_mac: EventMac
) -> dict[UUID, Entry]:
    """As `folded`, from a milestone on where all that was recorded counts."""
    if moment.happened_by:
        return await folded(connection, ids, moment)
    return await StreamStates(connection, event_mac).load_past([*ids], moment.position)


def _written(row: type[Row], entries: dict[UUID, Entry], keys: Keys) -> str:
    names = row.written()
    found = rows_of(entries.values(), (), keys)[row]
    return encode([dict(zip(names, values, strict=True)) for values in found]).decode()
