"""Stores snapshots of long streams while they are folded, and loads streams from them.

Of each there is its newest one, and one every MILESTONE events for looking back.
"""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
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

MILESTONE: Final = 128
"""Events between two states of a stream that stay."""

LOAD_PAST: Final = """
SELECT w.stream_id, s.version, k.*,
       e.position, e.version, e.name, convert_to(e.body, 'UTF8'), e.recorded_at, e.mac
  FROM (SELECT unnest(%b::uuid[]) AS stream_id, %b::text[] AS folds,
               %b::int8 AS upto) AS w
  LEFT JOIN LATERAL (
       SELECT m.* FROM ledger.milestones m JOIN ledger.events l USING (stream_id, version)
        WHERE m.stream_id = w.stream_id AND m.fingerprint = ANY (w.folds) AND l.position <= w.upto
        ORDER BY m.version DESC LIMIT 1) AS s ON true
 CROSS JOIN LATERAL (
       SELECT min(version) AS version FROM ledger.milestones m
        WHERE m.stream_id = w.stream_id AND m.fingerprint = ANY (w.folds)
          AND m.version > coalesce(s.version, 0)) AS further
 CROSS JOIN LATERAL (
       SELECT * FROM ledger.events
        WHERE stream_id = w.stream_id AND version >= coalesce(s.version, 0)
          AND version < coalesce(further.version, 9223372036854775807) AND position <= w.upto
        ORDER BY version) AS e
  LEFT JOIN LATERAL (
       SELECT s.fingerprint, s.state, s.mac WHERE s.version = e.version) AS k ON true
 ORDER BY w.stream_id, e.version"""
"""As LOAD, from the last milestone up to a position. What is beyond the next one is not read."""

KEEP_PAST: Final = """
INSERT INTO ledger.milestones (stream_id, version, fingerprint, state, mac)
SELECT * FROM unnest(%b::uuid[], %b::int8[], %b::text[], %b::bytea[], %b::bytea[])
    ON CONFLICT (stream_id, version) DO UPDATE SET state = excluded.state,
       fingerprint = excluded.fingerprint, mac = excluded.mac"""


class _Shown(Struct, frozen=True):
    """What the tables need of a stream beyond what decisions need."""

    fold: str
    begun: int
    times: Times


FOLD: Final = fingerprint(" ".join(_Shown.__struct_fields__), business_time.__name__)
"""Of this, as the event's own fold has another."""
_read = msgspec.msgpack.Decoder(_Shown)


@lru_cache(2)
def _snapshots(event_mac: EventMac, table: str) -> Snapshots:
    return Snapshots(ENTITY_OF, event_mac, table)


class StreamStates:
    """Loads streams from snapshots, and makes new ones in the follower's own transaction, so that
    none is ahead of the tables. Streams with an event without a valid MAC get none, as decisions
    trust a snapshot to be of what the ledger wrote."""

    def __init__(self, connection: AsyncConnection[Any], event_mac: EventMac) -> None:
        self._connection, self._event_mac = connection, event_mac
        self._snapshots = _snapshots(event_mac, "snapshots")
        self._milestones = _snapshots(event_mac, "milestones")
        self._forged: set[UUID] = set()

    def check(self, lines: Iterable[Line]) -> None:
        """Verify the MACs of folded events."""
        for line in lines:
            if not self._event_mac.is_right(line.position, leaf(line), line.mac):
                self._forged.add(line.stream)

    async def load(self, ids: Collection[UUID], position: int) -> dict[UUID, Entry]:
        """Load streams as of a position that no snapshot is ahead of; those that had not begun are
        left out. Raises PoisonEvent."""
        return await self._load(LOAD, self._snapshots, ids, position)

    async def load_past(self, ids: Collection[UUID], position: int) -> dict[UUID, Entry]:
        """Load streams as of any position; those that had not begun are left out. Raises
        PoisonEvent."""
        return await self._load(LOAD_PAST, self._milestones, ids, position)

    async def keep(self, entries: Mapping[UUID, Entry]) -> dict[UUID, Entry]:
        """Make snapshots of the streams that grew enough since their last one; gives these."""
        grown = {
            stream: replace(entry, snapshot=entry.version)
            for stream, entry in entries.items()
            if entry.version - entry.snapshot >= EVERY and stream not in self._forged
        }
        await self._store(KEEP, self._made(self._snapshots, grown.items()))
        await self.keep_past(
            (stream, entry)
            for stream, entry in grown.items()
            if entries[stream].snapshot // MILESTONE < entry.version // MILESTONE
        )
        return grown

    async def keep_past(self, passed: Iterable[tuple[UUID, Entry]]) -> None:
        """Make milestones of streams as they were at these versions."""
        await self._store(KEEP_PAST, self._made(self._milestones, passed))

    async def forget_past(self) -> None:
        """Delete all milestones, as other versions of the code may have made them."""
        await self._connection.execute("DELETE FROM ledger.milestones")

    @staticmethod
    def _made(snapshots: Snapshots, entries: Iterable[tuple[UUID, Entry]]) -> list[Snapshot]:
        made = (
            snapshots.made(stream, entry.folded, _Shown(FOLD, entry.begun, entry.times))
            for stream, entry in entries
        )
        return list(filter(None, made))

    async def _store(self, query: str, made: Iterable[Snapshot]) -> None:
        if columns := [list(column) for column in zip(*made, strict=True)]:
            await self._connection.execute(query.encode(), columns)

    async def _load(
        self, query: str, snapshots: Snapshots, ids: Collection[UUID], position: int
    ) -> dict[UUID, Entry]:
        found = await self._loaded(query, snapshots, ids, position)
        if whole := [stream for stream, entry in found.items() if entry is None]:
            found |= await self._loaded(query, None, whole, position)
        return {stream: entry for stream, entry in found.items() if entry}

    async def _loaded(
        self, query: str, snapshots: Snapshots | None, ids: Collection[UUID], position: int
    ) -> dict[UUID, Entry | None]:
        """Load streams from their snapshots, if given; None where one is not usable."""
        fingerprints = snapshots.fingerprints if snapshots else []
        cursor = self._connection.cursor(binary=True)
        await cursor.execute(query.encode(), [list(ids), fingerprints, position])
        loaded = dict[UUID, Entry | None]()
        for stream, version, fold, state, code, at, *event in await cursor.fetchall():
            line = None if at is None else Line(at, stream, *event)
            if snapshots and version is not None and stream not in loaded:
                snapshot = Snapshot.found(stream, version, fold, state, code)
                loaded[stream] = _opened(snapshots, snapshot, line)
            elif line and (stream not in loaded or loaded[stream]):
                loaded[stream], _ = step(loaded.get(stream), line)
            if line:
                self.check([line])
        return loaded


def _opened(snapshots: Snapshots, snapshot: Snapshot, line: Line | None) -> Entry | None:
    """The stream of a snapshot, None if another version of the code made it."""
    found = snapshots.opened(snapshot, decode(line).id if line else None)
    if line is None or found is None:
        return None
    folded, more = found
    kept = _read.decode(more)
    if kept.fold != FOLD:
        return None
    return shown(folded, kept.begun, line.recorded_at, kept.times, folded.version)
