"""Rows as PostgreSQL writes them: one statement gives the rows and the position they reflect."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from msgspec import Struct

from api.call import Call, Reply
from api.filters import Order, Query, Test, make_cursor, read_query
from api.ids import BUSINESS_ID, CANONICAL, missing
from api.problem import encoded
from api.routes import List, One, Parameters, activity_of
from projections.tables import Row
from rim_ledger.vault import opened

if TYPE_CHECKING:
    from api.desk import Desk, Rights

SEALED: Final = re.compile(r'"(~1\.[\w=-]+\.([0-9a-f]{32})\.[^"\\]*)"')
"""Sealed words inside a JSON text, and whose they are."""

HIDDEN: Final = '"***"'

TRACKING: Final = "FROM read.tracking k LEFT JOIN"
"""What is joined on the right may be missing: the position is answered all the same."""


class Found(Struct, frozen=True):
    """A row's JSON (None when there is no such row), its version, and the tables' position."""

    position: int
    version: int = 0
    text: str | None = None


async def answer_one(desk: "Desk", call: Call, route: One, parameters: Parameters) -> Reply:
    """One row with its version as ETag."""
    rights = await _rights(desk, call, route, parameters, "Read")
    await desk.wait_for(call)
    found = await find(desk, route.row, parameters, rights)
    if found.text is None:
        raise missing(route.row.OF)
    headers = [
        (b"ledger-position", b"%d" % found.position),
        (b"etag", b'"%d"' % found.version),
    ]
    return Reply(200, found.text.encode(), headers)


async def _rights(
    desk: "Desk", call: Call, route: List | One, parameters: Parameters, action: str
) -> "Rights":
    """Admit a reader. Whoever is shown persons in the clear leaves a line in the log."""
    return await desk.rights(
        call,
        call.token,
        route.needs,
        own=route.own,
        activity=activity_of(action, route.path, parameters),
        logged=lambda rights: rights.sees_persons and route.row.SHOWS_PERSONS,
    )


async def find(desk: "Desk", row: type[Row], names: Parameters, rights: "Rights") -> Found:
    """The row whose columns have these values, if the caller sees it; an `id` may be a business
    id."""
    sees = rights.sees_persons
    tests = [_named(row, column, text) for column, text in names.items()]
    where, values = _all([*tests, *seen(row, rights)])
    query = (
        f"SELECT k.position, t.version, {row.json(not sees, own=rights.own)} {TRACKING}"
        f" read.{row.TABLE} t ON {where} WHERE k.name = 'read'"
    )
    ((position, version, text),) = await desk.rows(query, values)
    if version is None:
        return Found(position)
    return Found(position, version, await unsealed(desk, text, sees=sees))


async def answer_list(desk: "Desk", call: Call, route: List, parameters: Parameters) -> Reply:
    """`{"items": [...], "nextCursor": ...}`."""
    rights = await _rights(desk, call, route, parameters, "List")
    sees = rights.sees_persons
    scope = "/".join(parameters.values())
    key, order = desk.cursor_key, route.order
    query = read_query(route.row, call.query, key, scope, sees=sees, own=rights.own, order=order)
    await desk.wait_for(call)
    owner = await _owner(desk, route, parameters, rights)
    rows = await desk.rows(*_page(route, query, parameters, rights))
    if route.of and not rows[0][1]:
        raise missing(route.of[1].OF)
    items = [item for _, _, *item in rows if item[0] is not None]
    cursor = "null"
    if len(items) > query.limit:
        last, place, _ = items[query.limit - 1]
        cursor = f'"{make_cursor(desk.cursor_key, query.scope, place, last)}"'
    text = ",".join(text for _, _, text in items[: query.limit])
    body = f'{{{owner}"items":[{await unsealed(desk, text, sees=sees)}],"nextCursor":{cursor}}}'
    return Reply(200, body.encode(), [(b"ledger-position", b"%d" % rows[0][0])])


async def _owner(desk: "Desk", route: List, parameters: Parameters, rights: "Rights") -> str:
    """The fields of the owner's row, where a list shows them before its items."""
    if not (route.of and route.with_owner):
        return ""
    found = await find(desk, route.of[1], parameters, rights)
    return f"{found.text[1:-1]}," if found.text else ""


