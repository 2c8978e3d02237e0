"""The reference pages that follow from the code: events, routes, roles, settings, tables."""

import inspect
import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from msgspec.structs import fields
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from api.catalogue import ROUTES
from api.config.settings import Settings, description, variables
from api.pipeline.routes import AnyRoute, List, One, Other, Route
from projections.analysis.export_columns import COMMON, Field, fields_of
from projections.analysis.export_rows import SCHEMA
from projections.catalogue import TABLES, VIEWS
from projections.tables.columns import Column
from projections.tables.dictionary import meaning, unit
from projections.tables.table import Row
from rim_ledger.admin.bootstrap import BUILT_IN
from rim_ledger.admin.permissions import RESOURCES
from rim_ledger.admin.security_settings import DEFAULTS, EditSecuritySettings
from rim_ledger.catalogue import ENTITIES, ENTITY_OF, EVENTS
from rim_ledger.customers.access import OWN_SESSION
from rim_ledger.engine.aggregate import Event
from rim_ledger.system.config import KNOWN
from rim_ledger.vault.personal_keys import kept_back, personal_fields

DOCS: Final = Path(__file__).parents[1] / "docs" / "reference"


def _words(of: object) -> str:
    """The first paragraph of a docstring, without the base classes' words."""
    doc = vars(of).get("__doc__") or ""
    return " ".join(inspect.cleandoc(doc).split("\n\n")[0].split())


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * len(heads)
    for row in rows:
        yield "| " + " | ".join(cell.replace("\n", " ") for cell in row) + " |"
    yield ""


def events() -> Iterator[str]:
    yield "# Events"
    yield ""
    yield "Every fact the ledger knows, by the stream it happens to. The name is the name in the"
    yield "log. `data` has the fields below in camelCase; fields marked * are sealed under the"
    yield "person's key, and those marked † are in the log and never shown. Who, when and from"
    yield "where stand in `stamp`, beside `data`. The JSON Schema of each is at"
    yield "`/v1/events/schemas/{type}`, and `/asyncapi.json` describes the stream of all; see [read"
    yield "the log](../how-to/read-the-log.md)."
    yield ""
    for entity in ENTITIES:
        yield f"## {entity.__name__}"
        yield ""
        yield from _table(
            ("event", "schema", "data", "meaning"),
            (_event(event) for event, kind in ENTITY_OF.items() if kind is entity),
        )


def _event(event: type[Event]) -> Iterator[str]:
    sealed = personal_fields(event)
    given = [
        f"`{field.encode_name}`{'*' if field.name in sealed else ''}"
        f"{'†' if field.encode_name in kept_back(event) else ''}"
        for field in fields(event)
    ]
    yield f"`{event.__name__}`"
    yield str(event.SCHEMA)
    yield ", ".join(given)
    yield _words(event)


def routes() -> Iterator[str]:
    yield "# Routes"
    yield ""
    yield "Each with the right it needs. A command is also an `op` of `POST /v1/bulk`."
    yield ""
    yield from _table(("route", "needs", "what it does"), (_route(route) for route in ROUTES))


def _route(route: Route | List | One | Other) -> tuple[str, str, str]:
    right = ":".join(route.needs or ())
    if isinstance(route, Other) and not right:
        right = "nothing" if route.public else "a session"
    if route.own:
        right = "a borrower's session" if route.needs == OWN_SESSION else f"{right}, or one's own"
    words = _words(route.command) if isinstance(route, Route) else f"{route.summary}."
    return f"`{route.method} {route.path}`", right, words


def rights() -> Iterator[str]:
    yield "# Rights and roles"
    yield ""
    yield "A right is a resource and an action: read, write or delete (r, w, d below). What no role"
    yield "gives is denied. These are the roles that a new ledger has."
    yield ""

    def cell(role: str, resource: str) -> str:
        held = BUILT_IN[role][1]
        return "".join(each[0] for each in ("read", "write", "delete") if (resource, each) in held)

    yield from _table(
        ("resource", *BUILT_IN),
        ((each, *(cell(role, each) for role in BUILT_IN)) for each in RESOURCES),
    )


