"""The query of a list: which rows, in which order, from where on."""

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache, partial
from typing import Any, Final, Self, TypeVar
from uuid import UUID

from msgspec import Struct

from api.description.examples import AS_OF, EFFECTIVE_AT, EITHER_ID
from api.http.problem import InvalidFields, Malformed
from api.http.query import QueryParams, parameters_in, unknown_parameter
from api.pipeline.conditions import (
    ENDS,
    RARE,
    Filter,
    InvalidParameter,
    Test,
    by_wire,
    condition,
    is_filter,
)
from projections.tables.columns import Column
from projections.tables.table import Row
from rim_ledger.catalogue import ENTITIES
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.user import User
from rim_ledger.near import NAMES_MAX, did_you_mean
from rim_ledger.payments.transaction import Transaction
from rim_ledger.values import moment

LIMIT_MAX: Final = 200
LIMIT: Final = 50
REPEATED_MAX: Final = 100
MAC: Final = 16
ONCE: Final = ("limit", "cursor", "sort", "deleted", "asOf", "effectiveAt")
UNBOUND: Final = ("limit", "cursor")
"""Parameters that a cursor is not bound to."""

T = TypeVar("T")
Schema = dict[str, Any]
_STRING: Final[Schema] = {"type": "string"}


class Order(Struct, frozen=True):
    """A column to sort by, and which end comes first."""

    column: Column
    descending: bool

    @property
    def clause(self) -> str:
        """The ORDER BY of rows under alias t; what is equal there is in the order of the ids."""
        way = "DESC" if self.descending else "ASC"
        return f"ORDER BY t.{self.column.name} {way}, t.id {way}"

    def beyond(self, place: Any, last: UUID) -> Test:
        """The test for the rows after a place that has a value."""
        sign, column = "<" if self.descending else ">", self.column
        return f"(t.{column.name}, t.id) {sign} (%s::{column.sql_type}, %s)", [place, last]


class Asked(Struct, frozen=True):
    """The moment at which rows are to be shown, as a request names it; None for what it leaves
    out."""

    as_of: str | None = None
    effective_at: str | None = None

    @classmethod
    def of(cls, given: QueryParams) -> Self:
        """What some parameters name, each of which is there once at most."""
        names = ("asOf", "effectiveAt")
        return cls(*(given[name][0] if name in given else None for name in names))

    @property
    def recorded_by(self) -> datetime | None:
        """The time of recording (UTC) that it is, if nothing else is named."""
        return moment(self.as_of) if self.as_of and self.effective_at is None else None


NOW: Final = Asked()


class Query(Struct, frozen=True):
    """A list's question, checked."""

    filters: list[Filter]
    order: Order
    limit: int
    after: tuple[Any, UUID] | None
    scope: str
    """What a cursor is bound to: the table, the order and the filters."""
    asked: Asked = NOW

    @property
    def tests(self) -> list[Test]:
        """The filters' conditions."""
        return [each.test for each in self.filters]


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
    errors, known = list[dict[str, str]](), of_list(row, own)

    def read(name: str, reader: Callable[[], T]) -> T | None:
        wrong = ""
        if len(given.get(name, ())) > (1 if name in ONCE else REPEATED_MAX):
            wrong = "it stands here too often"
        elif name in given and name not in known:
            errors.append(unknown_parameter(name, known if len(errors) < NAMES_MAX else ()))
        else:
            try:
                return reader()
            except InvalidParameter as invalid:
                wrong = str(invalid)
        if wrong:
            errors.append({"pointer": name, "code": "invalid-parameter", "detail": wrong})
        return None

    limit = read("limit", lambda: _limit(once.get("limit", str(LIMIT))))
    sort = read("sort", lambda: _order(row, once.get("sort"), own))
    cursor = read("cursor", lambda: once.get("cursor"))
    hidden = read("deleted", lambda: _deleted(row, once.get("deleted")))
    as_of = read("asOf", lambda: _past(once.get("asOf"), sort, row))
    effective_at = read("effectiveAt", lambda: _past(once.get("effectiveAt"), sort, row))
    asked = Asked(as_of, effective_at)
    filters = [
        read(name, partial(condition, row, name, texts, sees=sees, own=own))
        for name, texts in given.items()
        if name not in ONCE
    ]
    if errors or limit is None:
        raise InvalidFields(errors, errors[0]["code"])
    there = [each for each in (*filters, hidden) if each]
    sort = sort or _usual_order(row, order, there if asked == NOW else ())
    bound = sorted((name, sorted(t)) for name, t in given.items() if name not in UNBOUND)
    scope = json.dumps([row.TABLE, scope, bound])
    after = None if cursor is None else open_cursor(key, scope, cursor)
    return Query(there, sort, limit, after, scope, asked)


def _limit(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text, re.ASCII) or not 1 <= int(text) <= LIMIT_MAX:
        raise InvalidParameter(f"a limit lies between 1 and {LIMIT_MAX}")
    return int(text)


