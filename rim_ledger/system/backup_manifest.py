"""What a backup says of itself at its end: what it holds, and what it goes on from."""

import hashlib
from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.system.backup_rows import Layout

EVENTS: Final = "events"
FILE: Final = "file/"
"""How a piece of a file is named in the manifest; the file's own name follows."""
CHANGES: Final = "changes/"
"""How a piece of what changed in a table is named; the table's name follows."""


class Piece(Struct, frozen=True, kw_only=True):
    """What one piece holds: lines of a table, or a part of a file."""

    of: str
    lines: int
    size: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a backup holds: the events after one position up to another, and every other table,
    whole or as what changed in it since the parent."""

    id: UUID
    parent: UUID | None
    after: int
    position: int
    made_at: datetime
    checkpoint: str | None
    """The last signed note on the log, as far as it goes."""
    migrations: list[str]
    columns: dict[str, list[str]]
    missing: list[UUID]
    """Files that were not in the store any more."""
    pieces: list[Piece]
    keys: dict[str, list[str]] = {}
    """The columns by whose texts the rows of a table are sorted; of no table before there was an
    order."""
    changes: list[str] = []
    """The tables of which only what changed is in it."""
    parent_file: str | None = None
    """How the file of the parent was called, and what it held; unknown in files of before."""
    parent_digest: str | None = None

    @property
    def digest(self) -> str:
        """A hash of all that it holds."""
        return hashlib.sha256("".join(each.sha256 for each in self.pieces).encode()).hexdigest()

    def layout(self, table: str) -> Layout:
        """How the lines of a table that has an order are read."""
        return Layout(self.columns[table], self.keys[table])

    def has(self, table: str, layout: Layout) -> bool:
        """Whether it has a table, with these columns and in this order."""
        return table in self.keys and self.layout(table) == layout
