"""Events as CloudEvents 1.0 objects in JSON."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.exceptions import InvalidTag
from msgspec import Raw, Struct

from rim_ledger.catalogue import ENTITY_OF, EVENTS
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.store import Line
from rim_ledger.vault.personal_keys import Keys, kept_back, opened, personal_fields

SOURCE: Final = "/rim-ledger"
SCHEMAS: Final = "/v1/events/schemas"
SEALED: Final = re.compile(rb'"~1\.[\w=-]+\.([0-9a-f]{32})\.')
"""The start of encrypted text, with its person's id."""
HIDDEN: Final = "***"


class Actor(Struct, rename="camel"):
    """The actor as stored."""

    type: str
    id: str | None = None
    name: str = ""
    role: str | None = None
    api_key: str | None = None
    api_key_name: str | None = None


class Stamp(Struct, rename="camel"):
    """The stamp as stored."""

    at: str
    actor: Actor
    request_id: str | None = None
    causation: str | None = None
    said_at: str | None = None
    approved_by: Actor | None = None


class Stored(Struct):
    """The parts of a stored event that are needed here; the rest passes through as bytes."""

    id: str
    stamp: Stamp
    data: Raw
    schema: int = 1


class CloudEvent(Struct, rename="lower", omit_defaults=True, kw_only=True):
    """The attributes of CloudEvents 1.0, then our extensions."""

    specversion: str
    id: str
    source: str
    type: str
    subject: UUID
    time: str
    datacontenttype: str
    dataschema: str
    data: Raw
    position: int
    stream_version: int = msgspec.field(name="streamversion")
    recorded_at: datetime = msgspec.field(name="recordedat")
    entity: str
    actor_type: str = msgspec.field(name="actortype")
    actor_id: str | None = msgspec.field(name="actorid", default=None)
    actor_name: str = msgspec.field(name="actorname", default="")
    api_key_id: str | None = msgspec.field(name="apikeyid", default=None)
    api_key_name: str | None = msgspec.field(name="apikeyname", default=None)
    approved_by_id: str | None = msgspec.field(name="approvedbyid", default=None)
    approved_by_name: str | None = msgspec.field(name="approvedbyname", default=None)
    request_id: str | None = msgspec.field(name="requestid", default=None)
    causation_id: str | None = msgspec.field(name="causationid", default=None)
    said_at: str | None = msgspec.field(name="saidat", default=None)
    erased: bool = False


class Reader(Struct, frozen=True):
    """The reader of events: whether personal data is shown, the persons' keys (None once erased),
    and the base URL of schemas, if known."""

    sees: bool
    keys: Keys
    origin: str


_stored: Final = msgspec.json.Decoder(Stored)
_encoder: Final = msgspec.json.Encoder()


def persons_in(lines: Iterable[Line]) -> set[UUID]:
    """The persons whose encrypted data is in these events."""
    return set[UUID]().union(*(persons_in_text(line.body) for line in lines))


def persons_in_text(text: bytes) -> set[UUID]:
    """The persons whose encrypted data is in a JSON text."""
    if b'"~1.' not in text:
        return set()
    return {UUID(person.decode()) for person in SEALED.findall(text)}


def read(line: Line, reader: Reader) -> tuple[Stored, bool]:
    """The event's body for this reader, and whether one of its persons was erased."""
    stored, event, erased = _stored.decode(line.body), EVENTS[line.name], False
    if stored.schema != event.SCHEMA:
        today = event.upcast(stored.schema, msgspec.json.decode(stored.data))
        stored.data = Raw(_encoder.encode(msgspec.convert(today, event)))
    if b'"~1.' in line.body or kept_back(event):
        stored.data, erased = _readable(stored.data, event, reader)
    return stored, erased


def shown(line: Line, reader: Reader) -> bytes:
    """The event as JSON: personal data decrypted, masked, or null once erased; internal
    fingerprints left out.

    Events of older schemas are upcast.
    """
    event, stored, erased = EVENTS[line.name], *read(line, reader)
    stamp = stored.stamp
    return _encoder.encode(
        CloudEvent(
            specversion="1.0",
            id=stored.id,
            source=SOURCE,
            type=line.name,
            subject=line.stream,
            time=stamp.at,
            datacontenttype="application/json",
            dataschema=f"{reader.origin}{schema_path(event)}",
            data=stored.data,
            position=line.position,
            stream_version=line.version,
            recorded_at=line.recorded_at.astimezone(UTC),
            entity=ENTITY_OF[event].__name__,
            actor_type=stamp.actor.type,
            actor_id=stamp.actor.id,
            actor_name=stamp.actor.name,
            api_key_id=stamp.actor.api_key,
            api_key_name=stamp.actor.api_key_name,
            approved_by_id=stamp.approved_by.id if stamp.approved_by else None,
            approved_by_name=stamp.approved_by.name if stamp.approved_by else None,
            request_id=stamp.request_id,
            causation_id=stamp.causation,
            said_at=stamp.said_at,
            erased=erased,
        )
    )


@cache
def schema_path(event: type[Event]) -> str:
    """The path of the schema of an event's data."""
    return f"{SCHEMAS}/{event.__name__}?version={event.SCHEMA}"


def _readable(data: Raw, event: type[Event], reader: Reader) -> tuple[Raw, bool]:
    """The data for this reader, and whether one of its persons was erased."""
    fields: dict[str, Any] = msgspec.json.decode(data)
    for name in kept_back(event):
        fields.pop(name, None)
    erased = False

    def show(value: Any) -> Any:
        nonlocal erased
        if isinstance(value, dict):
            return {name: show(each) for name, each in value.items()}
        if value is None:
            return None
        sealed = SEALED.match(f'"{value}'.encode())
        if sealed and reader.keys.get(UUID(sealed[1].decode()), ...) is None:
            erased = True
            return None
        return opened_or_null(value, reader.keys) if reader.sees else HIDDEN

    for name in _personal(event):
        if name in fields:
            fields[name] = show(fields[name])
    return Raw(_encoder.encode(fields)), erased


def opened_or_null(value: Any, keys: Keys) -> Any:
    """A sealed value in the clear; None also where it was changed or moved in the store, which
    `rim-ledger verify` reports, or only looks sealed."""
    try:
        return opened(value, keys)
    except (InvalidTag, ValueError):
        return None


@cache
def _personal(event: type[Event]) -> tuple[str, ...]:
    """The personal fields by their JSON names."""
    names = {field.name: field.encode_name for field in msgspec.structs.fields(event)}
    return tuple(names[field] for field in personal_fields(event))