def _order(row: type[Row], text: str | None, own: bool) -> Order | None:
    if text is None:
        return None
    known = orders_of(row, own)
    if (column := known.get(text.removeprefix("-"))) is None:
        *names, last = sorted(known)
        offered = f"{', '.join(names)} or {last}" if names else last
        meant = did_you_mean(text.removeprefix("-"), known)
        raise InvalidParameter(f"this list is sorted by {offered}{meant}")
    return Order(column, descending=text.startswith("-"))


def _usual_order(row: type[Row], order: str | None, filters: Iterable[Filter]) -> Order:
    """The order of a list that names none: what it is filtered by a time of is in the order of that
    time, the latest first; other rows are as its route says, or the newest first."""
    if order:
        return Order(orders_of(row)[order], descending=False)
    times = [row.COLUMNS[each.column] for each in filters if each.column]
    times = [column for column in times if column.sql_type == "timestamptz"]
    newest = row.COLUMNS[row.NEWEST]
    return Order(newest if newest in times or not times else times[0], descending=True)


def orders_of(row: type[Row], own: bool = False) -> Mapping[str, Column]:
    """The columns by which a list is sorted, by their names in JSON."""
    return {each.wire: each for each in row.ORDERS if not (own and each.internal)}


@cache
def of_list(row: type[Row], own: bool = False) -> Mapping[str, Schema]:
    """The parameters of a list, for staff or for borrowers (`own`), as JSON Schema: where a page
    begins and how long it is, the order, the filters, and the moment."""
    sorts = [sign + name for name in orders_of(row, own) for sign in ("", "-")]
    parameters: dict[str, Schema] = {
        "limit": {
            "type": "integer",
            "minimum": 1,
            "maximum": LIMIT_MAX,
            "default": LIMIT,
            "description": "Rows of a page. Without one, NDJSON and CSV have all rows.",
        },
        "cursor": _STRING,
        "sort": {"type": "string", "enum": sorts},
        **filters_of(row, own),
    }
    if "deleted_at" in row.COLUMNS:
        parameters["deleted"] = {"type": "boolean"}
    if has_past(row) and not own:
        parameters["asOf"] = AS_OF
    if lists_business_time(row) and not own:
        parameters["effectiveAt"] = EFFECTIVE_AT
    return parameters


def filters_of(row: type[Row], own: bool = False) -> dict[str, Schema]:
    """The filters of a list: each may be repeated, but for the ends of a range."""
    filters: dict[str, Schema] = {}
    for column in by_wire(row, own).values():
        if is_filter(row, column):
            schema = _of(column)
            filters[column.wire] = {"type": "array", "items": schema}
            if column.sql_type == "timestamptz":
                filters |= dict.fromkeys((column.wire + end for end in ENDS), schema)
    return filters | {
        name: {"type": "array", "items": _STRING} for name in (() if own else row.RELATED)
    }


def _of(column: Column) -> Schema:
    if column.words:
        return {"type": "string", "enum": list(column.words)}
    if column.sql_type in ("uuid", "uuid[]"):
        return EITHER_ID
    if column.sql_type == "timestamptz":
        return {"type": "string", "format": "date-time"}
    return {"type": {"bigint": "integer", "boolean": "boolean"}.get(column.sql_type, "string")}


def _deleted(row: type[Row], text: str | None) -> Filter | None:
    """Deleted rows are listed apart."""
    if "deleted_at" not in row.COLUMNS:
        return None
    if text not in (None, "true", "false"):
        raise InvalidParameter("this is true or false")
    if text != "true":
        return Filter(("t.deleted_at IS NULL", []))
    deleted = "t.deleted_at IS NOT NULL", list[Any]()
    return Filter(deleted, "deleted_at", (deleted,), RARE)


def _past(text: str | None, sort: Order | None, row: type[Row]) -> str | None:
    """Lists of the past are in the order of creation, which is the same at all times."""
    if text is not None and sort and sort.column.name != row.NEWEST:
        raise InvalidParameter("a list of the past is sorted by createdAt or -createdAt")
    return text


def has_past(row: type[Row]) -> bool:
    """Whether a list can be shown as it was."""
    return row.OF in ENTITIES and row.NEWEST == "created_at"


def has_business_time(row: type[Row]) -> bool:
    """Whether a row can be shown as it was in business time."""
    return row.OF in (User, Loan, Transaction)


def lists_business_time(row: type[Row]) -> bool:
    """Whether a list can be shown as it was in business time."""
    return has_business_time(row) and row.OF is not User


def all_of(tests: Iterable[Test]) -> Test:
    """One test that is met where all of these are."""
    texts, values = ["true"], list[Any]()
    for text, more in tests:
        texts.append(text)
        values += more
    return " AND ".join(texts), values


def make_cursor(key: bytes, scope: str, value: Any, last: UUID) -> str:
    """Where the next page begins: opaque, and good for this list only."""
    text = json.dumps([value, str(last)]).encode()
    return urlsafe_b64encode(_mac(key, scope, text) + text).decode().rstrip("=")


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


def _mac(key: bytes, scope: str, text: bytes) -> bytes:
    return hmac.new(key, scope.encode() + b"\0" + text, hashlib.sha256).digest()[:MAC]