BORROWER: Final = "borrower"
"""No role of an admin: a borrower in a session of their own."""
WHO: Final = (*BUILT_IN, BORROWER)


def verdict(route: AnyRoute, role: str) -> str:
    """What becomes of somebody with a built-in role, or of a borrower, who asks for a route."""
    if role == BORROWER and not (isinstance(route, Other) and route.public):
        return "own" if route.own else "denied"
    if route.needs:
        return "allowed" if route.needs in BUILT_IN[role][1] else "denied"
    return "public" if isinstance(route, Other) and route.public else "own"


def permissions() -> Iterator[str]:
    yield "# Who may ask for what"
    yield ""
    yield "Every route, every role that a new ledger has, and borrowers in sessions of their own:"
    yield "[what the roles hold](rights.md), [which right a route needs](routes.md)."
    yield ""
    yield "- *denied*: 403, whatever else the request says"
    yield "- *allowed*: as far as the rules; one that asks for a further right, or forbids acting"
    yield "  for oneself, may still refuse"
    yield "- *own*: open to every session, and about that session; each line of bulk is judged by"
    yield "  its own route. For borrowers: about themselves and what is theirs, all else is 404"
    yield "- *public*: needs no session. A password or a signature in the request counts instead,"
    yield "  and what operators ask tells about nobody"
    yield ""
    yield from _table(
        ("route", *WHO),
        (
            (f"`{route.method} {route.path}`", *(verdict(route, role) for role in WHO))
            for route in ROUTES
        ),
    )


def settings() -> Iterator[str]:
    yield "# Settings"
    yield ""
    yield "## Of the service, from the environment"
    yield ""
    yield "A variable with `_FILE` at its end names a file that holds the setting, so that a secret"
    yield "is in no environment: UTF-8 text, whose last line's end does not count. Only one of the"
    yield "two may be set."
    yield ""
    yield from _table(
        ("variable", "what it is"),
        (
            (", ".join(f"`{each}`" for each in variables(name)), description(name))
            for name in Settings.model_fields
        ),
    )
    yield "## Of the lender, from `/v1/system-config`"
    yield ""
    yield from _table(
        ("setting", "default", "range", "what it is"),
        (
            (
                f"`{category}/{key}`",
                json.dumps(known.default)
                if isinstance(known.default, bool | tuple)
                else str(known.default),
                "true or false"
                if isinstance(known.default, bool)
                else f"{known.least} to {known.most}",
                known.description,
            )
            for (category, key), known in KNOWN.items()
        ),
    )
    yield "## Of security, from `/v1/security-settings`"
    yield ""
    yield from _table(
        ("setting", "default", "range", "what it is"),
        (
            (
                f"`{to_camel(name)}`",
                json.dumps(getattr(DEFAULTS, name)),
                " to ".join(str(bound) for bound in _bounds(field)),
                field.description or "",
            )
            for name, field in EditSecuritySettings.model_fields.items()
            if hasattr(DEFAULTS, name)
        ),
    )


def _bounds(field: FieldInfo) -> Iterator[int]:
    for bound in field.metadata:
        yield from (getattr(bound, name) for name in ("ge", "le") if hasattr(bound, name))


def tables() -> Iterator[str]:
    yield "# Read tables"
    yield ""
    yield "In the schema `read`. Each also has `version`, the version of the stream behind the row."
    yield ""
    for row in (*TABLES.values(), *VIEWS):
        yield f"## {row.TABLE}"
        yield ""
        yield _words(row)
        yield ""
        yield from _table(
            ("column", "on the wire", "type", "what is said of it"),
            (
                (f"`{c.name}`", f"`{c.wire}`", c.sql_type, ", ".join(_said(c)))
                for c in row.COLUMNS.values()
            ),
        )


