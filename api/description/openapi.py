"""What FastAPI needs of each route for its OpenAPI document."""

import re
from collections.abc import Iterator, Mapping
from inspect import Parameter, Signature
from typing import Any, Final

from fastapi import Body, Depends, Response
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from pydantic.alias_generators import to_pascal, to_snake

from api.description.components import (
    DRY_RUN,
    FILE,
    TEXT,
    DryRun,
    Proposed,
    Schema,
    body_without,
    lines_of,
    page_of,
    receipt_of,
    ref,
    shape,
)
from api.description.examples import EITHER_ID
from api.http.call import JSON, NDJSON
from api.http.csv_text import CSV
from api.pipeline.filters import of_list
from api.pipeline.reads import parameters_of
from api.pipeline.routes import AnyRoute, List, One, Other, Route
from projections.catalogue import ROW_OF
from projections.tables.table import Row
from rim_ledger.engine.command import Creation

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
WAITS: Final = "It takes two people here, and waits for approval; `Location` is the proposal."
TRIED: Final = "With `dryRun=true`: what it would change. Nothing is written."
ALWAYS: Final = ("400", "401", "403", "404", "422", "429", "503")
OF_COMMANDS: Final = (*ALWAYS, "408", "409", "412", "413", "415")
BEARER: Final = HTTPBearer(scheme_name="session", auto_error=False)
"""For the document only: the decision authenticates the caller."""


def route_arguments(route: AnyRoute) -> dict[str, Any]:
    """The arguments of FastAPI's APIRoute for a route of the table."""
    found: dict[str, Any] = {
        "operation_id": operation_id(route),
        "summary": route.summary,
        "description": _words(route),
        "tags": [_tag(route)],
        "response_description": "Done.",
        "responses": dict(_problems(route)),
        "response_model": None,
    }
    extra: Schema = {"parameters": [*_parameters(route)]}
    match route:
        case Route():
            found["status_code"] = 201 if issubclass(route.command, Creation) else 200
            if route.gives is not None:
                extra["responses"] = {str(found["status_code"]): _given(route, route.gives)}
            else:
                row, receipt = ROW_OF.get(route.kind), receipt_of(route.kind)
                found["response_model"] = receipt | row if row else receipt
            if found["status_code"] == 200:
                found["response_model"] |= DryRun
            else:
                tried = {"model": DryRun, "description": TRIED, "headers": _OF_DRY_RUNS}
                found["responses"][200] = tried
            found["responses"][found["status_code"]] = {"headers": _OF_COMMANDS}
            if route.approvable:
                waiting = {"model": Proposed, "description": WAITS, "headers": _OF_COMMANDS}
                found["responses"][202] = waiting
        case List():
            found["response_model"] = page_of(route.row)
            extra["responses"] = {"200": {"content": _lines(route)}}
        case One():
            found["response_model"] = route.row
        case Other():
            _describe_other(route, found, extra)
    if any(each["name"] == "effectiveAt" for each in extra["parameters"]):
        found["responses"][200] = {"headers": _OF_THE_PAST}
    if isinstance(route, Other) and route.public:
        extra["security"] = []
    else:
        found["dependencies"] = [Depends(BEARER)]
    return found | {"openapi_extra": extra}


def signature(route: AnyRoute) -> Signature:
    """The signature that FastAPI inspects: the body, if there is one."""
    form = _form(route)
    if form is None:
        return Signature()
    media_type = route.media_type if isinstance(route, Other) else "application/json"
    body = Body(media_type=media_type)
    return Signature([Parameter("body", Parameter.KEYWORD_ONLY, annotation=form, default=body)])


def operation_id(route: AnyRoute) -> str:
    """The operation's name: its command's, its function's, or that of the rows read."""
    match route:
        case Route():
            return to_snake(route.command.__name__)
        case One():
            return "get_" + _name(route.row)
        case List() if route.path.endswith("}"):
            return f"list_{_name(route.row)}s"
        case Other() if name := route.name or getattr(route.answer, "__name__", ""):
            return str(name)
        case _:
            # The plural of a path, such as user_loans for /v1/users/{id}/loans.
            words = re.sub(r"s?((?:/\{\w+\})+)/", "/", route.path.removeprefix("/v1/"))
            return "list_" + re.sub(r"\W", "_", words)


def _name(row: type[Row]) -> str:
    return to_snake(row.__name__.removesuffix("Row"))


def _tag(route: AnyRoute) -> str:
    """The tag of an operation: the first part of its path, without a file extension."""
    version, _, rest = route.path.removeprefix("/").partition("/")
    return rest.split("/")[0].partition(".")[0] if version == "v1" else "service"


def _form(route: AnyRoute) -> type[BaseModel] | None:
    if isinstance(route, Other):
        return route.form
    if not isinstance(route, Route):
        return None
    in_path = route.command.model_fields.keys() & set(_in_path(route)) - {"id"}
    return body_without(route.command, frozenset(in_path)) if in_path else route.command


def _words(route: AnyRoute) -> str:
    """The description: the form's docstring, else the answer's."""
    form = route.command if isinstance(route, Route) else getattr(route, "form", None)
    source = form or getattr(route, "answer", None)
    words = " ".join((source.__doc__ or "").split()) if source else ""
    if isinstance(route, Route):
        words += f" Needs the permission {':'.join(route.needs)}."
    own = getattr(route, "own", False)
    return f"{words} Borrowers may ask for what is theirs.".strip() if own else words


