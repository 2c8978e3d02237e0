"""Swaps rebuilt tables with the live ones, with others' objects on them, and drops old sets."""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg.errors import DependentObjectsStillExist, LockNotAvailable

from projections.follow import dependents
from projections.follow.dependents import Dependent, Irreplaceable
from projections.tables import schema

NEXT: Final = "read_next"
PAST: Final = "read_past"
YIELD: Final = 100
"""Milliseconds that a drop waits for a lock, below PostgreSQL's deadlock timeout of a second."""
ENDING: Final = 5_000
"""Milliseconds in which PostgreSQL cancels an autovacuum that blocks a lock."""

RELATIONS: Final = """
SELECT format('DROP %%s %%s', w.kind, string_agg(c.oid::regclass::text, ', '))
  FROM pg_class c JOIN (VALUES ('v', 'VIEW', 2), ('r', 'TABLE', 3)) w (relkind, kind, turn)
    ON w.relkind = c.relkind
 WHERE c.relnamespace IN (to_regnamespace(%(tables)s), to_regnamespace(%(masked)s))
 GROUP BY w.kind, w.turn ORDER BY w.turn"""

Connection = AsyncConnection[Any]


async def try_exchange(connection: Connection) -> None:
    """Try the swap and roll back. Raises Irreplaceable."""
    while True:
        with contextlib.suppress(LockNotAvailable):
            async with connection.transaction(force_rollback=True):
                await _exchange(connection)
            return


async def exchange(connection: Connection, position: int) -> list[Dependent]:
    """Make the rebuilt tables live, atomically; gives the others' objects on them by then.

    Raises Irreplaceable, or LockNotAvailable while a view that must be recreated is read.
    """
    async with connection.transaction():
        kept = await _exchange(connection)
        await connection.execute("SELECT pg_notify('read', %s)", [str(position)])
    return kept


async def _exchange(connection: Connection) -> list[Dependent]:
    await connection.execute(f"SET LOCAL lock_timeout = {YIELD}".encode())
    kept, mark = await dependents.find(connection), await schema.comment(connection)
    await _all(connection, [(each.name, [each.drop]) for each in reversed(kept) if each.drop])
    for before, after in ((schema.LIVE, PAST), (NEXT, schema.LIVE)):
        for old, new in ((before, after), (schema.masked(before), schema.masked(after))):
            if await schema.found(connection, old) is not None:
                await _run(connection, f"ALTER SCHEMA {old} RENAME TO {new}")
    await schema.take_over(connection, mark)
    await _all(connection, [(each.name, each.makes) for each in kept])
    return kept


async def _all(connection: Connection, works: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Run all statements in one round trip. Raises Irreplaceable, naming each that failed."""
    joined = [(name, "; ".join(statements)) for name, statements in works if statements]
    if joined and await _error(connection, "; ".join(each for _, each in joined)):
        errors = [(name, await _error(connection, each)) for name, each in joined]
        raise Irreplaceable([f"{name} ({error})" for name, error in errors if error])


async def _error(connection: Connection, statements: str) -> str | None:
    """Run statements atomically; gives the error, if any."""
    try:
        async with connection.transaction():
            await _run(connection, statements)
    except psycopg.OperationalError:  # It would happen with any statement.
        raise
    except psycopg.Error as error:
        return error.diag.message_primary or str(error)
    return None


async def fill(connection: Connection, kept: Iterable[Dependent]) -> None:
    """Fill recreated objects that have a query of their own."""
    for each in kept:
        if each.fill:
            await _run(connection, each.fill)


async def drop(connection: Connection, *schemas: str) -> None:
    """Drop sets of tables, each as a whole. Releases all locks and retries, rather than deadlock
    with readers of several tables. Raises Irreplaceable when others' objects depend on a set."""
    await connection.execute(f"SET lock_timeout = {YIELD}".encode())
    for each in schemas:
        dropped = False
        while not dropped:
            try:
                await _drop(connection, each)
                dropped = True
            except LockNotAvailable:
                await _end_vacuum(connection, each)
            except DependentObjectsStillExist as error:
                raise Irreplaceable((error.diag.message_detail or each).splitlines()) from None
    await connection.execute("RESET lock_timeout")


async def _drop(connection: Connection, tables: str) -> None:
    both = {"tables": tables, "masked": schema.masked(tables)}
    async with connection.transaction():
        cursor = await connection.execute(RELATIONS.encode(), both)
        for (statement,) in await cursor.fetchall():
            await _run(connection, statement)
        for each in both.values():
            await _run(connection, f"DROP SCHEMA IF EXISTS {each}")


async def _end_vacuum(connection: Connection, schema: str) -> None:
    """Have the autovacuum of tables cancelled, which may run for hours: PostgreSQL does so when it
    blocks a lock for longer than a drop waits. The lock taken here blocks no reader."""
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
    for (table,) in await (await connection.execute(query, [schema])).fetchall():
        lock = f"LOCK TABLE {schema}.{table} IN SHARE UPDATE EXCLUSIVE MODE"
        with contextlib.suppress(LockNotAvailable):
            async with connection.transaction():
                await _run(connection, f"SET LOCAL lock_timeout = {ENDING}")
                await _run(connection, lock)


async def _run(connection: Connection, statement: str) -> None:
    await connection.execute(statement.encode())
