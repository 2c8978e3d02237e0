"""Read tables filled by SQL with rows of a few values, most of them newer than those wanted."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import sql
from pydantic import TypeAdapter, ValidationError

from projections.tables.columns import Column
from projections.tables.table import Row

NEWER: Final = 6_000
"""Rows that no filter wants, which are newer than the others."""
FEW: Final = 40
"""The first of the older rows, which alone have the wanted value where few rows have the same; as
many of the last are deleted, where rows can be."""
WANTED: Final = 2_000
"""Older rows, of two values in turn."""
BEGINNING: Final = "timestamptz '2026-06-01 00:00Z'"
"""When the newest row was made; each is a minute older than the one before it."""
BOUNDARY: Final = "2026-05-27T20:00:30Z"
"""Before the last of the newer rows, after the first of the others."""

Values = tuple[Any, Any, Any]
"""That of the newer rows, and the two of the others."""
UUIDS: Final = (UUID(int=1), UUID(int=2), UUID(int=3))
TEXTS: Final[tuple[Values, ...]] = (
    ("LoanApproved", "UserSuspended", "TicketOpened"),
    ("Loan", "User", "Ticket"),
    ("+2348030000001", "+2348030000002", "+2348030000003"),
    ("MTN", "Airtel", "Glo"),
    ("a@example.com", "b@example.com", "c@example.com"),
)


def values_of(column: Column) -> Values | None:
    """The values that a filter may ask for; None where it is of another kind."""
    if column.words:
        newer, wanted, *more = column.words
        return newer, wanted, more[0] if more else wanted
    if column.sql_type in ("uuid", "uuid[]"):
        return UUIDS
    if column.sql_type == "boolean":
        return False, True, True
    if column.sql_type in ("text", "text[]") and column.kind is not None:
        return next(_read(column.kind))
    return None


def _read(kind: Any) -> Iterator[Values]:
    """The texts that a kind allows, as it reads them."""
    adapter = TypeAdapter[str](kind)
    for texts in TEXTS:
        try:
            newer, wanted, other = map(adapter.validate_python, texts)
        except ValidationError:
            continue
        yield newer, wanted, other


def fill(connection: psycopg.Connection[Any], row: type[Row], table: str, **fixed: Any) -> None:
    """Fill a table with newer rows, and with older ones that filters want. What is `fixed` is so
    in all rows."""
    columns = {name: each for name, each in row.COLUMNS.items() if not each.generated}
    numbers = () if row.VIEW else row.kept()
    names = [*columns, *numbers]
    shown = [
        sql.Literal(fixed[name]) if name in fixed else sql.SQL(_value(row, columns[name]))
        for name in columns
    ]
    query = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM generate_series(0, {}) AS i").format(
        sql.Identifier(*table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, names)),
        sql.SQL(", ").join([*shown, *[sql.SQL("1")] * len(numbers)]),
        sql.Literal(0 if "id" in fixed else NEWER + WANTED - 1),
    )
    connection.execute("SET session_replication_role = replica")  # No foreign keys.
    connection.execute(query)
    connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(*table.split("."))))


def _value(row: type[Row], column: Column) -> str:
    """The value in row number i, as SQL."""
    alone = is_alone(row, column)
    match column.sql_type:
        case _ if column.name == "id":
            return "gen_random_uuid()"
        case "timestamptz":
            time = f"{BEGINNING} - i * interval '1 minute'"
            deleted = f"CASE WHEN i >= {NEWER + WANTED - FEW} THEN {time} END"
            return deleted if column.name == "deleted_at" else time
        case "bigint":
            return "i" if alone else "0"
        case "json":
            return "'[]'"
        case "text" if (alone and not column.words) or column.name == row.BUSINESS_ID:
            return "'x' || i"
        case kind if values := values_of(column):
            return _few(values, kind) if is_few(column) else _in_turn(values, kind)
        case kind:
            return f"{_EMPTY.get(kind, 0)}::{kind}"


_EMPTY: Final[Mapping[str, str]] = {"text": "''", "text[]": "'{}'", "boolean": "false"}


def is_alone(row: type[Row], column: Column) -> bool:
    """Whether each row has a value of its own in a column."""
    named = column.name in (row.NEWEST, *row.TOGETHER[-1:])
    return column.unique or column.unique_while is not None or named


def is_few(column: Column) -> bool:
    """Whether few rows have the same value in a column: they are found, then sorted."""
    return column.lookup or column.sql_type.endswith("[]")


def _few(values: Values, kind: str) -> str:
    newer, wanted, _ = _literals(values, kind)
    return f"CASE WHEN i BETWEEN {NEWER} AND {NEWER + FEW - 1} THEN {wanted} ELSE {newer} END"


def _literals(values: Values, kind: str) -> Iterator[str]:
    for each in values:
        yield f"'{{{each}}}'::{kind}" if kind.endswith("[]") else f"'{each}'::{kind}"


def _in_turn(values: Values, kind: str) -> str:
    newer, wanted, other = _literals(values, kind)
    return f"CASE WHEN i < {NEWER} THEN {newer} WHEN i % 2 = 0 THEN {wanted} ELSE {other} END"
