"""The state of a stream, and the fold of one more event."""

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
    """Return the aggregate after one more event: the one fold, of decisions and of all readers."""
    event, stamp = recorded.event, recorded.stamp
    if before:
        return before.evolve(event, stamp)
    return kind.begin(recorded.originator_id, event, stamp)


class Entry(Struct, frozen=True, gc=False):
    """An aggregate at a version (or none yet), the id of the last event, the latest business time
    (UTC), and the rows beside the log that its events mention."""

    aggregate: Aggregate | None = None
    version: int = 0
    last: UUID | None = None
    latest: datetime | None = None
    kept: Kept = NOTHING_KEPT

    def after(self, kind: type[Aggregate], recorded: Recorded) -> Self:
        """Return the entry after the stream's next event."""
        aggregate = evolved(self.aggregate, kind, recorded)
        latest = max(self.latest or recorded.stamp.at, recorded.stamp.at)
        kept = with_rows(self.kept, recorded.kept) if recorded.kept else self.kept
        return type(self)(aggregate, recorded.originator_version, recorded.id, latest, kept)


def with_rows(kept: Kept, changes: Kept) -> Kept:
    """Return the rows after some were written or removed."""
    return {name: mark for name, mark in {**kept, **changes}.items() if mark is not None}


def weight(entry: Entry) -> int:
    """Return the approximate memory of a stream in bytes: four times its encoded size."""
    try:
        return 500 + 4 * len(_encode(entry))
    except OverflowError:  # MessagePack has no integers of more than 64 bits.
        return UNWRITABLE_BYTES
