"""The OpenAPI document, made from the routes: forms, rows, examples and every status."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.examples import EITHER_ID, example
from api.road import parameters
from api.road.commands import wire_name
from api.road.reads import parameters_of
from api.road.routes import AnyRoute, List, One, Other, Route
from api.wire.call import NDJSON
from api.wire.csv_text import CSV
from projections.catalogue import ROW_OF
from projections.dictionary import meaning, unit
from projections.tables import Row
from rim_ledger.core import Creation

Schema = dict[str, Any]

SENTENCES: Final = {
    "400": "The body, the query or the cursor cannot be read.",
    "401": "No live session.",
    "403": "The caller lacks the permission.",
    "404": "There is no such thing, or none the caller may know of.",
    "406": "The request takes none of the media types of the answer.",
    "408": "The body did not come in time.",
    "409": "A rule or the present state forbids it.",
    "412": "The thing has another version than If-Match says.",
    "413": "The body is too large.",
    "415": "The body has another media type, charset or Content-Encoding than is taken.",
    "422": "The fields are not as described, or cannot be meant.",
    "429": "Too many attempts, or more requests in this minute than one caller may make.",
    "503": "The store is busy, or the read tables are behind.",
}
ALWAYS: Final = ("400", "401", "403", "404", "422", "429", "503")
OF_COMMANDS: Final = (*ALWAYS, "408", "409", "412", "413", "415")
PROBLEM: Final[Schema] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance", "code", "requestId"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "code": {"type": "string", "examples": ["invalid-transition"]},
        "requestId": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail")},
            },
        },
        "hint": {"type": "string"},
        "current": {"type": "string"},
        "command": {"type": "string"},
        "allowed": {"type": "array", "items": {"type": "string"}},
    },
}


def document(routes: Iterable[AnyRoute]) -> Schema:
    """OpenAPI 3.1 of these routes."""
    routes = list(routes)
    forms = {form for route in routes if (form := _form(route))}
    rows = {route.row for route in routes if isinstance(route, List | One)}
    ordered = sorted(forms | rows, key=lambda model: model.__name__)
    modes = [(model, "validation") for model in ordered]
    _, definitions = models_json_schema(modes, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    schemas = definitions["$defs"] | {"Problem": PROBLEM}
    for row in rows:
        _describe_columns(row, schemas[row.__name__])
    paths: dict[str, Schema] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "RIM Ledger", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"session": bearer}},
        "security": [{"session": []}],
    }


def _describe_columns(row: type[Row], schema: Schema) -> None:
    """What each column means. What borrowers are not shown is not always there."""
    for column in row.COLUMNS.values():
        measure = unit(row.TABLE, column.name, column.sql_type)
        words = meaning(row.TABLE, column.name) + (f" Unit: {measure}." if measure else "")
        schema["properties"][column.wire]["description"] = words
    internal = {column.wire for column in row.COLUMNS.values() if column.internal}
    if internal:
        schema["required"] = [name for name in schema["required"] if name not in internal]
        schema["description"] += f" Borrowers do not see {', '.join(sorted(internal))}."


def _form(route: AnyRoute) -> type[BaseModel] | None:
    match route:
        case Route():
            return route.command
        case Other():
            return route.form
        case _:
            return None


def _words(route: AnyRoute) -> str | None:
    """What a form says of itself; without one, what the answer says."""
    if form := _form(route):
        return form.__doc__
    return route.answer.__doc__ if isinstance(route, Other) else None


def _operation(route: AnyRoute, schemas: Mapping[str, Schema]) -> Schema:
    names = re.findall(r"\{(\w+)\}", route.path)
    operation: Schema = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.path.split("/")[2 if route.path.startswith("/v1/") else 1]],
        "parameters": [_path_parameter(name) for name in names],
    }
    if words := _words(route):
        operation["description"] = " ".join(words.split())
    match route:
        case Route():
            _describe_command(operation, route, schemas)
        case List():
            operation["parameters"] += [*_queries(parameters.of_list(route.row)), _POSITION]
            operation["responses"] = {"200": _rows(route)} | _problems((*ALWAYS, "406"))
        case One():
            operation["parameters"] += [*_queries(parameters_of(route.row)), _POSITION]
            operation["responses"] = {"200": _json(_ref(route.row))} | _problems(ALWAYS)
        case Other():
            _describe_other(operation, route)
    if any(each["name"] == "effectiveAt" for each in operation["parameters"]):
        operation["responses"]["200"]["headers"] = _OF_THE_PAST
    if route.own:
        words = f"{operation.get('description', '')} Borrowers may ask for what is theirs."
        operation["description"] = words.strip()
    return operation


def _operation_id(route: AnyRoute) -> str:
    words = re.findall(r"\w+", route.path.removeprefix("/v1"))
    return "-".join([route.method.lower(), *words]).replace("_", "-")


def _describe_command(operation: Schema, route: Route, schemas: Mapping[str, Schema]) -> None:
    made = issubclass(route.command, Creation)
    resource, action = route.needs
    operation["description"] += f" Needs the permission {resource}:{action}."
    operation["parameters"] += [_KEY, _IF_MATCH, _PREFER]
    schema = schemas[route.command.__name__]
    in_path = set(re.findall(r"\{(\w+)\}", route.path)) & (schema["properties"].keys() - {"id"})
    if in_path:
        schema = _without(schema, in_path)
        body = schema
    else:
        body = _ref(route.command)
    operation["requestBody"] = {
        "required": bool(schema.get("required")),
        "content": {"application/json": {"schema": body, "example": example(schema, schemas)}},
    }
    row = ROW_OF.get(route.kind)
    shapes = [_receipt(route), *([_ref(row)] if row else [])]
    answer = _json({"anyOf": shapes})
    answer["headers"] = {
        name: {"schema": {"type": "string"}} for name in ("ETag", "Ledger-Position")
    }
    operation["responses"] = {"201" if made else "200": answer} | _problems(OF_COMMANDS)


def _describe_other(operation: Schema, route: Other) -> None:
    if route.public:
        operation["security"] = []
    operation["parameters"] += _queries(route.query)
    answer: Schema = {"description": "Done."}
    shapes = [_object(given) for given in (route.gives, route.or_gives) if given is not None]
    if shapes:
        answer = _json(shapes[0] if len(shapes) == 1 else {"anyOf": shapes})
    if route.form is not None or route.media_type in BODIES:
        schema = _ref(route.form) if route.form else BODIES[route.media_type]
        content = {route.media_type: {"schema": schema}}
        operation["requestBody"] = {"required": True, "content": content}
    statuses = ("400", "422", "503") if route.path.count("/") == 1 else OF_COMMANDS
    statuses = (*statuses, "406") if route.offers else statuses
    operation["responses"] = {str(route.status): answer} | _problems(statuses)


def _object(properties: Mapping[str, Any]) -> Schema:
    given = dict(properties)
    return {"type": "object", "required": [*given], "properties": given}


def _receipt(route: Route) -> Schema:
    business = {wire_name(route.kind.BUSINESS_ID): _STRING} if route.kind.BUSINESS_ID else {}
    number = {"type": "integer", "minimum": 0}
    own = {"id": {"type": "string", "format": "uuid"}, **business}
    receipt = {"type": "object", "properties": own | {"version": number, "position": number}}
    return receipt | {"required": ["id", "version"]}


def _page(route: List) -> Schema:
    cursor = {"anyOf": [_STRING, {"type": "null"}]}
    items = {"type": "array", "items": _ref(route.row)}
    page: Schema = {
        "type": "object",
        "required": ["items", "nextCursor"],
        "properties": {"items": items, "nextCursor": cursor},
    }
    return {"allOf": [_ref(route.of[1]), page]} if route.of and route.with_owner else page


def _rows(route: List) -> Schema:
    """A list's answer: a page of JSON; or lines, to its end where no limit is given."""
    answer = _json(_page(route))
    heads = ",".join(column.wire for column in route.row.COLUMNS.values())
    lines = {"description": f"A head, and a line for each row: {heads}.", **_STRING}
    answer["content"] |= {
        NDJSON.decode(): {"schema": {"description": "A line for each row.", **_ref(route.row)}},
        CSV.decode(): {"schema": lines},
    }
    return answer


