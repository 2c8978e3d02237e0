"""Completes FastAPI's OpenAPI document with what routes do not declare."""

from collections.abc import Iterable
from typing import Any, Final

from api.description.components import JSON_OBJECT, SHAPES, Schema, lines_of, ref
from api.description.event_schemas import CLOUD_EVENT
from api.description.examples import example
from api.http.call import NDJSON
from api.pipeline.routes import AnyRoute, List, One, Other, Route
from projections.tables.dictionary import meaning, unit
from projections.tables.table import Row

VALUES: Final = ("default", "enum", "const", "example", "examples")
"""Schema keywords whose values are no schemas."""
OF_ANY_OBJECT: Final = {"type", "additionalProperties"}
"""Keywords of an object schema that allows any fields."""


def complete(document: Schema, routes: Iterable[AnyRoute]) -> Schema:
    """Add examples of commands, meanings of columns, and the names of enumerations and shapes."""
    schemas = document["components"]["schemas"]
    schemas |= SHAPES | {"CloudEvent": CLOUD_EVENT}
    shown = [each for each in routes if not (isinstance(each, Other) and each.former)]
    for row in {route.row for route in shown if isinstance(route, List | One)}:
        _describe_columns(row, schemas[row.__name__])
    for route in shown:
        operation = document["paths"][route.path][route.method.lower()]
        if isinstance(route, Route):
            _add_example(operation["requestBody"], schemas)
        elif isinstance(route, List):
            _name_words(route.row, operation["parameters"], schemas[route.row.__name__])
        elif lines := operation.get("requestBody", {}).get("content", {}).get(NDJSON.decode()):
            lines["schema"] = lines_of(lines["schema"])
    _tidy(document["paths"])
    _tidy({name: each for name, each in schemas.items() if name != JSON_OBJECT})
    return document


def _add_example(body: Schema, schemas: dict[str, Schema]) -> None:
    """Add an example of the command, and say if the body is optional."""
    content = body["content"]["application/json"]
    name = content["schema"]["$ref"].rsplit("/", 1)[1]
    body["required"] = bool(schemas[name].get("required"))
    content["example"] = example(schemas[name], schemas)


def _describe_columns(row: type[Row], schema: Schema) -> None:
    """Describe each column; those hidden from borrowers are not required."""
    for column in row.COLUMNS.values():
        measure = unit(row.TABLE, column.name, column.sql_type)
        words = meaning(row.TABLE, column.name) + (f" Unit: {measure}." if measure else "")
        schema["properties"][column.wire]["description"] = words
    internal = {column.wire for column in row.COLUMNS.values() if column.internal}
    if internal:
        schema["required"] = [name for name in schema["required"] if name not in internal]
        schema["description"] += f" Borrowers do not see {', '.join(sorted(internal))}."


def _name_words(row: type[Row], parameters: list[Schema], schema: Schema) -> None:
    """Let the filters of a column reference the column's enumeration."""
    of_column = {column.wire: column for column in row.COLUMNS.values() if column.words}
    for parameter in parameters:
        if column := of_column.get(parameter["name"]):
            shown = schema["properties"][column.wire]
            arms = [each["$ref"] for each in (shown, *shown.get("anyOf", ())) if "$ref" in each]
            if arms:
                parameter["schema"] = {"type": "array", "items": {"$ref": arms[0]}}


def _tidy(schema: Any) -> None:
    """Drop pydantic's generated titles, and give one name to all objects with any fields, which
    client generators would otherwise take for empty ones and name at each place."""
    if isinstance(schema, list):
        for each in schema:
            _tidy(each)
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("title"), str):
        del schema["title"]
    if schema.get("type") == "object" and _has_any_fields(schema):
        for keyword in OF_ANY_OBJECT & schema.keys():
            del schema[keyword]
        schema |= ref(JSON_OBJECT)
    for keyword, each in schema.items():
        if keyword not in VALUES:
            _tidy(each)


def _has_any_fields(schema: Schema) -> bool:
    fields = schema.get("additionalProperties", True)
    return "properties" not in schema and fields in (True, ref("JsonValue"))
