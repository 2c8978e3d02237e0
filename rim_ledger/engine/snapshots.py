"""Snapshots of long streams, so that loading need not begin with the first event.

They only save work: a snapshot that cannot be used is ignored, and made again from the events.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from hmac import compare_digest
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

import msgspec
from msgspec import Raw, Struct

from rim_ledger.engine.aggregate import Aggregate, Event
from rim_ledger.engine.codec import NOTHING_KEPT
from rim_ledger.engine.entry import Entry
from rim_ledger.engine.event_mac import EventMac
from rim_ledger.engine.fingerprint import fingerprint

EVERY: Final = 16
"""Events between two snapshots of a stream."""

LOAD: Final = """
SELECT w.stream_id, s.version, k.*,
       e.position, e.version, e.name, convert_to(e.body, 'UTF8'), e.recorded_at, e.mac
  FROM unnest(%b::uuid[]) AS w (stream_id)
  LEFT JOIN LATERAL (
       SELECT * FROM ledger.snapshots
        WHERE stream_id = w.stream_id AND fingerprint = ANY (%b::text[]) LIMIT 1) AS s ON true
  LEFT JOIN LATERAL (
       SELECT * FROM ledger.events
        WHERE stream_id = w.stream_id AND version >= coalesce(s.version, 0)
          AND position <= coalesce(%b::int8, position) ORDER BY version) AS e ON true
  LEFT JOIN LATERAL (
       SELECT s.fingerprint, s.state, s.mac WHERE s.version = e.version) AS k ON true
 WHERE e.position IS NOT NULL OR s.version IS NOT NULL
 ORDER BY w.stream_id, e.version"""
"""The events of streams, up to a position if one is given. Of a stream that has a snapshot with one
of these fingerprints, those after it and the last one in it, beside which the snapshot stands;
where there are none of these, a row without an event. What has an order or a limit of its own is
looked up stream by stream, however small the tables were when the plan was made."""

KEEP: Final = """
INSERT INTO ledger.snapshots (stream_id, version, fingerprint, state, mac)
SELECT * FROM unnest(%b::uuid[], %b::int8[], %b::text[], %b::bytea[], %b::bytea[])
    ON CONFLICT (stream_id) DO UPDATE SET version = excluded.version, state = excluded.state,
       fingerprint = excluded.fingerprint, mac = excluded.mac"""

log = logging.getLogger("rim_ledger")


class Snapshot(NamedTuple):
    """A row of ledger.snapshots."""

    stream: UUID
    version: int
    fingerprint: str
    state: bytes
    mac: bytes

    @classmethod
    def found(
        cls, stream: UUID, version: int, fold: str | None, state: bytes | None, mac: bytes | None
    ) -> Self:
        """Return the snapshot in a row of LOAD: all but the version is None beside later events."""
        return cls(stream, version, fold or "", state or b"", mac or b"")


class _State(Struct, kw_only=True):
    last: UUID
    latest: datetime
    kept: dict[str, str | None]
    aggregate: Raw
    more: Raw


_read = msgspec.msgpack.Decoder(_State)
_write = msgspec.msgpack.Encoder(uuid_format="bytes")  # JSON has no keys of several parts.


class Snapshots:
    """Makes snapshots of streams, and opens those made by the same fold of the same ledger."""

    def __init__(
        self,
        entities: Mapping[type[Event], type[Aggregate]],
        event_mac: EventMac,
        table: str = "snapshots",
    ) -> None:
        """Those of one `table` are not valid in another."""
        self._event_mac, self._table = event_mac, table
        self._folds = {kind: _fold(entities, kind) for kind in dict.fromkeys(entities.values())}
        self._decoders = {fold: msgspec.msgpack.Decoder(kind) for kind, fold in self._folds.items()}
        self.fingerprints = list(self._folds.values())
        """Of the snapshots that can be opened."""

    def made(self, stream: UUID, entry: Entry, more: Any = None) -> Snapshot | None:
        """Return the snapshot of a stream that has begun, with `more` stored in it. None, which is
        logged, if it would not decode to the same state."""
        assert entry.aggregate, "it has begun"
        assert entry.last, "its events have ids"
        assert entry.latest, "and times"
        fold = self._folds[type(entry.aggregate)]
        with suppress(OverflowError):  # MessagePack has no integers of more than 64 bits.
            state = _State(
                last=entry.last,
                latest=entry.latest,
                kept=dict(entry.kept),
                aggregate=Raw(_write.encode(entry.aggregate)),
                more=Raw(_write.encode(more)),
            )
            body = _write.encode(state)
            code = self._code(stream, entry.version, fold, body)
            snapshot = Snapshot(stream, entry.version, fold, body, code)
            if (found := self.opened(snapshot, entry.last)) and found[0] == entry:
                return snapshot
        log.warning("no snapshot of stream %s is kept: it would be read as another state", stream)
        return None

    def opened(self, snapshot: Snapshot, last: UUID | None) -> tuple[Entry, Raw] | None:
        """Return the stream of a snapshot, and what was stored with it; `last` is the id of the
        event beside it, if there is one. None, which is logged, if this ledger did not make it, or
        not of that event."""
        stream, version, fold, body, code = snapshot
        own = compare_digest(code, self._code(stream, version, fold, body))
        if own and (state := _read.decode(body)).last == last:
            aggregate = self._decoders[fold].decode(state.aggregate)
            kept = state.kept or NOTHING_KEPT
            return Entry(aggregate, version, state.last, state.latest, kept), state.more
        log.error("the snapshot of stream %s is damaged; its events are folded instead", stream)
        return None

    def _code(self, stream: UUID, version: int, fold: str, body: bytes) -> bytes:
        return self._event_mac.row_code(self._table, str(stream), str(version), fold, body=body)


def _fold(entities: Mapping[type[Event], type[Aggregate]], kind: type[Aggregate]) -> str:
    """Return the fingerprint of all code that determines the fold of a kind, and its encoding."""
    events = {event.__module__ for event, of in entities.items() if of is kind}
    return fingerprint(kind.__qualname__, kind.__module__, __name__, *events)
