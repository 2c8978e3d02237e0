"""Reads the log as whole streams, a few at a time, each time in one snapshot."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection, IsolationLevel

from projections.follow import log
from rim_ledger.engine.store import Line

SPAN: Final = 2_000
"""Events read at a time, unless one stream has more."""
VERSION_MAX: Final = 2**63 - 1

Connection = AsyncConnection[Any]
Rest = Callable[[], Awaitable[None]]
"""Awaited after each piece of work, to limit the load."""


async def no_rest() -> None:
    """Do not rest."""


@asynccontextmanager
async def moments(url: str) -> AsyncIterator[Connection]:
    """A read-only connection whose snapshot lasts until it commits."""
    async with await AsyncConnection.connect(url) as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        yield connection


async def spans(connection: Connection, after: UUID, rest: Rest) -> AsyncIterator[list[Line]]:
    """Yield whole streams after an id, in order of id. Queries in the block see the same
    snapshot."""
    while lines := await _span(connection, after):
        yield lines
        after = lines[-1].stream
        await connection.commit()
        await rest()


async def _span(connection: Connection, after: UUID) -> list[Line]:
    upto = await log.head(connection)
    lines = await log.stretch(connection, (after, VERSION_MAX), upto, SPAN)
    if len(lines) < SPAN:
        return lines
    last = lines[-1].stream
    whole = [each for each in lines if each.stream != last]
    return whole or await log.streams(connection, [last], upto)
