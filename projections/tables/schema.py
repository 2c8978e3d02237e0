"""The SQL schema of the read tables, generated from their declarations."""

import hashlib
from functools import cache
from typing import Any, Final, NoReturn

import msgspec
from psycopg import AsyncConnection, sql

from projections.catalogue import TABLES, VIEWS
from projections.tables.table import Row
from rim_ledger.catalogue import EVENTS
from rim_ledger.operator_error import OperatorError
from rim_ledger.postgres.migrations import scripts
from rim_ledger.postgres.pool import listen

LIVE: Final = "read"
ANALYST: Final = "rim_analyst"
"""The role that may read only the masked views."""
TRACKING: Final = "tracking"
"""The table with the position of the others."""
TAKEN_OVER: Final = "tables"
"""Channel that notifies processes of a take-over of the live tables by another version."""
LOOK_SECONDS: Final = 1.0
"""Poll interval for a take-over, should the notification be lost."""
LOCK: Final = 7_264_002
"""Advisory lock of whoever writes or replaces the live tables."""


def masked(schema: str) -> str:
    """The schema of the masked views: one for each table, without personal data."""
    return f"{schema}_masked"


def bare(schema: str) -> list[str]:
    """SQL of the tables without indexes and keys, fastest to fill; of their position; and of their
    views."""
    return [
        f"CREATE SCHEMA {schema}",
        f"CREATE TABLE {schema}.{TRACKING} (name text PRIMARY KEY, position bigint NOT NULL)",
        f"INSERT INTO {schema}.{TRACKING} VALUES ('read', 0)",
        *(_table(schema, row) for row in TABLES.values()),
        *(f"CREATE VIEW {schema}.{row.TABLE} AS {row.VIEW}" for row in VIEWS),
        _for_service(schema),
        f"CREATE SCHEMA {masked(schema)}",
        *(_masked(schema, row) for row in TABLES.values()),
        _for_analysts(masked(schema)),
    ]


def finish(schema: str) -> list[str]:
    """SQL of the indexes and constraints of bare tables."""
    keys = [each for row in TABLES.values() for each in _keys(schema, row)]
    references = [each for row in TABLES.values() for each in _references(schema, row)]
    mark = f"COMMENT ON SCHEMA {schema} IS '{fingerprint()}'"
    return [*keys, *references, mark]


@cache
def fingerprint() -> str:
    """A hash of the declarations of tables and events, and of the ledger's schema. Programs with
    another fingerprint may not write to the tables."""
    rows = TABLES.values()
    words = [each for row in rows for each in (_table("", row), *_keys("", row))]
    words += [each for row in rows for each in _references("", row)]
    words += [f"{row.TABLE} {row.VIEW}" for row in VIEWS]
    words += [_masked("", row) for row in rows]
    for name, event in sorted(EVENTS.items()):
        fields = " ".join(field.encode_name for field in msgspec.structs.fields(event))
        words.append(f"{name} {event.SCHEMA} {fields}")
    words += scripts()
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


class Outdated(OperatorError):
    """The tables are of another version of the program. The supervisor does not restart a process
    that ended so."""

    exit_code = 3


