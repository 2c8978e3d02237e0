"""SQL that writes a table, generated from its declaration."""

from functools import cache
from typing import NamedTuple

from projections.catalogue import TABLES
from projections.tables.table import Row


class Source(NamedTuple):
    """Another table, our column that references it, and the copied columns: (ours, theirs)."""

    table: str
    by: str
    copies: tuple[tuple[str, str], ...]

    def update(self, row: type[Row], schema: str) -> str:
        """Update the copies in the rows of a table; further conditions follow."""
        changes = ", ".join(f"{ours} = s.{theirs}" for ours, theirs in self.copies)
        return (
            f"UPDATE {schema}.{row.TABLE} t SET {changes}"
            f" FROM {schema}.{self.table} s WHERE s.id = t.{self.by}"
        )


def sources(row: type[Row]) -> list[Source]:
    """The sources of a table's copied columns."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for column in row.COLUMNS.values():
        if copied := column.copied:
            copies = found.setdefault((copied.table, copied.by), [])
            copies.append((column.name, copied.column))
    return [Source(table, by, tuple(copies)) for (table, by), copies in found.items()]


@cache
def upsert(row: type[Row], schema: str) -> bytes:
    """Upsert a page of rows, given as a JSON array of objects, with their copied columns."""
    names, values, joins = _filled(row, schema)
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name != "id")
    return (
        f"INSERT INTO {schema}.{row.TABLE} ({', '.join(names)})"
        f" SELECT {', '.join(values)} FROM {_page(row)}{joins}"
        f" ON CONFLICT (id) DO UPDATE SET {changes}"
    ).encode()


@cache
def sources_changed(row: type[Row], schema: str) -> bytes | None:
    """Select the rows whose copies in other tables a page will change; None if there are no copies.

    Run before the page is written. Mostly it finds none, and copies are left alone.
    """
    copied = {theirs for _, source in copies_of(row) for _, theirs in source.copies}
    if not copied:
        return None
    differs = " OR ".join(f"s.{name} IS DISTINCT FROM p.{name}" for name in sorted(copied))
    return (
        f"SELECT p.id FROM {_page(row)} JOIN {schema}.{row.TABLE} s USING (id) WHERE {differs}"
    ).encode()


@cache
def update_copies(row: type[Row], schema: str) -> list[bytes]:
    """Update the copies of these rows in other tables, given their ids."""
    return [
        f"{source.update(other, schema)} AND t.{source.by} = ANY (%b)".encode()
        for other, source in copies_of(row)
    ]


def copies_of(row: type[Row]) -> list[tuple[type[Row], Source]]:
    """The tables that copy columns of this one, and how."""
    return [
        (other, source)
        for other in TABLES.values()
        for source in sources(other)
        if source.table == row.TABLE
    ]


@cache
def select_json(row: type[Row], *, masked: bool, own: bool) -> bytes:
    """Select the JSON of a page of rows and of the rows they copy from; a condition follows."""
    names, joins = ["p.*"], ""
    for source in sources(row):
        alias = f"by_{source.by}"
        names += [f"{alias}.{theirs} AS {ours}" for ours, theirs in source.copies]
        joins += f" LEFT JOIN {_page(TABLES[source.table], alias)} ON {alias}.id = p.{source.by}"
    rows = f"SELECT {', '.join(names)} FROM {_page(row)}{joins}"
    computed = [f"{c.generated} AS {name}" for name, c in row.COLUMNS.items() if c.generated]
    rows = f"SELECT {', '.join(['r.*', *computed])} FROM ({rows}) r"
    return f"SELECT t.id, t.version, {row.json(masked, own=own)} FROM ({rows}) t WHERE ".encode()


@cache
def differences(row: type[Row], schema: str) -> bytes:
    """Select the ids of a page's rows that differ in the table, with the columns' names; null for a
    missing row."""
    names, values, joins = _filled(row, schema)
    filled = ", ".join(f"{value} AS {name}" for name, value in zip(names, values, strict=True))
    computed = {name: c.generated for name, c in row.COLUMNS.items() if c.generated}
    made = ", ".join(["r.*", *(f"{how} AS {name}" for name, how in computed.items())])
    differs = ", ".join(
        f"CASE WHEN p.{name}::text IS DISTINCT FROM t.{name}::text THEN '{name}' END"
        for name in [*names, *computed]
    )
    return (
        f"SELECT id, columns FROM (SELECT p.id, CASE WHEN t.id IS NOT NULL"
        f" THEN concat_ws(', ', {differs}) END AS columns"
        f" FROM (SELECT {made} FROM (SELECT {filled} FROM {_page(row)}{joins}) r) p"
        f" LEFT JOIN {schema}.{row.TABLE} t ON t.id = p.id) d WHERE columns IS DISTINCT FROM ''"
    ).encode()


def _filled(row: type[Row], schema: str) -> tuple[list[str], list[str], str]:
    """The columns of a page with copied ones, their values, and the joins for them."""
    names, values, joins = row.written(), [f"p.{name}" for name in row.written()], ""
    for source in sources(row):
        alias = f"by_{source.by}"
        names += [ours for ours, _ in source.copies]
        values += [f"{alias}.{theirs}" for _, theirs in source.copies]
        joins += f" LEFT JOIN {schema}.{source.table} {alias} ON {alias}.id = p.{source.by}"
    return names, values, joins


def _page(row: type[Row], alias: str = "p") -> str:
    fields = ", ".join(f"{name} {sql_type}" for name, sql_type in row.written_types().items())
    return f"json_to_recordset(%s::json) AS {alias} ({fields})"


def fill_copies(row: type[Row], schema: str) -> list[str]:
    """Fill every copied column of a table at once, after a rebuild."""
    return [source.update(row, schema) for source in sources(row)]
