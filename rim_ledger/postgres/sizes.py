"""What each table of a ledger takes on disk."""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

SIZES: Final = """
SELECT n.nspname || '.' || c.relname, pg_table_size(c.oid), pg_indexes_size(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname IN ('ledger', 'read') AND c.relkind = 'r'
 ORDER BY pg_total_relation_size(c.oid) DESC, 1"""
"""The tables, the largest first."""


class TableSize(Struct, frozen=True):
    """A table with its schema; the bytes of its rows, and of its indexes."""

    table: str
    rows: int
    indexes: int

    @property
    def total(self) -> int:
        return self.rows + self.indexes


def found(rows: Iterable[tuple[Any, ...]]) -> list[TableSize]:
    """Return the rows of the query SIZES."""
    return [TableSize(*row) for row in rows]
