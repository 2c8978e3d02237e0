"""Reads the log for projections: by position, and by stream."""

from collections.abc import Iterable
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from rim_ledger.engine.store import EVENTS, HEAD, Line

BOUNDED: Final = """
SELECT position, stream_id, version, name, convert_to(body, 'UTF8'), recorded_at, mac
  FROM (SELECT e.*, sum(octet_length(body)) OVER (ORDER BY {order}) - octet_length(body) AS before
          FROM (SELECT * FROM ledger.events WHERE {where} ORDER BY {order} LIMIT %s) e) e
 WHERE before < %s ORDER BY {order}"""
BYTES_MAX: Final = 1024 * 1024
"""Bytes of bodies that end a page, with the event that reaches them."""


class EventFilter(Struct, frozen=True):
    """A filter of events; None matches any."""

    names: tuple[str, ...] | None = None
    stream: UUID | None = None
    actor: UUID | None = None

    @property
    def is_sparse(self) -> bool:
        """True if few of many events may match."""
        return self.stream is None and (self.names is not None or self.actor is not None)


Place = tuple[UUID, int]
"""A stream and a version."""
FIRST: Final[Place] = (UUID(int=0), 0)


async def head(connection: AsyncConnection[Any]) -> int:
    """The last position of the log."""
    return await number(connection, HEAD)


async def number(connection: AsyncConnection[Any], query: str, *values: object) -> int:
    """The one number that a query gives."""
    ((found,),) = await (await connection.execute(query.encode(), values or None)).fetchall()
    return int(found)


async def page(
    connection: AsyncConnection[Any], after: int, upto: int | None, limit: int
) -> list[Line]:
    """The next events by position, up to a position if given."""
    where = " WHERE position > %s AND position <= coalesce(%s, position) ORDER BY position LIMIT %s"
    return await _lines(connection, EVENTS + where, [after, upto, limit])


async def matching(
    connection: AsyncConnection[Any], wanted: EventFilter, after: int, upto: int, limit: int
) -> list[Line]:
    """The next matching events by position, at most `limit`, fewer when they reach BYTES_MAX."""
    tests, values = ["position > %s", "position <= %s"], list[Any]((after, upto))
    if wanted.names is not None:
        tests.append("name = ANY (%s::text[])")
        values.append(list(wanted.names))
    if wanted.actor is not None:
        tests.append("body::json #>> '{stamp,actor,id}' = %s")
        values.append(str(wanted.actor))
    order = "position"
    if wanted.stream is not None:
        tests.append("stream_id = %s")
        values.append(wanted.stream)
        order = "version"  # The same order within a stream, with an index.
    query = BOUNDED.format(where=" AND ".join(tests), order=order)
    return await _lines(connection, query, [*values, limit, BYTES_MAX])


def complete_up_to(lines: list[Line], limit: int, upto: int) -> int:
    """The position up to which a page is complete: its last event's, if it was cut."""
    cut = len(lines) == limit or sum(len(line.body) for line in lines) >= BYTES_MAX
    return lines[-1].position if cut else upto


async def streams(connection: AsyncConnection[Any], ids: Iterable[UUID], upto: int) -> list[Line]:
    """All events of these streams up to a position, stream by stream."""
    where = " WHERE stream_id = ANY (%b) AND position <= %s ORDER BY stream_id, version"
    return await _lines(connection, EVENTS + where, [list(ids), upto])


async def stretch(
    connection: AsyncConnection[Any], after: Place, upto: int, limit: int
) -> list[Line]:
    """The next events in order of streams, then versions."""
    where = (
        " WHERE (stream_id, version) > (%s, %s) AND position <= %s"
        " ORDER BY stream_id, version LIMIT %s"
    )
    return await _lines(connection, EVENTS + where, [*after, upto, limit])


async def _lines(connection: AsyncConnection[Any], query: str, parameters: list[Any]) -> list[Line]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(query.encode(), parameters)
    return [Line._make(row) for row in await cursor.fetchall()]
