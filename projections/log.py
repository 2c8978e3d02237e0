"""The log as the tables' writers read it: by position, and by stream."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from psycopg import AsyncConnection

EVENTS: Final = """
SELECT position, stream_id, version, name, convert_to(body, 'UTF8'), recorded_at
  FROM ledger.events"""


class Line(NamedTuple):
    """An event as it is stored."""

    position: int
    stream: UUID
    version: int
    name: str
    body: bytes
    recorded_at: datetime


Place = tuple[UUID, int]
"""A stream and a version in it."""
FIRST: Final[Place] = (UUID(int=0), 0)


async def head(connection: AsyncConnection[Any]) -> int:
    """The last position of the log."""
    cursor = await connection.execute("SELECT coalesce(max(position), 0) FROM ledger.events")
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def page(
    connection: AsyncConnection[Any], after: int, upto: int | None, limit: int
) -> list[Line]:
    """The next events in the order of their positions, up to a position if one is given."""
    where = " WHERE position > %s AND position <= coalesce(%s, position) ORDER BY position LIMIT %s"
    return await _lines(connection, EVENTS + where, [after, upto, limit])


async def streams(connection: AsyncConnection[Any], ids: Iterable[UUID], upto: int) -> list[Line]:
    """Every event of these streams up to a position, stream by stream."""
    where = " WHERE stream_id = ANY (%b) AND position <= %s ORDER BY stream_id, version"
    return await _lines(connection, EVENTS + where, [list(ids), upto])


async def stretch(
    connection: AsyncConnection[Any], after: Place, upto: int, limit: int
) -> list[Line]:
    """The next events in the order of streams, which keeps one stream together."""
    where = (
        " WHERE (stream_id, version) > (%s, %s) AND position <= %s"
        " ORDER BY stream_id, version LIMIT %s"
    )
    return await _lines(connection, EVENTS + where, [*after, upto, limit])


async def _lines(connection: AsyncConnection[Any], query: str, parameters: list[Any]) -> list[Line]:
    cursor = connection.cursor(binary=True)
    await cursor.execute(query.encode(), parameters)
    return [Line._make(row) for row in await cursor.fetchall()]