def _without(schema: Schema, names: set[str]) -> Schema:
    fields = {name: each for name, each in schema["properties"].items() if name not in names}
    required = [name for name in schema.get("required", []) if name not in names]
    return schema | {"properties": fields, "required": required}


def _problems(statuses: Iterable[str]) -> Schema:
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {each: {"description": SENTENCES[each], "content": content} for each in statuses}


def _json(schema: Schema) -> Schema:
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}


def _ref(model: type[BaseModel]) -> Schema:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _path_parameter(name: str) -> Schema:
    schema = EITHER_ID if name == "id" else _STRING
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _queries(declared: Mapping[str, Schema]) -> list[Schema]:
    return [{"name": name, "in": "query", "schema": each} for name, each in declared.items()]


def _header(name: str, schema: Schema, words: str) -> Schema:
    return {"name": name, "in": "header", "schema": schema, "description": words}


_STRING: Final[Schema] = {"type": "string"}
_FILE: Final[Schema] = {"type": "string", "contentMediaType": "application/octet-stream"}
BODIES: Final[Mapping[str, Schema]] = {
    "text/csv": _STRING,
    "multipart/form-data": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": _FILE},
    },
}
"""Bodies that no form describes."""
_POSITION: Final = _header(
    "Ledger-Position", {"type": "integer", "minimum": 0}, "Answer from this position on."
)
_OF_THE_PAST: Final[Schema] = {
    "Ledger-Approximate": {
        "schema": {"const": "true"},
        "description": "Beside an answer to effectiveAt: an older event does not say when it "
        "happened, and stands at the time of its command.",
    },
    "Ledger-Hint": {
        "schema": _STRING,
        "description": "Beside an empty answer to asOf: what was asked for had happened by that "
        "time, and was recorded later.",
    },
}
_KEY: Final = _header(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    "The same key and request once more get the first answer again.",
)
_IF_MATCH: Final = _header("If-Match", _STRING, 'The version that must be current, such as "3".')
_PREFER: Final = _header("Prefer", _STRING, "return=representation answers the row.")
