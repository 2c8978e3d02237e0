"""Stores snapshots of long streams while the follower folds them, and loads streams from them."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from psycopg import AsyncConnection

from projections.follow.fold import Entry, decode, shown, step
from rim_ledger import business_time
from rim_ledger.business_time import Times
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.event_mac import EventMac
from rim_ledger.engine.fingerprint import fingerprint
from rim_ledger.engine.snapshots import EVERY, KEEP, LOAD, Snapshot, Snapshots
from rim_ledger.engine.store import Line


class _Shown(Struct, frozen=True):
    """What the tables need of a stream beyond what decisions need."""

    fold: str
    begun: int
    times: Times


FOLD: Final = fingerprint(" ".join(_Shown.__struct_fields__), business_time.__name__)
"""Of this, as the event's own fold has another."""
_read = msgspec.msgpack.Decoder(_Shown)


class StreamStates:
    """Loads streams from snapshots, and makes new ones in the follower's own transaction, so that
    none is ahead of the tables. Streams with an event without a valid MAC get none, as decisions
    trust a snapshot to be of what the ledger wrote."""

    def __init__(self, connection: AsyncConnection[Any], event_mac: EventMac) -> None:
        self._connection, self._event_mac = connection, event_mac
        self._snapshots = Snapshots(ENTITY_OF, event_mac)
        self._forged: set[UUID] = set()

    def check(self, lines: Iterable[Line]) -> None:
        """Verify the MACs of folded events."""
        for line in lines:
            if not self._event_mac.is_right(line.position, line.leaf, line.mac):
                self._forged.add(line.stream)

    async def load(self, ids: Collection[UUID], position: int) -> dict[UUID, Entry]:
        """Load streams as of a position; those that had not begun are left out. Raises
        PoisonEvent."""
        found = await self._load(ids, position, self._snapshots.fingerprints)
        if whole := [stream for stream, entry in found.items() if entry is None]:
            found |= await self._load(whole, position, ())
        return {stream: entry for stream, entry in found.items() if entry}

    async def keep(self, entries: Mapping[UUID, Entry]) -> dict[UUID, Entry]:
        """Make snapshots of the streams that grew enough since their last one; gives these."""
        grown = {
            stream: replace(entry, snapshot=entry.version)
            for stream, entry in entries.items()
            if entry.version - entry.snapshot >= EVERY and stream not in self._forged
        }
        made = [
            self._snapshots.made(stream, entry.folded, _Shown(FOLD, entry.begun, entry.times))
            for stream, entry in grown.items()
        ]
        if rows := list(filter(None, made)):
            columns = zip(*rows, strict=True)
            await self._connection.execute(KEEP, [list(column) for column in columns])
        return grown

    async def _load(
        self, ids: Collection[UUID], position: int, fingerprints: Collection[str]
    ) -> dict[UUID, Entry | None]:
        """Load streams from the snapshots with these fingerprints; None where one is not usable."""
        cursor = self._connection.cursor(binary=True)
        await cursor.execute(LOAD, [list(ids), list(fingerprints), position])
        loaded = dict[UUID, Entry | None]()
        for stream, version, fold, state, code, at, *event in await cursor.fetchall():
            line = None if at is None else Line(at, stream, *event)
            if version is not None and stream not in loaded:
                snapshot = Snapshot.found(stream, version, fold, state, code)
                loaded[stream] = self._opened(snapshot, line)
            elif line and (stream not in loaded or loaded[stream]):
                loaded[stream], _ = step(loaded.get(stream), line)
            if line:
                self.check([line])
        return loaded

    def _opened(self, snapshot: Snapshot, line: Line | None) -> Entry | None:
        """The stream of a snapshot, None if another version of the code made it."""
        found = self._snapshots.opened(snapshot, decode(line).id if line else None)
        if line is None or found is None:
            return None
        folded, more = found
        kept = _read.decode(more)
        if kept.fold != FOLD:
            return None
        return shown(folded, kept.begun, line.recorded_at, kept.times, folded.version)
