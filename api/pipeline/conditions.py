"""What a filter of a list means: its texts, read as the values of its field are, and the SQL."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from pydantic import TypeAdapter, ValidationError

from projections.catalogue import TABLES
from projections.tables.columns import Column
from projections.tables.table import Row
from rim_ledger.engine.refusals import Forbidden
from rim_ledger.values import BUSINESS_ID, UUID_TEXT, moment

RARE: Final = 0.1
"""How many rows are disputed, or quarantined, roughly."""
KIND: Final = 0.01
"""How many rows are of one kind, such as those of one provider, or of one action."""
SPARSE: Final = 0.001
"""How many rows are of one person or thing."""
FEW: Final = 0.0001
"""How many rows are found rather than read in order; whether they are few is counted."""
ONE: Final = 0.0
"""How many rows have a value that is unique."""
NAMED: Final = (
    "SELECT stream_id FROM ledger.claims WHERE kind = 'business-id' AND name = ANY (%s::text[])"
)
ENDS: Final = ("From", "To")
"""What stands behind a time's name in the filters of its range."""

Test = tuple[str, list[Any]]
"""A condition in SQL over the table's alias t, and the values of its placeholders."""


class Filter(Struct, frozen=True):
    """A condition on the rows of a list, and how an index may serve it."""

    test: Test
    column: str | None = None
    """The one column that it is about."""
    each: tuple[Test, ...] = ()
    """The test for each of the column's values, where rows are found by one value at a time."""
    share: float = 1.0
    """How many of all rows meet it, roughly."""


class InvalidParameter(ValueError):
    """Why a parameter is not valid."""

    def __init__(self, words: str, code: str = "invalid-parameter") -> None:
        super().__init__(words)
        self.code = code


class Unknown(InvalidParameter):
    """There is no such parameter here."""

    def __init__(self) -> None:
        super().__init__("there is no such parameter", "unknown-parameter")


def condition(row: type[Row], name: str, texts: list[str], *, sees: bool, own: bool) -> Filter:
    """The condition that a filter of `of_list` stands for. Raises InvalidParameter for what the
    field could never hold, Forbidden for what the caller may not see."""
    columns = by_wire(row, own)
    if name.endswith(ENDS) and (ranged := _range(row, columns, name, texts)):
        return ranged
    if also := row.RELATED.get(name):
        test = also.where, [[_read(also.kind, text) for text in texts]]
        return Filter(test, share=FEW if also.found else 1.0)
    column = columns[name]
    if column.personal and not sees:
        raise Forbidden("forbidden", "This filter needs the permission users.pii:read.")
    return _one_of(row, column, texts)


def _one_of(row: type[Row], column: Column, texts: list[str]) -> Filter:
    """The condition that a column holds one of these values."""
    name, kind = f"t.{column.name}", column.sql_type
    if column.name == row.BUSINESS_ID:
        return Filter(_own_id(column, texts), share=ONE)
    if kind in ("uuid", "uuid[]"):
        return _id(row, column, texts)
    values = [*dict.fromkeys(_value(column, text) for text in texts)]
    if kind == "text[]":
        return Filter((f"{name} && %s::text[]", [values]), share=FEW)
    if column.compared != "{}":
        ours, theirs = column.compared.format(name), column.compared.format("v")
        given = f"SELECT {theirs} FROM unnest(%s::text[]) v"  # noqa: S608 - declared names
        return Filter((f"{ours} = ANY (ARRAY({given}))", [values]), share=FEW)
    if kind == "boolean" and all(values):
        return Filter((name, []), column.name, ((name, []),), RARE)
    return _led_by(column, (f"{name} = ANY (%s::{kind}[])", [values]), values)


def _led_by(column: Column, test: Test, values: Sequence[Any]) -> Filter:
    """The filter that a test for some values stands for, and the column that finds its rows."""
    share, name = KIND, column.name
    if column.words:
        share = len(values) / len(column.words)
    elif column.sql_type == "boolean":
        return Filter(test)
    elif column.unique or name == "id":
        share = ONE
    elif column.lookup or column.sql_type == "timestamptz":
        share = FEW
    elif column.sql_type == "uuid":
        share = SPARSE
    return Filter(test, name, tuple((f"t.{name} = %s", [value]) for value in values), share)


