"""Every read table as it was at a moment, in a DuckDB file, by the fold that the service uses."""

from pathlib import Path
from typing import Any, Final
from uuid import UUID

import duckdb
import pyarrow as pa
from psycopg import AsyncConnection

from projections.catalogue import TABLES
from projections.follow.as_of import Moment
from projections.follow.rebuild import histories
from projections.tables.table import Row
from projections.tables.upsert_sql import fills
from projections.tables.writer import Rows, encode, persons_of, rows_of
from rim_ledger.progress import Progress, silent
from rim_ledger.vault.living_keys import ERASED
from rim_ledger.vault.personal_keys import Keys

SCHEMA: Final = "main"
TRACKING: Final = """
CREATE TABLE tracking AS
SELECT 'read' AS name, ? AS position, ?::timestamptz AS effective_at, ? AS approximate"""
STRETCH: Final = 2_000
"""Events whose rows are in memory at a time, as Python has them and as Arrow does."""
SPARING: Final = (
    "SET memory_limit = '48MB'",
    "SET threads = 1",
    "SET preserve_insertion_order = false",
)
"""How DuckDB is kept small. Each of its threads takes memory of its own."""
ARROW: Final[dict[str, Any]] = {
    "uuid": pa.string(),
    "text": pa.string(),
    "text[]": pa.list_(pa.string()),
    "json": pa.string(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "numeric(20, 2)": pa.decimal128(20, 2),
    "numeric(10, 6)": pa.decimal128(10, 6),
}
"""How each type of a column travels; DuckDB knows them under the names they have here."""


async def replay(
    source: AsyncConnection[Any],
    moment: Moment,
    into: Path,
    progress: Progress = silent,
) -> bool:
    """Write the tables as of a moment into a new file, words about persons left out; whether that
    is approximate, as some event does not say when it happened.

    The file is there as a whole or not at all. Its memory does not grow with the log.
    """
    approximate = False
    partial = into.with_name(f"{into.name}.partial")
    partial.unlink(missing_ok=True)
    with duckdb.connect(str(partial)) as target:
        for each in SPARING:
            target.execute(each)
        for row in TABLES.values():
            target.execute(_table(row))
        async for ended, traces, done in histories(source, moment, STRETCH):
            approximate |= any(each.times.approximate for each in ended)
            keys = await _erased(source, persons_of(ended))
            _add(target, rows_of(ended, traces, keys))
            progress(done, moment.position)
        for row in TABLES.values():
            for statement in fills(row, SCHEMA):
                target.execute(statement)
        approximate = approximate and moment.happened_by is not None
        target.execute(TRACKING, [moment.position, moment.happened_by, approximate])
    partial.rename(into)
    return approximate


async def _erased(source: AsyncConnection[Any], persons: set[UUID]) -> Keys:
    """No key but the knowledge of who has none: so nobody's words are opened."""
    cursor = await source.execute(ERASED, [list(persons)])
    return dict.fromkeys([person for (person,) in await cursor.fetchall()])


def _types(row: type[Row]) -> dict[str, str]:
    types = {column.name: column.sql_type for column in row.COLUMNS.values()}
    return types | dict.fromkeys(row.kept(), "bigint")


def _table(row: type[Row]) -> str:
    # What PostgreSQL computes from other columns is left out: DuckDB has other functions for it.
    computed = {column.name for column in row.COLUMNS.values() if column.generated}
    types = {name: each for name, each in _types(row).items() if name not in computed}
    columns = ", ".join(f'"{name}" {each}' for name, each in types.items())
    return f"CREATE TABLE {row.TABLE} ({columns})"


def _add(target: Any, rows: Rows) -> None:
    for row, page in rows.items():
        if page:
            types, names = _types(row), row.written()
            columns = zip(names, zip(*page, strict=True), strict=True)
            arrays = {name: _array(types[name], values) for name, values in columns}
            target.register("page", pa.table(arrays))
            listed = ", ".join(f'"{name}"' for name in names)
            target.execute(f"INSERT INTO {row.TABLE} ({listed}) SELECT * FROM page")


def _array(sql_type: str, values: tuple[Any, ...]) -> Any:
    match sql_type:
        case "uuid":
            values = tuple(each and str(each) for each in values)
        case "text[]":
            values = tuple(None if each is None else list(each) for each in values)
        case "json":
            values = tuple(None if each is None else encode(each).decode() for each in values)
    return pa.array(values, ARROW[sql_type])
