"""Keeps the states of long streams as the follower comes by them, and begins with them again."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from psycopg import AsyncConnection

from projections.follow.fold import Entry, decode, shown, step
from projections.follow.log import Line, leaf
from rim_ledger import business_time
from rim_ledger.business_time import Times
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.event_mac import EventMac
from rim_ledger.engine.fingerprint import fingerprint
from rim_ledger.engine.snapshots import EVERY, KEEP, LOAD, Snapshot, Snapshots

FOLD: Final = fingerprint("the tables", __name__, business_time.__name__)
"""Of what a follower adds to a snapshot."""


class _Shown(Struct, frozen=True):
    """What the tables need of a stream besides what decisions need."""

    fold: str
    begun: int
    times: Times


_read = msgspec.msgpack.Decoder(_Shown)


class StreamStates:
    """Loads streams by their snapshots, and makes new ones in the follower's own transaction: so
    none is ever of events that the tables do not show yet. Of a stream that has an event without
    the right code none is made, as decisions take a snapshot for what the ledger wrote."""

    def __init__(self, connection: AsyncConnection[Any], event_mac: EventMac) -> None:
        self._connection, self._event_mac = connection, event_mac
        self._snapshots = Snapshots(ENTITY_OF, event_mac)
        self._forged: set[UUID] = set()

    def check(self, lines: Iterable[Line]) -> None:
        """Look at the codes of events that are folded."""
        for line in lines:
            if not self._event_mac.is_right(line.position, leaf(line), line.mac):
                self._forged.add(line.stream)

    async def load(self, ids: Collection[UUID], position: int) -> dict[UUID, Entry]:
        """These streams as they were at a position; those that had not begun are not among them.
        Raises PoisonEvent."""
        found = await self._load(ids, position, self._snapshots.fingerprints)
        if whole := [stream for stream, entry in found.items() if entry is None]:
            found |= await self._load(whole, position, ())
        return {stream: entry for stream, entry in found.items() if entry}

    async def keep(self, entries: Mapping[UUID, Entry]) -> dict[UUID, Entry]:
        """Make the snapshots of those streams that grew enough since their last; these streams."""
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
        """These streams, by the snapshots with these fingerprints; None where one cannot be
        used."""
        cursor = self._connection.cursor(binary=True)
        await cursor.execute(LOAD, [list(ids), list(fingerprints), position])
        loaded = dict[UUID, Entry | None]()
        for stream, kept, fold, text, code, at, *event in await cursor.fetchall():
            line = None if at is None else Line(at, stream, *event)
            if kept is not None and stream not in loaded:
                loaded[stream] = self._opened(Snapshot.found(stream, kept, fold, text, code), line)
            elif line and (stream not in loaded or loaded[stream]):
                loaded[stream], _ = step(loaded.get(stream), line)
            if line:
                self.check([line])
        return loaded

    def _opened(self, snapshot: Snapshot, line: Line | None) -> Entry | None:
        """A stream as it was kept, if what the tables need was kept by the same code."""
        found = self._snapshots.opened(snapshot, decode(line).id if line else None)
        if line is None or found is None:
            return None
        folded, more = found
        kept = _read.decode(more)
        if kept.fold != FOLD:
            return None
        return shown(folded, kept.begun, line.recorded_at, kept.times, folded.version)
