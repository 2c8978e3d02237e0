"""Named answers of the OpenAPI document: receipts, pages, objects without a read table."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from functools import cache
from types import GenericAlias
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    NonNegativeInt,
    PositiveInt,
    WithJsonSchema,
    create_model,
)
from pydantic.alias_generators import to_camel

from api.http.call import NDJSON
from projections.tables.columns import Naira
from projections.tables.table import Row
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.command import Form

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
ID: Final[Schema] = {"type": "string", "format": "uuid"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
NULL: Final[Schema] = {"type": "null"}
FLAG: Final[Schema] = {"type": "boolean"}
DRY_RUN: Final[Mapping[str, Schema]] = {
    "dryRun": FLAG | {"description": "Decide, and answer what would change; write nothing."}
}
NUMBER: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TEXTS: Final[Schema] = {"type": "array", "items": TEXT}
RECEIPT: Final[Schema] = {"id": ID, "version": NUMBER, "position": NUMBER}
"""Properties of a receipt without a business id."""
NAIRA: Final[Schema] = {"type": "number", "description": "Unit: naira."}
FILE: Final[Schema] = {"type": "string", "format": "binary"}
"""Bytes. OpenAPI 3.1 needs no format for them, but client generators read it."""
PROBLEM: Final[Schema] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "requestId"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "instance": TEXT,
        "code": {"type": "string", "examples": ["invalid-transition"]},
        "requestId": TEXT,
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": dict.fromkeys(("pointer", "code", "detail"), TEXT),
            },
        },
        "hint": TEXT,
        "current": TEXT,
        "command": TEXT,
        "allowed": {"type": "array", "items": TEXT},
    },
}
JSON_OBJECT: Final = "JsonObject"
SHAPES: Final[dict[str, Schema]] = {
    "Problem": PROBLEM,
    JSON_OBJECT: {"type": "object", "description": "Any fields.", "additionalProperties": True},
}
"""Components that no route declares."""


def ref(name: str) -> Schema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


class Receipt(BaseModel):
    """What a command came to: its stream, the stream's version and the position in the log."""

    id: UUID
    version: NonNegativeInt
    position: NonNegativeInt


class Proposed(BaseModel):
    """A command takes two people: it waits in a proposal until another admin approves it."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)

    proposal_id: UUID
    version: NonNegativeInt
    position: NonNegativeInt


class DryRunModel(BaseModel):
    """A part of the answer to a dry run."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True)


class DryRunVersions(DryRunModel):
    """The versions of a row; null where there is none."""

    old: PositiveInt | None
    new: PositiveInt | None


class DryRunRow(DryRunModel):
    """A row as its resource shows it, before and after; null where there is none to be seen."""

    entity: str
    id: UUID
    version: DryRunVersions
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class BorrowerFigures(DryRunModel):
    """What a borrower owes and has."""

    exposure: Naira
    outstanding: Naira
    credit_balance: Naira


class DryRunFigures(DryRunModel):
    """The figures of a borrower before (null for a new one) and after."""

    user_id: UUID
    before: BorrowerFigures | None
    after: BorrowerFigures


class DryRunEffects(DryRunModel):
    """What would be written, as far as the caller may read it; `leftOut` counts the other events,
    and those above the first 200."""

    events: list[Annotated[Any, WithJsonSchema(ref("CloudEvent"))]]
    left_out: NonNegativeInt
    rows: list[DryRunRow]
    journal: list[Annotated[Any, WithJsonSchema(ref("JournalEntryRow"))]]
    figures: list[DryRunFigures]


class DryRun(DryRunEffects):
    """What a command would change now. Ids, times, numbers and references will be others. `status`
    is that of its answer, `receipt` its receipt without a position. `onApproval` is what a command
    that takes two people would do once another admin approves it."""

    dry_run: Literal[True]
    status: Literal[200, 201, 202]
    receipt: dict[str, Any]
    on_approval: DryRunEffects = None  # type: ignore[assignment]


def shape(name: str, properties: Mapping[str, Any], optional: Collection[str] = ()) -> Schema:
    """Define an object type with these properties (JSON Schema), all required but the optional
    ones; gives the reference to it."""
    required = [each for each in properties if each not in optional]
    SHAPES[name] = {"type": "object", "required": required, "properties": dict(properties)}
    return ref(name)


def either(*schemas: Schema) -> Schema:
    """One of several."""
    return {"anyOf": [*schemas]}


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    return schema | {"type": [schema["type"], "null"]}


def several(items: Schema) -> Schema:
    """A list of these."""
    return {"type": "array", "items": items}


def enumeration(kind: type[StrEnum]) -> Schema:
    """Define an enumeration, named as in the code; gives the reference to it."""
    SHAPES[kind.__name__] = {"type": "string", "enum": [*kind]}
    return ref(kind.__name__)


def lines_of(line: Schema) -> Schema:
    """A body of NDJSON with lines of this schema."""
    words = "A line of JSON for each, as `contentSchema` says."
    media_type = NDJSON.decode()
    return FILE | {"contentMediaType": media_type, "contentSchema": line, "description": words}


@cache
def receipt_of(kind: type[Aggregate]) -> type[BaseModel]:
    """The receipt type of a command on an aggregate: with its business id, if it has one, and with
    `completed`, if a command can complete it."""
    fields: dict[str, Any] = {}
    words = Receipt.__doc__ or ""
    if kind.BUSINESS_ID:
        fields[to_camel(kind.BUSINESS_ID)] = (str, ...)
        words += " Beside the id stands the business id."
    if any(event.COMPLETES for event, of in ENTITY_OF.items() if of is kind):
        fields["completed"] = (bool, False)
        words += " `completed` is true if the command completed it, and omitted if not."
    if not fields:
        return Receipt
    return create_model(f"{kind.__name__}Receipt", __base__=Receipt, __doc__=words, **fields)


@cache
def page_of(row: type[Row]) -> type[BaseModel]:
    """The type of a page of rows with the next cursor, null on the last page."""
    fields: dict[str, Any] = {
        "items": (GenericAlias(list, row), ...),
        "nextCursor": (str | None, ...),
    }
    return create_model(row.__name__.removesuffix("Row") + "Page", **fields)


@cache
def body_without(command: type[Form], names: frozenset[str]) -> type[BaseModel]:
    """A command's body without the fields that are path parameters."""
    given: dict[str, Any] = {
        name: (field.annotation, field)
        for name, field in command.model_fields.items()
        if name not in names
    }
    words, config = command.__doc__, command.model_config
    return create_model(f"{command.__name__}Body", __config__=config, __doc__=words, **given)
