"""What is stored stays readable: event schemas are pinned, and old samples load for ever."""

import json
from datetime import datetime
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, get_args, get_origin
from uuid import UUID

import msgspec
import pytest
from eventsourcing.persistence import StoredEvent
from msgspec import Struct
from msgspec.structs import fields
from typing_extensions import is_typeddict

from rim_ledger.admin.permissions import permissions
from rim_ledger.catalogue import ENTITIES, ENTITY_OF, EVENTS
from rim_ledger.engine.aggregate import SYSTEM, Event, Stamp
from rim_ledger.engine.codec import Codec, Recorded
from tests.golden import HERE, pinned
from tests.spec import START

STREAM = UUID("01900000-0000-7000-8000-000000000001")
EXAMPLES: dict[Any, Any] = {
    str: "words",
    int: 5,
    bool: True,
    Decimal: Decimal("5.00"),
    datetime: START,
    UUID: STREAM,
    Any: "words",
    dict: {"employer": "words"},
}


def example(kind: Any) -> Any:
    """Some value of a type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return example(arguments[0])
    if origin is UnionType or NoneType in arguments:
        return example(arguments[0])
    if is_typeddict(kind):
        return permissions([("loans", "read"), ("loans", "write")])[0]
    if origin in (tuple, list):
        return origin([example(arguments[0])])
    if isinstance(kind, type) and issubclass(kind, Struct):
        return kind(**{field.name: example(field.type) for field in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    return EXAMPLES[origin or kind]


def written(event: type[Event]) -> str:
    """A line of the sample: name and body, as the log would keep them."""
    recorded = Recorded(
        originator_id=STREAM,
        originator_version=1,
        id=STREAM,
        event=example(event),
        stamp=Stamp(at=START, actor=SYSTEM),
    )
    stored = Codec(EVENTS).to_stored_event(recorded)
    return json.dumps({"name": stored.topic, "body": json.loads(stored.state)})


def test_the_schema_of_every_event_is_the_pinned_one() -> None:
    names = sorted(EVENTS)
    refs, parts = msgspec.json.schema_components([EVENTS[name] for name in names])
    text = json.dumps({"events": dict(zip(names, refs, strict=True)), "parts": parts}, indent=1)
    assert pinned("events.json", text + "\n") == text + "\n"


def test_every_event_has_a_sample_that_is_kept_for_ever() -> None:
    path = HERE / "events.ndjson"
    kept = path.read_text().splitlines() if path.exists() else []
    known = {(line["name"], line["body"].get("schema", 1)) for line in map(json.loads, kept)}
    fresh = [
        written(event)
        for name, event in sorted(EVENTS.items())
        if (name, event.SCHEMA) not in known
    ]
    text = "\n".join([*kept, *fresh]) + "\n"
    assert pinned("events.ndjson", text) == text


@pytest.mark.parametrize("line", (HERE / "events.ndjson").read_text().splitlines())
def test_what_was_ever_stored_still_loads(line: str) -> None:
    sample = json.loads(line)
    stored = StoredEvent(STREAM, 1, sample["name"], json.dumps(sample["body"]).encode())
    recorded = Codec(EVENTS).to_domain_event(stored)
    again = json.loads(Codec(EVENTS).to_stored_event(recorded).state)
    assert again == sample["body"] or sample["body"].get("schema", 1) != recorded.event.SCHEMA


def test_every_event_belongs_to_an_entity_and_every_entity_has_some() -> None:
    assert set(ENTITY_OF.values()) == set(ENTITIES)
    assert all(issubclass(event, Event) for event in ENTITY_OF)


def test_an_unknown_schema_of_an_event_is_refused() -> None:
    with pytest.raises(LookupError, match="never written with schema 9"):
        EVENTS["LoanApproved"].upcast(9, {})
