"""The query of a list: which rows, in which order, from where on."""

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl
from uuid import UUID

from msgspec import Struct

from api.wire.ids import BUSINESS_ID, CANONICAL
from api.wire.problem import InvalidFields, Malformed
from projections.columns import Column
from projections.tables import Row
from rim_ledger.catalogue import ENTITIES
from rim_ledger.core import Forbidden
from rim_ledger.values import moment

LIMIT_MAX: Final = 200
LIMIT: Final = 50
REPEATED_MAX: Final = 100
MAC: Final = 16
ONCE: Final = ("limit", "cursor", "sort", "deleted", "asOf")
UNBOUND: Final = ("limit", "cursor")
"""Parameters that a cursor is not bound to."""

T = TypeVar("T")


class Order(Struct, frozen=True):
    """A column to sort by, and which end comes first."""

    column: Column
    descending: bool


Test = tuple[str, list[Any]]
"""A condition in SQL over the table's alias t, and the values of its placeholders."""


class Query(Struct, frozen=True):
    """A list's question, checked."""

    tests: list[Test]
    order: Order
    limit: int
    after: tuple[Any, UUID] | None
    scope: str
    """What a cursor is bound to: the table, the order and the filters."""
    as_of: str | None = None
    """The moment at which the rows are to be shown; None for now."""


class _Wrong(ValueError):
    """Why a parameter cannot be meant."""

    def __init__(self, words: str, code: str = "invalid-parameter") -> None:
        super().__init__(words)
        self.code = code


def read_query(
    row: type[Row],
    query: bytes,
    key: bytes,
    scope: str,
    *,
    sees: bool,
    own: bool = False,
    order: str | None = None,
) -> Query:
    """The question in a query string. Raises InvalidFields, Forbidden, or Malformed (cursor)."""
    given = parameters_in(query)
    once = {name: texts[0] for name, texts in given.items() if name in ONCE}
    errors: list[dict[str, str]] = []

    def read(name: str, reader: Callable[[], T]) -> T | None:
        try:
            if len(given.get(name, ())) > (1 if name in ONCE else REPEATED_MAX):
                raise _Wrong("it stands here too often")  # noqa: TRY301 - told like the others
            return reader()
        except _Wrong as wrong:
            errors.append({"pointer": name, "code": wrong.code, "detail": str(wrong)})
            return None

    limit = read("limit", lambda: _limit(once.get("limit", str(LIMIT))))
    usual = order or f"-{row.COLUMNS[row.NEWEST].wire}"
    sort = read("sort", lambda: _order(row, once.get("sort", usual), own))
    cursor = read("cursor", lambda: once.get("cursor"))
    hidden = read("deleted", lambda: _deleted(row, once.get("deleted")))
    as_of = read("asOf", lambda: _as_of(row, once.get("asOf"), sort, own))
    tests = [
        read(name, partial(_test, row, name, texts, sees=sees, own=own))
        for name, texts in given.items()
        if name not in ONCE
    ]
    if errors or limit is None or sort is None:
        raise InvalidFields(errors, errors[0]["code"])
    if sort.column.personal and not sees:
        raise Forbidden("forbidden", "This order needs the permission users.pii:read.")
    asked = sorted((name, sorted(t)) for name, t in given.items() if name not in UNBOUND)
    scope = json.dumps([row.TABLE, scope, asked])
    after = None if cursor is None else open_cursor(key, scope, cursor)
    return Query([test for test in (*tests, hidden) if test], sort, limit, after, scope, as_of)


