"""What a decision may ask of the store, and what it asked for that is not loaded."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Protocol
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rim_ledger.engine.aggregate import NOWHERE, Aggregate
from rim_ledger.engine.entry import Entry

Claim = tuple[str, str]
"""A kind and a name that one stream holds. All names of a kind form a list."""
Secret = tuple[UUID, str]
"""The owner of a secret, and its purpose: (admin id, "password")."""
Count = tuple[date, UUID, str]
"""The day (Lagos), the person, and what is counted for a quota: "files"."""


Wanted = tuple[str, Any]
"""A row by its kind, which is a method of View in most cases, and its key: ("stream", loan id)."""


class View(Protocol):
    """A view of the store. Each query answers at once or raises Missing."""

    def stream(self, id: UUID) -> Entry: ...
    def claim(self, claim: Claim) -> UUID | None: ...
    def key(self, person: UUID) -> AESGCM | None: ...
    def number(self, prefix: str, year: int) -> int: ...
    def secret(self, secret: Secret) -> str | None: ...
    def listed(self, kind: str, count: int) -> Mapping[str, UUID]: ...
    def counted(self, count: Count) -> int: ...


class Missing(Exception):
    """A decision read rows, each named by kind and key, that are not loaded. Load them and decide
    again."""

    def __init__(self, *rows: Wanted) -> None:
        super().__init__()
        self.rows = rows


def moves(
    before: Aggregate | None, after: Aggregate | None, stream: UUID
) -> dict[Claim, UUID | None]:
    """Return how an event changes the lists: entries added (stream) and removed (None)."""
    left, there = before.lists if before else NOWHERE, after.lists if after else NOWHERE
    if left == there:
        return {}
    return dict.fromkeys(left - there) | dict.fromkeys(there - left, stream)


def amended(
    below: Callable[[str, int], Mapping[str, UUID]],
    places: Mapping[Claim, UUID | None],
    kind: str,
    count: int,
) -> dict[str, UUID]:
    """Return the first entries of a list, with pending moves applied to the committed ones."""
    own = {name: stream for (each, name), stream in places.items() if each == kind}
    gone = sum(stream is None for stream in own.values())
    names = {**below(kind, count + gone), **own}
    left = {name: stream for name, stream in names.items() if stream is not None}
    return dict(sorted(left.items())[:count])
