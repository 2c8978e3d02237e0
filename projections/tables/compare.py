"""Compares two sets of tables row by row."""

from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from projections.catalogue import TABLES

SHOWN_MAX: Final = 1_000
"""Maximum differences listed of one table."""

DIGEST: Final = """
SELECT count(*), coalesce(sum(('x' || substr(md5(t::text), 1, 16))::bit(64)::bigint::numeric), 0)
  FROM {schema}.{table} t"""

ROWS: Final = """
SELECT coalesce(a.id, b.id), a.id IS NULL, b.id IS NULL,
       ARRAY(SELECT x.key FROM jsonb_each(to_jsonb(a)) x JOIN jsonb_each(to_jsonb(b)) y USING (key)
              WHERE x.value IS DISTINCT FROM y.value ORDER BY x.key)
  FROM {live}.{table} a FULL JOIN {rebuilt}.{table} b USING (id)
 WHERE a::text IS DISTINCT FROM b::text
 ORDER BY 1 LIMIT {most}"""


class Difference(Struct, frozen=True, order=True):
    """A row of the live table that differs from the log.

    `columns` are those that differ; ("missing",) or ("surplus",) stands for the whole row.
    """

    table: str
    id: UUID
    columns: tuple[str, ...]


async def differences(
    connection: AsyncConnection[Any], live: str, rebuilt: str
) -> list[Difference]:
    """Where the live tables differ from the rebuilt ones, which are correct."""
    found: list[Difference] = []
    for table in TABLES:
        if await _digest(connection, live, table) == await _digest(connection, rebuilt, table):
            continue
        query = ROWS.format(live=live, rebuilt=rebuilt, table=table, most=SHOWN_MAX)
        async for row, missing, surplus, columns in await connection.execute(query.encode()):
            whole = ("missing",) if missing else ("surplus",) if surplus else None
            found.append(Difference(table, row, whole or tuple(columns)))
    return found


async def _digest(connection: AsyncConnection[Any], schema: str, table: str) -> Any:
    cursor = await connection.execute(DIGEST.format(schema=schema, table=table).encode())
    return await cursor.fetchone()
