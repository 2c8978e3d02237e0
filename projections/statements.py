"""The SQL that writes a table, made from its declaration."""

from functools import cache
from typing import NamedTuple

from projections.catalogue import TABLES
from projections.tables import UPDATED, VERSION, Row


class Source(NamedTuple):
    """Another table, the column that names a row of it, and what is copied: (ours, theirs)."""

    table: str
    by: str
    copies: list[tuple[str, str]]


def sources(row: type[Row]) -> list[Source]:
    """Where the copied columns of a table come from."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for column in row.COLUMNS.values():
        if copied := column.copied:
            copies = found.setdefault((copied.table, copied.by), [])
            copies.append((column.name, copied.column))
    return [Source(table, by, copies) for (table, by), copies in found.items()]


@cache
def upsert(row: type[Row], schema: str) -> bytes:
    """Write a page of rows, given as a JSON array of objects.

    Copied columns are filled in, and what other tables copy from these rows is mended.
    """
    types = {column.name: column.sql_type for column in row.TAKEN}
    types |= {VERSION: "bigint", UPDATED: "timestamptz"}
    fields = ", ".join(f"{name} {types[name]}" for name in row.written())
    names, values, joins = row.written(), [f"p.{name}" for name in row.written()], ""
    for source in sources(row):
        alias = f"by_{source.by}"
        names += [ours for ours, _ in source.copies]
        values += [f"{alias}.{theirs}" for _, theirs in source.copies]
        joins += f" LEFT JOIN {schema}.{source.table} {alias} ON {alias}.id = p.{source.by}"
    page = f"page AS MATERIALIZED (SELECT * FROM json_to_recordset(%s::json) AS p ({fields}))"
    mended = [
        f", {other.TABLE}_by_{source.by} AS ({_mend(other, source, schema)})"
        for other in TABLES.values()
        for source in sources(other)
        if source.table == row.TABLE
    ]
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != "id")
    return (
        f"WITH {page}{''.join(mended)}"
        f" INSERT INTO {schema}.{row.TABLE} ({', '.join(names)})"
        f" SELECT {', '.join(values)} FROM page p{joins}"
        f" ON CONFLICT (id) DO UPDATE SET {changes}"
    ).encode()


def _mend(other: type[Row], source: Source, schema: str) -> str:
    """Where a page changes what `other` copies. It still sees the source as it was before."""
    changes = ", ".join(f"{ours} = p.{theirs}" for ours, theirs in source.copies)
    before = ", ".join(f"s.{theirs}" for _, theirs in source.copies)
    after = ", ".join(f"p.{theirs}" for _, theirs in source.copies)
    return (
        f"UPDATE {schema}.{other.TABLE} t SET {changes}"
        f" FROM page p JOIN {schema}.{source.table} s USING (id)"
        f" WHERE t.{source.by} = p.id AND ({before}) IS DISTINCT FROM ({after})"
    )


def fills(row: type[Row], schema: str) -> list[str]:
    """Fill every copied column of a table at once, after a rebuild."""
    return [
        f"UPDATE {schema}.{row.TABLE} t"
        f" SET {', '.join(f'{ours} = s.{theirs}' for ours, theirs in source.copies)}"
        f" FROM {schema}.{source.table} s WHERE s.id = t.{source.by}"
        for source in sources(row)
    ]