def parameters_in(query: bytes) -> Mapping[str, list[str]]:
    """A query string's parameters, each with its texts. Raises Malformed."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=500
        )
    except ValueError:
        words = "The query string is not text in UTF-8, or has too many parts."
        raise Malformed("malformed-query", words) from None
    given: dict[str, list[str]] = {}
    for name, text in pairs:
        if "\0" in name + text:
            raise Malformed("malformed-query", "The query string has a NUL.")
        given.setdefault(name, []).append(text)
    return given


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) or not 1 <= int(text) <= LIMIT_MAX:
        raise _Wrong(f"a limit lies between 1 and {LIMIT_MAX}")
    return int(text)


def _order(row: type[Row], text: str, own: bool) -> Order:
    column = _by_wire(row, own).get(text.removeprefix("-"))
    if column is None or not (column.indexed or column.name == row.NEWEST):
        raise _Wrong("one cannot sort by this")
    return Order(column, descending=text.startswith("-"))


def _deleted(row: type[Row], text: str | None) -> Test | None:
    """Deleted rows are listed apart."""
    if "deleted_at" not in row.COLUMNS:
        if text is not None:
            raise _Wrong("there is no such parameter", "unknown-parameter")
        return None
    if text not in (None, "true", "false"):
        raise _Wrong("this is true or false")
    return ("t.deleted_at IS NOT NULL" if text == "true" else "t.deleted_at IS NULL"), []


def _as_of(row: type[Row], text: str | None, sort: Order | None, own: bool) -> str | None:
    """Lists of the past are in the order of creation, which is the same at all times. What was
    known then is for staff."""
    if text is not None and (own or not has_past(row)):
        raise _Wrong("there is no such parameter", "unknown-parameter")
    if text is not None and sort and sort.column.name != row.NEWEST:
        raise _Wrong("a list of the past is sorted by createdAt or -createdAt")
    return text


def has_past(row: type[Row]) -> bool:
    """Whether a list can be shown as it was."""
    return row.OF in ENTITIES and row.NEWEST == "created_at"


@cache
def _by_wire(row: type[Row], own: bool) -> Mapping[str, Column]:
    """The columns by their names; those that are internal are not there for borrowers."""
    return {each.wire: each for each in row.COLUMNS.values() if not (own and each.internal)}


def _test(row: type[Row], name: str, texts: list[str], *, sees: bool, own: bool) -> Test:
    """The condition that a filter stands for."""
    columns = _by_wire(row, own)
    for ending, sign in (("From", ">="), ("To", "<=")):
        ranged = columns.get(name.removesuffix(ending)) if name.endswith(ending) else None
        if ranged and ranged.sql_type == "timestamptz" and is_filter(row, ranged):
            if len(texts) > 1:
                raise _Wrong("it stands here too often")
            return f"t.{ranged.name} {sign} %s", [_moment(texts[0])]
    if name in row.ALSO and not own:
        return row.ALSO[name], [texts]
    column = columns.get(name)
    if column is None or not is_filter(row, column):
        raise _Wrong("there is no such parameter", "unknown-parameter")
    if column.personal and not sees:
        raise Forbidden("forbidden", "This filter needs the permission users.pii:read.")
    if column.sql_type == "uuid":
        return _id_test(column, texts)
    if column.sql_type == "text[]":
        return f"t.{column.name} && %s::text[]", [texts]
    values = [_value(column, text) for text in texts]
    return f"t.{column.name} = ANY (%s::{column.sql_type}[])", [values]


def is_filter(row: type[Row], column: Column) -> bool:
    """Whether lists are filtered by a column."""
    return column.indexed or column.name in ("id", row.NEWEST)


def _id_test(column: Column, texts: list[str]) -> Test:
    """UUIDs as they are; business ids through the names that the ledger keeps."""
    names = [text for text in texts if BUSINESS_ID.fullmatch(text)]
    ids = [text for text in texts if CANONICAL.fullmatch(text)]
    if len(names) + len(ids) < len(texts):
        raise _Wrong("this is a UUID or a business id")
    if not names:
        return f"t.{column.name} = ANY (%s::uuid[])", [ids]
    own = (
        "SELECT stream_id FROM ledger.claims WHERE kind = 'business-id' AND name = ANY (%s::text[])"
    )
    return f"t.{column.name} = ANY (ARRAY({own}) || %s::uuid[])", [names, ids]


def _value(column: Column, text: str) -> Any:
    if column.words:
        if text not in column.words:
            raise _Wrong(f"this is one of {', '.join(column.words)}")
        return text
    match column.sql_type:
        case "timestamptz":
            return _moment(text)
        case "boolean":
            if text not in ("true", "false"):
                raise _Wrong("this is true or false")
            return text == "true"
        case "text":
            return text
        case "bigint":
            if not re.fullmatch(r"-?[0-9]{1,18}", text, re.ASCII):
                raise _Wrong("this is a whole number")
            return int(text)
        case _:
            if not re.fullmatch(r"-?[0-9]{1,14}(\.[0-9]{1,6})?", text, re.ASCII):
                raise _Wrong("this is a number")
            return Decimal(text)


def _moment(text: str) -> datetime:
    if (time := moment(text)) is None:
        raise _Wrong("a time looks like 2026-01-31T08:00:00Z (a + is written %2B)")
    return time


def all_of(tests: Iterable[Test]) -> Test:
    """One test that is met where all of these are."""
    texts, values = ["true"], list[Any]()
    for text, more in tests:
        texts.append(text)
        values += more
    return " AND ".join(texts), values


def beyond(order: Order, place: Any, last: UUID) -> Test:
    """Rows that come after a place; those without a value come last."""
    by, sign = f"t.{order.column.name}", "<" if order.descending else ">"
    if place is None:
        return f"({by} IS NULL AND t.id {sign} %s)", [last]
    later = f"({by}, t.id) {sign} (%s::{order.column.sql_type}, %s)"
    return (f"({later} OR {by} IS NULL)" if order.column.optional else later), [place, last]


def make_cursor(key: bytes, scope: str, value: Any, last: UUID) -> str:
    """Where the next page begins: opaque, and good for this list only."""
    said = json.dumps([value, str(last)]).encode()
    return urlsafe_b64encode(_mac(key, scope, said) + said).decode().rstrip("=")


def open_cursor(key: bytes, scope: str, text: str) -> tuple[Any, UUID]:
    """The place that a cursor stands for; Malformed when it is not ours or not for this list."""
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raw = b""
    if not hmac.compare_digest(raw[:MAC], _mac(key, scope, raw[MAC:])):
        words = "This cursor does not belong to this list with these filters and this order."
        raise Malformed("invalid-cursor", words)
    value, last = json.loads(raw[MAC:])
    return value, UUID(last)


def _mac(key: bytes, scope: str, said: bytes) -> bytes:
    return hmac.new(key, scope.encode() + b"\0" + said, hashlib.sha256).digest()[:MAC]
