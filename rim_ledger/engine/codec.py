"""Encoding of events: plain JSON, so that an analyst can read the log with psql."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

import msgspec
from eventsourcing.persistence import Mapper, StoredEvent
from msgspec import Raw, Struct
from msgspec.structs import force_setattr, replace

from rim_ledger.engine.aggregate import Event, Stamp

Kept = Mapping[str, str | None]
"""Rows beside the log that a stream has: secrets by fingerprint, and names (as "") that do not
follow from its state. None for those removed."""
NOTHING_KEPT: Final[Kept] = {}


class Recorded(Struct, frozen=True, kw_only=True, gc=False):
    """An event at its place in its stream, with its stamp, and the rows of the stream that were
    written with it."""

    originator_id: UUID
    originator_version: int
    id: UUID
    event: Event
    stamp: Stamp
    kept: Kept = NOTHING_KEPT
    claims: str = ""
    """The names that its decision claimed and released: see `rim_ledger.engine.rows.mark`."""


class _Written(Struct, omit_defaults=True, kw_only=True):
    claims: str = ""
    """The first field, so that a database index finds it without reading the rest."""
    id: UUID
    stamp: Stamp
    data: Any
    schema: int = 1
    kept: dict[str, str | None] = {}


class _Read(_Written, kw_only=True):
    data: Raw


_read = msgspec.json.Decoder(_Read)
_write = msgspec.json.Encoder()


class Codec(Mapper[UUID]):
    """The library's mapper, for our events: the class name is the stored name."""

    def __init__(self, events: dict[str, type[Event]]) -> None:
        self._decoders = {
            name: msgspec.json.Decoder(event, strict=True) for name, event in events.items()
        }
        self._events = events

    def body(self, recorded: Recorded) -> bytes:
        """Encode an event as it is stored."""
        event, kept = recorded.event, cast("dict[str, str | None]", recorded.kept)
        written = _Written(
            claims=recorded.claims,
            id=recorded.id,
            stamp=replace(recorded.stamp, recorded_at=None),
            data=event,
            schema=type(event).SCHEMA,
            kept=kept,
        )
        return _write.encode(written)

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        recorded = cast("Recorded", domain_event)
        return StoredEvent(
            originator_id=recorded.originator_id,
            originator_version=recorded.originator_version,
            topic=type(recorded.event).__name__,
            state=self.body(recorded),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        body = _read.decode(stored_event.state)
        return Recorded(
            originator_id=cast("UUID", stored_event.originator_id),
            originator_version=stored_event.originator_version,
            id=body.id,
            event=self._event(stored_event.topic, body),
            stamp=body.stamp,
            kept=body.kept or NOTHING_KEPT,
            claims=body.claims,
        )

    def recorded(self, stored_event: StoredEvent, at: datetime) -> Recorded:
        """Decode a stored event; its stamp gets the time of recording (UTC)."""
        recorded: Recorded = self.to_domain_event(stored_event)
        # The stamp was created here, and is not shared yet.
        force_setattr(recorded.stamp, "recorded_at", at)
        return recorded

    def _event(self, name: str, body: _Read) -> Event:
        event = self._events[name]
        if body.schema == event.SCHEMA:
            return self._decoders[name].decode(body.data)
        return msgspec.convert(event.upcast(body.schema, msgspec.json.decode(body.data)), event)