def _parameters(route: AnyRoute) -> Iterator[Schema]:
    """Parameters of path, query and header, which the pipeline parses itself."""
    for name in _in_path(route):
        schema = EITHER_ID if name == "id" else TEXT
        yield {"name": name, "in": "path", "required": True, "schema": schema}
    match route:
        case Route():
            yield from (_KEY, _IF_MATCH, _PREFER) if route.answer is None else (_KEY,)
            queries: Mapping[str, Schema] = DRY_RUN
        case List():
            queries = of_list(route.row)
        case One():
            queries = parameters_of(route.row)
        case Other():
            queries = route.query
    yield from ({"name": name, "in": "query", "schema": each} for name, each in queries.items())
    if isinstance(route, List | One):
        yield _POSITION


def _in_path(route: AnyRoute) -> list[str]:
    return re.findall(r"\{(\w+)\}", route.path)


def _statuses(route: AnyRoute) -> tuple[str, ...]:
    match route:
        case List():
            return (*ALWAYS, "406")
        case One():
            return ALWAYS
        case Other() if route.path.count("/") == 1:
            return ("400", "422", "503")
        case Other() if route.offers:
            return (*OF_COMMANDS, "406")
        case _:
            return OF_COMMANDS


def _problems(route: AnyRoute) -> Iterator[tuple[int | str, Schema]]:
    """A problem for each status. What answers in lines may refuse in lines, so these come first:
    generated clients read the first media type that they know."""
    lines = NDJSON.decode()
    content = {"application/problem+json": {"schema": ref("Problem")}}
    if isinstance(route, Other) and route.answers == lines:
        content = {lines: {"schema": FILE}} | content
    for each in _statuses(route):
        yield int(each), {"description": SENTENCES[each], "content": content}


def _describe_other(route: Other, found: dict[str, Any], extra: Schema) -> None:
    """Describe the answer of a route of kind Other, and its body where no form describes it."""
    found |= {"status_code": route.status, "include_in_schema": not route.former}
    if route.form is None and (body := BODIES.get(route.media_type)):
        content = {route.media_type: {"schema": body}}
        extra["requestBody"] = {"required": True, "content": content}
    if route.otherwise:
        status, schema = route.otherwise
        words = {"description": SENTENCES[str(status)]}
        found["responses"][status] = words | _given(route, schema)
    if route.answers != "application/json":
        found["response_class"] = type("Answer", (Response,), {"media_type": route.answers})
    content = {each.decode(): {"schema": TEXT} for each in route.offers if each != JSON}
    if of_bytes := ANSWERS.get(route.answers):
        content[route.answers] = {"schema": of_bytes}
    if route.gives is not None:
        content |= _given(route, route.gives)["content"]
    if content:
        extra["responses"] = {str(route.status): {"content": content}}


def _given(route: Route | Other, schema: Mapping[str, Any]) -> Schema:
    """An answer in JSON; properties get a name as a shape."""
    if not schema.keys() & {"$ref", "anyOf"}:
        schema = shape(f"{to_pascal(operation_id(route))}Answer", schema)
    return {"content": {"application/json": {"schema": schema}}}


def _lines(route: List) -> Schema:
    """The answer of a list: NDJSON, CSV or a page, with the page's owner where it has one."""
    heads = ",".join(column.wire for column in route.row.COLUMNS.values())
    lines: Schema = {
        NDJSON.decode(): {"schema": lines_of(ref(route.row.__name__))},
        CSV.decode(): {
            "schema": {"description": f"A head, and a line for each row: {heads}.", **TEXT}
        },
    }
    if route.of and route.with_owner:
        owner = ref(route.of[1].__name__)
        lines["application/json"] = {"schema": {"allOf": [owner]}}
    return lines


def _header(name: str, schema: Schema, words: str) -> Schema:
    return {"name": name, "in": "header", "schema": schema, "description": words}


BODIES: Final[Mapping[str, Schema]] = {
    "text/csv": FILE,
    "multipart/form-data": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": FILE},
    },
}
"""Bodies without a form, by media type."""
ANSWERS: Final[Mapping[str, Schema]] = {
    "*/*": FILE,
    "application/octet-stream": FILE,
    "application/schema+json": {"type": "object"},
    "application/vnd.apache.parquet": FILE,
    NDJSON.decode(): FILE,
}
"""Answers that are neither our JSON nor text."""
_POSITION: Final = _header(
    "Ledger-Position", {"type": "integer", "minimum": 0}, "Answer from this position on."
)
_OF_COMMANDS: Final[Schema] = {name: {"schema": TEXT} for name in ("ETag", "Ledger-Position")}
_OF_DRY_RUNS: Final[Schema] = {"Ledger-Position": {"schema": TEXT}}
_OF_THE_PAST: Final[Schema] = {
    "Ledger-Approximate": {
        "schema": {"const": "true"},
        "description": "Beside an answer to effectiveAt: an older event does not say when it "
        "happened, and stands at the time of its command.",
    },
    "Ledger-Hint": {
        "schema": TEXT,
        "description": "Beside an empty answer to asOf: what was asked for had happened by that "
        "time, and was recorded later.",
    },
}
_KEY: Final = _header(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
    "The same key and request once more get the first answer again.",
)
_IF_MATCH: Final = _header("If-Match", TEXT, 'The version that must be current, such as "3".')
_PREFER: Final = _header("Prefer", TEXT, "return=representation answers the row.")
