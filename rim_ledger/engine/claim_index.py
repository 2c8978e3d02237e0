"""Lists on the writing side: claimed names of one kind, which follow from the streams' states."""

from collections.abc import Callable, Mapping
from uuid import UUID

from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.holding import NOWHERE

Claim = tuple[str, str]
"""A kind and a name that one stream holds. All names of a kind together are a list."""


def moves(
    before: Aggregate | None, after: Aggregate | None, stream: UUID
) -> dict[Claim, UUID | None]:
    """What an event changes on the lists: where the stream stands from now on, and no more."""
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
    """The first names of a list, as moves above what is known will have left it."""
    own = {name: stream for (each, name), stream in places.items() if each == kind}
    gone = sum(stream is None for stream in own.values())
    names = {**below(kind, count + gone), **own}
    left = {name: stream for name, stream in names.items() if stream is not None}
    return dict(sorted(left.items())[:count])