def _said(column: Column) -> Iterator[str]:
    if column.name == "id":
        yield "primary key"
    if column.unique:
        yield "unique"
    elif column.unique_while:
        yield f"unique while {column.unique_while}"
    elif column.indexed:
        yield "indexed"
    marks = {"personal": column.personal, "not shown to borrowers": column.internal}
    yield from (mark for mark, holds in marks.items() if holds)
    if column.references:
        yield f"references {column.references}"
    if column.copied:
        yield f"copy of {column.copied.table}.{column.copied.column}"
    if column.optional:
        yield "may be null"
    if column.words:
        yield " / ".join(column.words)


def dictionary() -> Iterator[str]:
    yield "# Data dictionary"
    yield ""
    yield "Every column of [exports](../how-to/export.md), of each type of event in them, and of"
    yield "the [read tables](tables.md): what it means, in which unit, and where it comes from."
    yield "Times are UTC, ids are UUIDs, and rates are in percent."
    yield ""
    yield "## Exports"
    yield ""
    yield "Columns of the log."
    yield ""
    heads = ("column", "type", "unit", "meaning", "source")
    yield from _table(
        heads,
        (
            (f"`{each.name}`", _arrow(each.type), _measure("export", each), *_export(each.name))
            for each in SCHEMA
        ),
    )
    yield f"Those of every type of event: {', '.join(f'`{each}`' for each in COMMON)}."
    yield ""
    yield "## Events"
    yield ""
    yield "Columns of one type of event in an export, beside those of every type. The source is in"
    yield "the event's `data`."
    yield ""
    for name in EVENTS:
        if fields_of(name):
            yield f"### {name}"
            yield ""
            yield from _table(heads, map(_field, fields_of(name)))
    yield "## Read tables"
    yield ""
    yield "Each also has `version`, the version of the stream behind the row, and where rows have"
    yield "streams of their own `begun`, the position of the first event."
    yield ""
    for row in (*TABLES.values(), *VIEWS):
        yield f"### {row.TABLE}"
        yield ""
        yield from _table(heads, (_column(row, each) for each in row.COLUMNS.values()))


def _arrow(kind: Any) -> str:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return str(kind).replace("decimal128", "decimal")


def _measure(owner: str, column: Any) -> str:
    kind = Decimal if pa.types.is_decimal(column.type) else None
    return unit(owner, column.name, kind)


def _export(name: str) -> tuple[str, str]:
    sources = {
        "entity": "the event's name",
        "data": "`data` of the body",
        "erased": "`UserErased` of the person",
        "body": "the log",
        "occurred_at": "`stamp.at`",
        "request_id": "`stamp.requestId`",
        "causation_id": "`stamp.causation`",
        "amount": "`data.amount`",
        "id": "`id` of the body",
        **{f"actor_{each}": f"`stamp.actor.{each}`" for each in ("type", "id", "name")},
    }
    return meaning("export", name), sources.get(name, "the log, beside the body")


def _field(field: Field) -> Iterator[str]:
    yield f"`{field.column}`"
    yield f"{_arrow(field.type)}{'' if field.kind else ', JSON'}"
    yield unit(field.owner, field.name, field.kind)
    yield meaning(field.owner, field.name)
    yield f"`{'.'.join(field.path)}`"


def _column(row: type[Row], column: Column) -> Iterator[str]:
    yield f"`{column.name}`"
    yield column.sql_type
    yield unit(row.TABLE, column.name, column.sql_type)
    yield meaning(row.TABLE, column.name)
    if column.copied:
        yield f"`{column.copied.table}.{column.copied.column}`"
    elif column.generated:
        yield f"`{column.generated}`"
    else:
        yield (row.VIEW and "what was asked of the API") or f"events of {row.OF.__name__}"


PAGES: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "events.md": events,
    "routes.md": routes,
    "rights.md": rights,
    "permissions.md": permissions,
    "settings.md": settings,
    "tables.md": tables,
    "dictionary.md": dictionary,
}


def text(page: str) -> str:
    """What a page of the reference has to say."""
    return "\n".join(PAGES[page]()).rstrip() + "\n"
