"""Writes folded entries as decrypted rows: upserts, or copies into new tables."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from cryptography.exceptions import InvalidTag
from psycopg import AsyncConnection

from projections.catalogue import ROW_OF, TABLES, TRACES
from projections.follow.fold import Entry, Trace
from projections.tables.table import ERASED, UPDATED, Row
from projections.tables.upsert_sql import sources, sources_changed, update_copies, upsert
from rim_ledger.vault.personal_keys import Keys, opened

encode: Final = msgspec.json.Encoder(decimal_format="number").encode

Values = list[tuple[Any, ...]]
Rows = Mapping[type[Row], Values]
"""For each table, the values of its written columns, decrypted."""


def persons_of(entries: Iterable[Entry]) -> set[UUID]:
    """The persons whose data the rows hold."""
    return {each.aggregate.person for each in entries if each.row and each.row.PERSON}


def rows_of(entries: Iterable[Entry], traces: Iterable[Trace], keys: Keys) -> Rows:
    """The rows to write; data of erased persons is null.

    Raises Unwritable when personal data cannot be decrypted.
    """
    rows: dict[type[Row], list[tuple[Any, ...]]] = {row: [] for row in TABLES.values()}
    with hiding_values():
        for entry in entries:
            if entry.row is not None:
                rows[entry.row].append(_values(entry.row, entry, keys))
    for trace in traces:
        row = ROW_OF[type(trace)]
        rows[row].append((*row.VALUES(trace), trace.version))
    return rows


def _values(row: type[Row], entry: Entry, keys: Keys) -> tuple[Any, ...]:
    values = [*entry.values, entry.version, entry.begun]
    for place in row.SEALED:
        values[place] = opened(values[place], keys)
    if ERASED in row.COLUMNS and keys.get(entry.aggregate.person, ...) is None:
        values[row.WIRES.index(ERASED)] = True  # also where the row is shown in its earlier state
    if UPDATED in row.COLUMNS:
        values.append(entry.recorded_at)
    return tuple(values)


class Unwritable(Exception):
    """A row cannot be written. Names the violated constraint, and quotes no value."""


@contextmanager
def hiding_values() -> Iterator[None]:
    """Hide the server's message, which may quote a row with personal data."""
    try:
        yield
    except InvalidTag:
        raise Unwritable("sealed words were changed or moved") from None
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        where = error.diag.constraint_name or error.diag.column_name or "a value"
        raise Unwritable(f"{type(error).__name__} at {where}") from None


async def write(connection: AsyncConnection[Any], schema: str, rows: Rows) -> None:
    """Upsert the rows, one statement a table. Raises Unwritable.

    Traces are append-only: an existing one is an error, unless it has copied columns. Keys and
    references are checked at the end of the page; PostgreSQL keeps that setting for the
    transaction, which may have several pages, so each page resets it first.
    """
    await connection.execute("SET CONSTRAINTS ALL DEFERRED")
    added = {row: rows[row] for row in TRACES if not sources(row)}
    await copy(connection, schema, added)
    with hiding_values():
        for row in TABLES.values():
            if row not in added and (page := rows[row]):
                names = row.written()
                body = encode([dict(zip(names, values, strict=True)) for values in page])
                await _upsert(connection, schema, row, body.decode())
        await connection.execute("SET CONSTRAINTS ALL IMMEDIATE")


async def _upsert(connection: AsyncConnection[Any], schema: str, row: type[Row], page: str) -> None:
    changed: list[UUID] = []
    if question := sources_changed(row, schema):
        cursor = await connection.execute(question, [page])
        changed = [each async for (each,) in cursor]
    await connection.execute(upsert(row, schema), [page])
    if changed:
        for statement in update_copies(row, schema):
            await connection.execute(statement, [changed])


async def copy(connection: AsyncConnection[Any], schema: str, rows: Rows) -> None:
    """Copy the rows into tables without keys, but for copied columns. Raises Unwritable."""
    with hiding_values():
        for row, page in rows.items():
            json = [i for i, column in enumerate(row.TAKEN) if column.sql_type == "json"]
            lists = [i for i, column in enumerate(row.TAKEN) if column.sql_type.endswith("[]")]
            names = ", ".join(row.written())
            statement = f"COPY {schema}.{row.TABLE} ({names}) FROM STDIN (FORMAT binary)".encode()
            if page:
                async with connection.cursor().copy(statement) as target:
                    target.set_types(_types(row))
                    for values in page:
                        line = list(values)
                        for place in lists:
                            line[place] = list(line[place])
                        for place in json:
                            if line[place] is not None:
                                line[place] = encode(line[place]).decode()
                        await target.write_row(line)


@cache
def _types(row: type[Row]) -> tuple[str, ...]:
    """The types of the written columns; JSON is sent as its text, numbers without their size."""
    types = row.written_types().values()
    return tuple("text" if each == "json" else each.partition("(")[0] for each in types)
