"""Examples for the OpenAPI document, generated from schemas."""

from collections.abc import Mapping
from typing import Any, Final

Schema = dict[str, Any]

EITHER_ID: Final[Schema] = {
    "type": "string",
    "description": "A UUID or a business id, such as LOAN-2026-000001.",
    "examples": ["01980f5e-0000-7000-8000-000000000000"],
}

AS_OF: Final[Schema] = {
    "type": "string",
    "description": "A position, or a time: what was known then.",
    "examples": ["2026-01-31T08:00:00Z"],
}


EFFECTIVE_AT: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "description": "A business time: what had happened by then, as far as it is known now, or was "
    "known `asOf`.",
    "examples": ["2016-12-31T22:59:59Z"],
}


def example(schema: Schema, schemas: Mapping[str, Schema]) -> Any:  # noqa: PLR0911 - a line a type
    """Give an example value of the schema, made of its fields' examples."""
    if "$ref" in schema:
        return example(schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    if found := schema.get("examples"):
        return found[0]
    if found := schema.get("enum"):
        return found[0]
    if arms := schema.get("anyOf"):
        return example(arms[0], schemas)
    match schema.get("type"):
        case "object":
            wanted = schema.get("required", [])
            fields = schema.get("properties", {})
            return {name: example(fields[name], schemas) for name in wanted}
        case "array":
            return [example(schema["items"], schemas)] if "items" in schema else []
        case "integer":
            return int(schema.get("minimum", 1))
        case "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            text = {"uuid": EITHER_ID["examples"][0]}.get(schema.get("format", ""), "text")
            return str(text).ljust(schema.get("minLength", 0), "-")
