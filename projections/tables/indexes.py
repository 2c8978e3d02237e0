"""The indexes of a read table, and the orders of its lists that they serve."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from msgspec import Struct

from projections.tables.columns import Column

SORTED_BY: Final = (
    *("created_at", "updated_at", "timestamp", "sent_at", "scheduled_for", "due_date", "at"),
    *("position", "name", "username"),
)
"""Names of the columns by which lists are sorted, beside the newest first and the business id."""


class Index(Struct, frozen=True):
    """Serves the lists of rows that are equal in some columns, in the order of another."""

    equal: tuple[str, ...]
    order: str
    """The column of the order; rows that are equal in it are in the order of their ids."""
    where: str = ""
    """The SQL condition of a partial index; without one it has all rows."""
    meets: str = ""
    """What its condition alone stands for: the column of a filter, or a word for its name."""

    @property
    def leads(self) -> tuple[str, ...]:
        """The columns whose filters it serves."""
        return self.equal or ((self.meets,) if self.meets else ())

    @property
    def columns(self) -> tuple[str, ...]:
        """All of its columns, in order."""
        return (*self.equal, self.order, "id")

    def definition(self, schema: str, table: str) -> str:
        """The statement that creates it."""
        names, where = ", ".join(self.columns), f" WHERE {self.where}" if self.where else ""
        return f"CREATE INDEX {self.name(table)} ON {schema}.{table} ({names}){where}"

    def name(self, table: str) -> str:
        """Its name: the table's, and the columns that it serves."""
        return "_".join((table, *dict.fromkeys((*self.leads, self.order))))


def orders(columns: Mapping[str, Column], newest: str, business_id: str | None) -> Iterator[Column]:
    """Yield the columns by which lists are sorted."""
    for column in columns.values():
        known = column.name in SORTED_BY or column.name == business_id
        if column.name == newest or (known and column.indexed and not column.lookup):
            yield column


def ordering(
    columns: Mapping[str, Column],
    sorts: Iterable[Column],
    newest: str,
    together: tuple[str, ...],
) -> Iterator[Index]:
    """Yield the indexes that follow from the columns' marks: for each order, for each time that
    has a range, and for each filter with the usual order. What is unique together in that order is
    only listed so. Of a condition, as of an optional column, only the rows that meet it are
    kept."""
    sorted_by = {column.name for column in sorts}
    if together[-1:] == (newest,):
        sorted_by.remove(newest)
        yield Index(together[:-1], newest)
    if "deleted_at" in columns:
        yield Index((), newest, "deleted_at IS NOT NULL", "deleted_at")
    for name, column in columns.items():
        if name in sorted_by:
            yield Index((), name)
        elif not column.indexed or column.unique or column.unique_while or column.lookup:
            continue
        elif column.sql_type == "timestamptz":
            yield Index((), name, f"{name} IS NOT NULL" if column.optional else "")
        elif column.sql_type == "boolean":
            yield Index((name,), newest, name)
        elif not column.sql_type.endswith("[]"):
            yield Index((name,), newest, f"{name} IS NOT NULL" if column.optional else "")
