"""Lists on the write side: claims of one kind, which follow from the streams' states."""

from collections.abc import Callable, Mapping
from uuid import UUID

from rim_ledger.engine.aggregate import NOWHERE, Aggregate

Claim = tuple[str, str]
"""A kind and a name that one stream holds. All names of a kind form a list."""


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