async def create(connection: AsyncConnection[Any]) -> None:
    """Create empty live tables, if there are none. A concurrent caller waits.

    Raises Outdated when there are tables of another version.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        if await found(connection) is None:
            await connection.execute(";\n".join([*bare(LIVE), *finish(LIVE)]).encode())
        await require(connection)


async def require(connection: AsyncConnection[Any]) -> None:
    """Raise Outdated unless the live tables are of this version."""
    if await found(connection) != fingerprint():
        words = (
            "the read tables are those of another version of the program, which ends here; unless"
            " that one is newer, run rim-ledger init"
        )
        raise Outdated(words)


async def require_not_replaced(connection: AsyncConnection[Any]) -> None:
    """Raise Outdated if another version has taken over from this one."""
    former = (await comment(connection) or "").split("\n")[1:]
    if fingerprint() in former:
        words = (
            "another version of the program has taken over from this one; to bring this one back"
            " on purpose, stop the other and run rim-ledger rebuild"
        )
        raise Outdated(words)


async def watch(url: str) -> NoReturn:
    """Raise Outdated as soon as another version takes over the live tables."""
    await listen(url, TAKEN_OVER, LOOK_SECONDS, require)


async def take_over(connection: AsyncConnection[Any], before: str | None) -> None:
    """Mark the live tables as this version's; `before` is the mark of the tables they replace.
    Notifies processes of other versions."""
    former = dict.fromkeys((before or "").split("\n"))
    marks = [fingerprint(), *(each for each in former if each not in ("", fingerprint()))]
    mark = sql.SQL("COMMENT ON SCHEMA {} IS {}").format(sql.Identifier(LIVE), "\n".join(marks))
    await connection.execute(mark)
    await connection.execute("SELECT pg_notify(%s, '')", [TAKEN_OVER])


async def position(connection: AsyncConnection[Any], schema: str = LIVE) -> int:
    """The position of the tables."""
    cursor = await connection.execute(f"SELECT position FROM {schema}.{TRACKING}".encode())
    row = await cursor.fetchone()
    assert row is not None, "the tables know how far they are"
    return int(row[0])


async def found(connection: AsyncConnection[Any], schema: str = LIVE) -> str | None:
    """The fingerprint of the existing tables; None without any, "" for unfinished ones."""
    mark = await comment(connection, schema)
    return mark if mark is None else mark.split("\n")[0]


async def comment(connection: AsyncConnection[Any], schema: str = LIVE) -> str | None:
    """The mark of the existing tables: their fingerprint, then those of the earlier versions, one a
    line."""
    cursor = await connection.execute(
        "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace"
        " WHERE nspname = %s",
        [schema],
    )
    row = await cursor.fetchone()
    return row[0] if row else None


def _for_service(schema: str) -> str:
    """SQL that grants writing to the service's login, where it is not the owner."""
    return (
        f"DO $$ BEGIN GRANT USAGE ON SCHEMA {schema} TO rim_service;"
        f" GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO rim_service;"
        " EXCEPTION WHEN undefined_object THEN NULL; END $$"
    )


def _table(schema: str, row: type[Row]) -> str:
    columns = [column.definition for column in row.COLUMNS.values()]
    lines = ",\n    ".join([*columns, *(f"{name} bigint NOT NULL" for name in row.kept())])
    return f"CREATE TABLE {schema}.{row.TABLE} (\n    {lines}\n)"


def _masked(schema: str, row: type[Row]) -> str:
    """SQL of a table's masked view: personal data is null, and free fields have their values
    masked."""
    columns = [each.hidden for each in row.COLUMNS.values()] + [f"t.{name}" for name in row.kept()]
    shown = ", ".join(columns)
    name = f"{masked(schema)}.{row.TABLE}"
    return f"CREATE VIEW {name} AS SELECT {shown} FROM {schema}.{row.TABLE} t"


def _for_analysts(schema: str) -> str:
    """SQL that grants the views of a schema to the analysts' role, where it exists."""
    return f"""DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{ANALYST}') THEN
        GRANT USAGE ON SCHEMA {schema} TO {ANALYST};
        GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {ANALYST};
    END IF;
END $$"""


def _keys(schema: str, row: type[Row]) -> list[str]:
    # Checked at the end of the transaction: a page may move a name from row to row.
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
                f"{add}_unique EXCLUDE ({name} WITH =) WHERE ({column.unique_while}) {later}"
            )
        elif column.sql_type.endswith("[]") and column.indexed:
            statements.append(f"CREATE INDEX {index} ON {table} USING gin ({name})")
        elif column.lookup:
            where = f" WHERE {name} IS NOT NULL" if column.optional else ""
            statements.append(f"CREATE INDEX {index} ON {table} ({name}){where}")
        if column.compared != "{}" and column.indexed:
            compared = column.compared.format(name)
            statements.append(f"CREATE INDEX {index}_compared ON {table} (({compared}))")
    made = {column.name for column in row.COLUMNS.values() if column.unique}
    statements += [
        each.definition(schema, row.TABLE) for each in row.INDEXES if each.columns[0] not in made
    ]
    if row.TOGETHER:
        names = ", ".join(row.TOGETHER)
        constraint = f"{row.TABLE}_{'_'.join(row.TOGETHER)}_unique"
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