def _page(route: List, query: Query, parameters: Parameters, rights: "Rights") -> Test:
    """The statement of a list. Each row: position, whether the owner is there, id, place, JSON."""
    row, order = route.row, query.order
    json = row.json(not rights.sees_persons, own=rights.own)
    tests, owner, owners = [*query.tests, *seen(row, rights)], "true", list[Any]()
    if route.of:
        column, table = route.of
        where, owners = _all([_named(table, "id", parameters["id"]), *seen(table, rights)])
        known = f"(SELECT t.id FROM read.{table.TABLE} t WHERE {where})"  # noqa: S608
        owner = f"{known} IS NOT NULL"
        tests = [*tests, _belonging(route, column, (known, owners), rights)]
    if query.after:
        tests = [*tests, _beyond(order, *query.after)]
    by, way = f"t.{order.column.name}", "DESC" if order.descending else "ASC"
    nulls = " NULLS LAST" if order.column.optional else ""
    in_order = f"ORDER BY {by} {way}{nulls}, t.id {way}"
    where, values = _all(tests)
    statement = (
        f"SELECT k.position, {owner}, page.id, page.place, page.json {TRACKING} LATERAL"  # noqa: S608 - declared names
        f" (SELECT t.id, {by}::text AS place, {json} AS json,"
        f" row_number() OVER ({in_order}) AS nth FROM read.{row.TABLE} t WHERE {where}"
        f" {in_order} LIMIT {query.limit + 1}) page ON true"
        " WHERE k.name = 'read' ORDER BY page.nth"
    )
    return statement, [*owners, *values]


def _belonging(route: List, column: str, owner: Test, rights: "Rights") -> Test:
    """The test for rows of an owner, or of something of theirs that the caller sees."""
    known, owners = owner
    if not route.through:
        return f"t.{column} = {known}", owners
    texts, values = ["SELECT NULL::uuid"], list[Any]()
    for row, by, right in route.through:
        if rights.may(*right):
            where, more = _all([(f"t.{by} = {known}", owners), *seen(row, rights)])
            texts.append(f"SELECT t.id FROM read.{row.TABLE} t WHERE {where}")  # noqa: S608
            values += more
    return f"t.{column} IN ({' UNION ALL '.join(texts)})", values


def seen(row: type[Row], rights: "Rights") -> list[Test]:
    """The test for the rows that the caller sees, where that is not all of them. What a borrower
    sees that has no owner by itself is reached through something that has."""
    if rights.own:
        return [(f"t.{row.PERSON} = %s", [rights.actor.id])] if row.PERSON else []
    if row.SEEN is None or rights.may(*row.SEEN.all):
        return []
    return [(row.SEEN.where, [rights.actor.id] * row.SEEN.where.count("%s"))]


def _beyond(order: Order, place: Any, last: UUID) -> Test:
    """Rows that come after a place; those without a value come last."""
    by, sign = f"t.{order.column.name}", "<" if order.descending else ">"
    if place is None:
        return f"({by} IS NULL AND t.id {sign} %s)", [last]
    later = f"({by}, t.id) {sign} (%s::{order.column.sql_type}, %s)"
    return (f"({later} OR {by} IS NULL)" if order.column.optional else later), [place, last]


def _named(row: type[Row], column: str, text: str) -> Test:
    """The test for a value in a path. What cannot be there is not found, rather than refused."""
    if column != "id" and "\0" not in text:
        return f"t.{column} = %s", [text]
    if CANONICAL.fullmatch(text):
        return "t.id = %s::uuid", [text]
    if row.BUSINESS_ID and BUSINESS_ID.fullmatch(text):
        return f"t.{row.BUSINESS_ID} = %s", [text]
    return "false", []


def _all(tests: Iterable[Test]) -> Test:
    texts, values = ["true"], list[Any]()
    for text, more in tests:
        texts.append(text)
        values += more
    return " AND ".join(texts), values


async def unsealed(desk: "Desk", text: str, *, sees: bool) -> str:
    """JSON with its sealed words opened for those who may see them, and hidden from others."""
    persons = {UUID(person) for _, person in SEALED.findall(text)}
    if not persons:
        return text
    if not sees:
        return SEALED.sub(HIDDEN, text)
    query = "SELECT person, wrapped FROM ledger.personal_keys WHERE person = ANY (%s)"
    wrapped = await desk.rows(query, [list(persons)])
    keys = {person: desk.vault.unwrap(person, key) for person, key in wrapped}
    return SEALED.sub(lambda found: _opened(found[1], keys), text)


def _opened(token: str, keys: Mapping[UUID, Any]) -> str:
    try:
        return encoded(opened(token, keys)).decode()
    except (InvalidTag, ValueError):
        return "null"  # somebody wrote down what only looks sealed
