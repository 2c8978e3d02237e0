"""JSON Schemas of the log's events, and the AsyncAPI document of all."""

from functools import cache
from typing import Final

import msgspec

from api.context import Context
from api.description.components import ID, NUMBER, TEXT, TIME, Schema
from api.http.call import Call, Reply
from api.http.query import unfit
from api.pipeline.rights import Rights
from projections.cloud_events import SOURCE, schema_path
from rim_ledger.catalogue import ENTITY_OF, EVENTS
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import NotFound
from rim_ledger.vault.personal_keys import kept_back, personal_fields
from rim_ledger.version import VERSION

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
NTH: Final[Schema] = NUMBER | {"minimum": 1}
ENVELOPE: Final[Schema] = {
    "specversion": {"const": "1.0"},
    "id": ID,
    "source": {"const": SOURCE},
    "type": TEXT,
    "subject": ID | {"description": "The object's id."},
    "time": TIME | {"description": "When it happened."},
    "datacontenttype": {"const": "application/json"},
    "dataschema": {"type": "string", "format": "uri-reference"},
    "position": NTH | {"description": "Its place in the log: 1, 2, 3, … without a gap."},
    "streamversion": NTH | {"description": "Its place among the object's events."},
    "recordedat": TIME | {"description": "When it was written down; never goes back."},
    "entity": {"enum": sorted({kind.__name__ for kind in ENTITY_OF.values()})},
    "actortype": {"enum": ["admin", "user", "system", "integration"]},
}
OPTIONAL: Final[Schema] = {
    "actorid": ID,
    "actorname": TEXT,
    "apikeyid": ID | {"description": "The API key that acted."},
    "apikeyname": TEXT,
    "approvedbyid": ID | {"description": "The admin who approved it, where it took two."},
    "approvedbyname": TEXT,
    "requestid": TEXT,
    "causationid": ID | {"description": "The event behind it."},
    "saidat": TIME | {"description": "When a provider says that it happened."},
    "erased": {
        "type": "boolean",
        "description": "True where a person in it was erased: their words are null.",
    },
}
CLOUD_EVENT: Final[Schema] = {
    "type": "object",
    "required": [*ENVELOPE, "data"],
    "properties": ENVELOPE | OPTIONAL | {"data": {"type": "object"}},
}


async def list_event_schemas(_: Context, __: Call, ___: Rights) -> Reply:
    """Every event there is: its entity, its version, and where its schema is found."""
    items = [
        {
            "type": name,
            "version": event.SCHEMA,
            "entity": ENTITY_OF[event].__name__,
            "description": _words(event),
            "dataschema": schema_path(event),
            "schema": schema_of(event),
        }
        for name, event in sorted(EVENTS.items())
    ]
    return Reply(200, {"items": items})


async def get_event_schema(_: Context, call: Call, __: Rights) -> Reply:
    """The JSON Schema of an event's `data`. Events of older versions are shown in today's shape,
    so there is one version of each."""
    if (event := EVENTS.get(call.path_params["type"])) is None:
        raise NotFound(Event.__name__.lower(), "of that name")
    if call.query_params.get("version", [str(event.SCHEMA)]) != [str(event.SCHEMA)]:
        raise unfit("version", f"events of this type are shown in version {event.SCHEMA}")
    return Reply(200, schema_of(event), media_type=b"application/schema+json")


async def get_async_api(_: Context, __: Call, ___: Rights) -> Reply:
    """The log as a channel of messages, one kind for each event."""
    return Reply(200, async_api())


@cache
def schema_of(event: type[Event]) -> Schema:
    """The schema of an event's data."""
    ((schema,), parts) = msgspec.json.schema_components([event], ref_template="#/$defs/{name}")
    own = parts.pop(event.__name__) if "$ref" in schema else schema
    head = {"$schema": DIALECT, "$id": schema_path(event)}
    body = _shown(event, own) | {"description": _words(event)}
    return head | body | ({"$defs": parts} if parts else {})


@cache
def async_api() -> Schema:
    """AsyncAPI 3.0 document of the log."""
    names = sorted(EVENTS)
    template = "#/components/schemas/{name}"
    refs, parts = msgspec.json.schema_components([EVENTS[n] for n in names], ref_template=template)
    data = dict(zip(names, refs, strict=True))
    for name in names:
        if "$ref" in data[name]:
            parts[name] = _shown(EVENTS[name], parts[name])
    message = {name: {"$ref": f"#/components/messages/{name}"} for name in names}
    query = {"type": "object", "properties": {"after": {"type": "integer", "minimum": 0}}}
    channel = {
        "address": "/v1/events",
        "description": "Every event, in the order of positions; Last-Event-ID resumes.",
        "messages": message,
    }
    follow = {
        "action": "send",
        "channel": {"$ref": "#/channels/events"},
        "summary": "Follow the log, live, as server-sent events.",
        "bindings": {"http": {"method": "GET", "query": query, "bindingVersion": "0.3.0"}},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "RIM Ledger", "version": VERSION},
        "defaultContentType": "application/cloudevents+json",
        "channels": {"events": channel},
        "operations": {"followEvents": follow},
        "components": {
            "messages": {name: _message(name, data[name]) for name in names},
            "schemas": {"CloudEvent": CLOUD_EVENT, **parts},
        },
    }


def _message(name: str, data: Schema) -> Schema:
    own = {"type": "object", "properties": {"type": {"const": name}, "data": data}}
    payload = {"allOf": [{"$ref": "#/components/schemas/CloudEvent"}, own]}
    return {"name": name, "summary": _words(EVENTS[name]), "payload": payload}


def _shown(event: type[Event], schema: Schema) -> Schema:
    """The schema as shown: personal properties are marked and nullable, internal ones left out."""
    back, personal = kept_back(event), personal_fields(event)
    needed = [name for name in schema["required"] if name not in back]
    own = {each.encode_name for each in msgspec.structs.fields(event) if each.name in personal}
    shown = {
        name: {"anyOf": [field, {"type": "null"}], "description": "Personal."}
        if name in own
        else field
        for name, field in schema["properties"].items()
        if name not in back
    }
    return schema | {"properties": shown, "required": needed}


def _words(event: type[Event]) -> str:
    return " ".join((vars(event).get("__doc__") or "").split())
