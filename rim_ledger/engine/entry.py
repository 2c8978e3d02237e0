"""A stream as far as it is known, and how one more event moves it on."""

from datetime import datetime
from typing import Final, Self
from uuid import UUID

import msgspec
from msgspec import Struct

from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.codec import NOTHING_KEPT, Kept, Recorded

UNWRITABLE_BYTES: Final = 64 * 1024
_encode: Final = msgspec.msgpack.Encoder().encode


def evolved(before: Aggregate | None, kind: type[Aggregate], recorded: Recorded) -> Aggregate:
    """What a stream of this kind comes to with one more event: the one fold, of decisions and of
    all readers."""
    event, stamp = recorded.event, recorded.stamp
    if before:
        return before.evolve(event, stamp)
    return kind.begin(recorded.originator_id, event, stamp)


class Entry(Struct, frozen=True, gc=False):
    """Nothing yet, or an aggregate at a version, the id of the last event, and the latest business
    time (UTC) of all events; and what rows beside the log its events have left, by the newest
    word on each."""

    aggregate: Aggregate | None = None
    version: int = 0
    last: UUID | None = None
    latest: datetime | None = None
    kept: Kept = NOTHING_KEPT

    def after(self, kind: type[Aggregate], recorded: Recorded) -> Self:
        """The same stream with its next event."""
        aggregate = evolved(self.aggregate, kind, recorded)
        latest = max(self.latest or recorded.stamp.at, recorded.stamp.at)
        kept = with_rows(self.kept, recorded.kept) if recorded.kept else self.kept
        return type(self)(aggregate, recorded.originator_version, recorded.id, latest, kept)


def with_rows(kept: Kept, changes: Kept) -> Kept:
    """What rows there are after some were written or removed."""
    return {name: mark for name, mark in {**kept, **changes}.items() if mark is not None}


def weight(entry: Entry) -> int:
    """About how many bytes of memory a stream takes: four times what it takes written down."""
    try:
        return 500 + 4 * len(_encode(entry))
    except OverflowError:  # MessagePack has no integers of more than 64 bits.
        return UNWRITABLE_BYTES
