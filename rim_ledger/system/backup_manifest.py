"""The manifest at the end of a backup: what it holds, and what it is based on."""

import hashlib
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.system.backup_rows import Layout

EVENTS: Final = "events"
FILE: Final = "file/"
"""Prefix of the pieces of a file; the file's name follows."""
CHANGES: Final = "changes/"
"""Prefix of the pieces with a table's changes; the table's name follows."""


class Piece(Struct, frozen=True, kw_only=True):
    """A piece: lines of a table, or a part of a file."""

    of: str
    lines: int
    size: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a backup holds: the events after one position up to another, and every other table, in
    full or as changes since the parent."""

    id: UUID
    parent: UUID | None
    after: int
    position: int
    made_at: datetime
    checkpoint: str | None
    """The last signed checkpoint of the log."""
    migrations: list[str]
    columns: dict[str, list[str]]
    missing: list[UUID]
    """Attachments that were missing in the store."""
    pieces: list[Piece]
    keys: dict[str, list[str]] = {}
    """Per table, the columns by whose texts its rows are sorted; absent for tables without order.
    """
    changes: list[str] = []
    """The tables of which it holds only the changes."""
    parent_file: str | None = None
    """Name and digest of the parent's file; absent in older files."""
    parent_digest: str | None = None

    @property
    def digest(self) -> str:
        """A hash of its whole content."""
        return hashlib.sha256("".join(each.sha256 for each in self.pieces).encode()).hexdigest()

    def layout(self, table: str) -> Layout:
        """Return how the lines of an ordered table are read."""
        return Layout(self.columns[table], self.keys[table])

    def has(self, table: str, layout: Layout) -> bool:
        """Return whether it has a table with these columns and this order."""
        return table in self.keys and self.layout(table) == layout