def _range(
    row: type[Row], columns: Mapping[str, Column], name: str, texts: list[str]
) -> Filter | None:
    """The condition of a filter such as createdAtFrom."""
    wire, sign = (name[:-4], ">=") if name.endswith("From") else (name[:-2], "<=")
    column = columns.get(wire)
    if column is None or column.sql_type != "timestamptz" or not is_filter(row, column):
        return None
    if len(texts) > 1:
        raise InvalidParameter("it stands here too often")
    return Filter((f"t.{column.name} {sign} %s", [_moment(texts[0])]), column.name)


def is_filter(row: type[Row], column: Column) -> bool:
    """Whether lists are filtered by a column."""
    return column.indexed or column.name in ("id", row.NEWEST)


@cache
def by_wire(row: type[Row], own: bool) -> Mapping[str, Column]:
    """The columns by their names; those that are internal are not there for borrowers."""
    return {each.wire: each for each in row.COLUMNS.values() if not (own and each.internal)}


def _sorted_ids(texts: list[str], *, business: bool) -> tuple[list[str], list[str]]:
    """The business ids and the UUIDs among some texts."""
    names = [text for text in texts if business and BUSINESS_ID.fullmatch(text)]
    ids = [text for text in texts if UUID_TEXT.fullmatch(text)]
    if len(names) + len(ids) < len(texts):
        raise InvalidParameter("this is a UUID or a business id" if business else "this is a UUID")
    return names, ids


def _own_id(column: Column, texts: list[str]) -> Test:
    """A row by its own business id, or by its UUID."""
    names, ids = _sorted_ids(texts, business=True)
    if not ids:
        return f"t.{column.name} = ANY (%s::text[])", [names]
    if not names:
        return "t.id = ANY (%s::uuid[])", [ids]
    return f"(t.{column.name} = ANY (%s::text[]) OR t.id = ANY (%s::uuid[]))", [names, ids]


def _id(row: type[Row], column: Column, texts: list[str]) -> Filter:
    """UUIDs as they are; business ids, where there can be any, through the names that the ledger
    keeps."""
    named = TABLES.get(column.references) if column.references else None
    named = row if column.name == "id" else named
    names, ids = _sorted_ids(texts, business=named is None or named.BUSINESS_ID is not None)
    several = column.sql_type == "uuid[]"
    test = f"t.{column.name} && ({{}})" if several else f"t.{column.name} = ANY ({{}})"
    if names:
        return Filter((test.format(f"ARRAY({NAMED}) || %s::uuid[]"), [names, ids]), share=FEW)
    every = test.format("%s::uuid[]"), [ids]
    if several:
        return Filter(every, share=FEW)
    return _led_by(column, every, [*dict.fromkeys(UUID(text) for text in ids)])


def _value(column: Column, text: str) -> Any:
    if column.words:
        if text not in column.words:
            raise InvalidParameter(f"this is one of {', '.join(column.words)}")
        return text
    match column.sql_type:
        case "timestamptz":
            return _moment(text)
        case "boolean":
            if text not in ("true", "false"):
                raise InvalidParameter("this is true or false")
            return text == "true"
        case "bigint":
            if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
                raise InvalidParameter("this is a whole number")
            return int(text)
        case "text" | "text[]":
            return _read(column.kind, text)
        case _:
            if not re.fullmatch(r"-?[0-9]{1,14}(\.[0-9]{1,6})?", text, re.ASCII):
                raise InvalidParameter("this is a number")
            return Decimal(text)


@cache
def _adapter(kind: Any) -> TypeAdapter[str]:
    return TypeAdapter(kind)


def _read(kind: Any, text: str) -> str:
    """A text as its field reads it."""
    try:
        return _adapter(kind).validate_python(text)
    except ValidationError as error:
        raise InvalidParameter(error.errors()[0]["msg"]) from None


def _moment(text: str) -> datetime:
    if (time := moment(text)) is None:
        raise InvalidParameter("a time looks like 2026-01-31T08:00:00Z (a + is written %2B)")
    return time
