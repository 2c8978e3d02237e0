"""Rows as of a moment, folded from events and written as tables write them."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
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
from projections.tables.upsert_sql import Source, select_json, sources
from projections.tables.writer import Rows, Values, encode, persons_of, rows_of
from rim_ledger.engine.aggregate import Aggregate
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
        streams = copied_streams(row, source, (entry.aggregate for entry in entries.values()))
        others[source] = await _loaded(connection, streams, moment, event_mac)
    everybody = [*entries.values(), *(each for one in others.values() for each in one.values())]
    keys = await keys_of(persons_of(everybody))
    copied = {source: rows_of(other.values(), (), keys) for source, other in others.items()}
    values = rows_of(entries.values(), (), keys)[row]
    shown = await select_rows(connection, row, values, copied, masked=masked, tests=tests)
    unsure = {each.aggregate.id for each in entries.values() if each.times.approximate}
    found = {each[0]: PastRow._make([*each, each[0] in unsure]) for each in shown}
    return [found[each] for each in ids if each in found]


async def _loaded(
    connection: AsyncConnection[Any], ids: Iterable[UUID], moment: Moment, event_mac: EventMac
) -> dict[UUID, Entry]:
    """As `folded`, from a milestone on where all that was recorded counts."""
    if moment.happened_by:
        return await folded(connection, ids, moment)
    return await StreamStates(connection, event_mac).load_past([*ids], moment.position)


def copied_streams(row: type[Row], source: Source, aggregates: Iterable[Aggregate]) -> set[UUID]:
    """The streams that the rows of these aggregates copy columns from."""
    named = attrgetter(row.COLUMNS[source.by].source)
    owners = {named(each) for each in aggregates} - {None}
    return set(map(TABLES[source.table].OF.stream_of, owners))


async def select_rows(
    connection: AsyncConnection[Any],
    row: type[Row],
    values: Values,
    copied: Mapping[Source, Rows],
    *,
    masked: bool,
    own: bool = False,
    tests: Sequence[tuple[str, list[Any]]] = (),
) -> list[tuple[UUID, int, str]]:
    """Id, version and JSON of rows that are in no table, given their values and those of the rows
    that they copy from; those that meet the conditions."""
    written = [_written(row, values)]
    for source, rows in copied.items():
        table = TABLES[source.table]
        written.append(_written(table, rows[table]))
    where = " AND ".join(["true", *(test for test, _ in tests)])
    more = [value for _, each in tests for value in each]
    query = select_json(row, masked=masked, own=own) + where.encode()
    cursor = await connection.execute(query, [*written, *more])
    return await cursor.fetchall()


def _written(row: type[Row], values: Values) -> str:
    names = row.written()
    return encode([dict(zip(names, each, strict=True)) for each in values]).decode()
