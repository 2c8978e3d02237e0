"""The tables in the database, as their declarations want them."""

import hashlib
from typing import Any, Final

from psycopg import AsyncConnection

from projections.catalogue import TABLES, VIEWS
from projections.tables import Row

LIVE: Final = "read"
LOCK: Final = 7_264_002
"""Whoever writes the tables or replaces them holds this advisory lock."""


def bare(schema: str) -> list[str]:
    """The tables without indexes and keys, which a rebuild fills fastest; and how far they are."""
    return [
        f"CREATE SCHEMA {schema}",
        f"CREATE TABLE {schema}.tracking (name text PRIMARY KEY, position bigint NOT NULL)",
        f"INSERT INTO {schema}.tracking VALUES ('read', 0)",
        *(_table(schema, row) for row in TABLES.values()),
        *(f"CREATE VIEW {schema}.{row.TABLE} AS {row.VIEW}" for row in VIEWS),
    ]


def finish(schema: str) -> list[str]:
    """Everything that makes the bare tables quick to ask and impossible to contradict."""
    keys = [each for row in TABLES.values() for each in _keys(schema, row)]
    references = [each for row in TABLES.values() for each in _references(schema, row)]
    mark = f"COMMENT ON SCHEMA {schema} IS '{fingerprint()}'"
    return [*keys, *references, mark]


def fingerprint() -> str:
    """What tells these declarations from those of an earlier version of the program."""
    rows = TABLES.values()
    words = [each for row in rows for each in (_table("", row), *_keys("", row))]
    words += [each for row in rows for each in _references("", row)]
    words += [f"{row.TABLE} {row.VIEW}" for row in VIEWS]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


class Outdated(Exception):
    """The tables are those of another version of the program, and are to be rebuilt."""


async def create(connection: AsyncConnection[Any], schema: str = LIVE) -> None:
    """Make the tables, empty, if there are none. Whoever comes second waits for the first.

    Raises Outdated when there are tables, but not these.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        if (there := await found(connection, schema)) is None:
            for statement in [*bare(schema), *finish(schema)]:
                await connection.execute(statement.encode())
        elif there != fingerprint():
            words = (
                "the read tables are those of another version of the program: run rim-ledger init"
            )
            raise Outdated(words)


async def found(connection: AsyncConnection[Any], schema: str = LIVE) -> str | None:
    """The fingerprint of the tables that are there; None without any, "" for unfinished ones."""
    cursor = await connection.execute(
        "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace"
        " WHERE nspname = %s",
        [schema],
    )
    row = await cursor.fetchone()
    return row[0] if row else None


def _table(schema: str, row: type[Row]) -> str:
    columns = [column.definition for column in row.COLUMNS.values()]
    lines = ",\n    ".join([*columns, *(f"{name} bigint NOT NULL" for name in row.kept())])
    return f"CREATE TABLE {schema}.{row.TABLE} (\n    {lines}\n)"


def _keys(schema: str, row: type[Row]) -> list[str]:
    # Unique is checked at the end of the transaction: a page may hand a name from row to row.
    table, later = f"{schema}.{row.TABLE}", "DEFERRABLE INITIALLY DEFERRED"
    statements = [f"ALTER TABLE {table} ADD PRIMARY KEY (id)"]
    for column in row.COLUMNS.values():
        name = column.name
        index = f"{row.TABLE}_{name}"
        add = f"ALTER TABLE {table} ADD CONSTRAINT {index}"
        if column.unique:
            statements.append(f"{add} UNIQUE ({name}) {later}")
        elif column.unique_while:
            statements.append(
                f"{add} EXCLUDE ({name} WITH =) WHERE ({column.unique_while}) {later}"
            )
        elif column.name == row.NEWEST:
            statements.append(f"CREATE INDEX {index} ON {table} ({name}, id)")
        elif column.indexed:
            how = "USING gin " if column.sql_type.endswith("[]") else ""
            statements.append(f"CREATE INDEX {index} ON {table} {how}({name})")
        if column.compared != "{}" and column.indexed:
            compared = column.compared.format(name)
            statements.append(f"CREATE INDEX {index}_compared ON {table} (({compared}))")
    if row.TOGETHER:
        names = ", ".join(row.TOGETHER)
        constraint = f"{row.TABLE}_{'_'.join(row.TOGETHER)}"
        statements.append(
            f"ALTER TABLE {table} ADD CONSTRAINT {constraint} UNIQUE ({names}) {later}"
        )
    return statements


def _references(schema: str, row: type[Row]) -> list[str]:
    return [
        f"ALTER TABLE {schema}.{row.TABLE} ADD FOREIGN KEY ({column.name})"
        f" REFERENCES {schema}.{column.references} (id) DEFERRABLE INITIALLY DEFERRED"
        for column in row.COLUMNS.values()
        if column.references
    ]
