"""Rows as PostgreSQL writes them: one statement gives the rows and the position they reflect."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from api.context import Context
from api.description.examples import AS_OF, EFFECTIVE_AT
from api.http.call import Call, Reply, at_position
from api.http.ids import missing
from api.http.problem import encoded
from api.http.query import parameters_in, read_parameters
from api.pipeline.as_of import APPROXIMATE, HINT, hint, is_approximate, moment_of, wait_for
from api.pipeline.disclosure import Filters, Look, keys_of, logged_filters, show
from api.pipeline.filters import (
    NOW,
    Asked,
    Query,
    all_of,
    has_business_time,
    lists_business_time,
    make_cursor,
    of_list,
    read_query,
)
from api.pipeline.list_statement import TRACKING, shown_of, statement_of, weighed
from api.pipeline.past import HistoricTable
from api.pipeline.pipeline import admitted
from api.pipeline.rights import SEES_PERSONS, Rights
from api.pipeline.routes import List, One, Parameters
from api.pipeline.visible_rows import belonging, named, seen
from projections.cloud_events import opened_or_null
from projections.tables.table import Row
from rim_ledger.catalogue import ENTITIES
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.refusals import Forbidden

SEALED: Final = re.compile(r'"(~1\.[\w=-]+\.([0-9a-f]{32})\.[^"\\]*)"')
"""Sealed words inside a JSON text, and whose they are."""

HIDDEN: Final = '"***"'


class Found(Struct, frozen=True):
    """A row's JSON (None when there is no such row), its version, and the tables' position."""

    position: int
    version: int = 0
    text: str | None = None
    approximate: bool = False
    hint: str | None = None


async def answer_one(
    context: Context, call: Call, route: One, rights: Rights, asked: Activity
) -> Reply:
    """One row with its version as ETag."""
    answer = partial(_one, context, call, route.row)
    return await show(context, call, rights, asked, answer, shows=route.row.SHOWS_PERSONS)


async def _one(context: Context, call: Call, row: type[Row], look: Look) -> Reply:
    """The row for the reader of a look, and in that whose words it shows."""
    rights, parameters = look.rights, call.path_params
    given = read_parameters(call.query, {} if rights.own else parameters_of(row))
    await wait_for(context, call)
    if (asked := Asked.of(given)) != NOW:
        found = await _find_then(context, row, parameters, asked, rights)
    else:
        found = await _find(context, row, parameters, rights)
    if found.text is None:
        raise missing(row.OF, hint=found.hint)
    look.at_rows(row, [found.text])
    text = await unsealed(context, found.text, sees=rights.sees_persons)
    headers = [
        *([APPROXIMATE] if found.approximate else []),
        at_position(found.position),
        (b"etag", b'"%d"' % found.version),
    ]
    return Reply(200, text.encode(), headers)


async def shown(context: Context, row: type[Row], names: Parameters, look: Look) -> str | None:
    """The JSON of the row whose columns have these values, if the reader of the look sees it, and
    in that whose words it shows."""
    rights = look.rights
    found = await _find(context, row, names, rights)
    if found.text is None:
        return None
    look.at_rows(row, [found.text])
    return await unsealed(context, found.text, sees=rights.sees_persons)


async def _find(context: Context, row: type[Row], names: Parameters, rights: Rights) -> Found:
    """The row whose columns have these values, its sealed words still sealed, if the caller sees
    it; an `id` may be a business id."""
    sees = rights.sees_persons
    tests = [named(row, column, text) for column, text in names.items()]
    where, values = all_of([*tests, *seen(row, rights)])
    query = (
        f"SELECT k.position, t.version, {row.json(not sees, own=rights.own)} {TRACKING}"
        f" read.{row.TABLE} t ON {where} WHERE k.name = 'read'"
    )
    ((position, version, text),) = await context.pool.rows(query, values)
    return Found(position) if version is None else Found(position, version, text)


def parameters_of(row: type[Row]) -> Mapping[str, Any]:
    """The parameters of a read of one row; what was known then is for staff."""
    known = {"asOf": AS_OF} if row.OF in ENTITIES else {}
    return known | ({"effectiveAt": EFFECTIVE_AT} if has_business_time(row) else {})


async def _find_then(
    context: Context, row: type[Row], names: Parameters, asked: Asked, rights: Rights
) -> Found:
    at = await moment_of(context, asked)
    if (stream := await find_id(context, row, names, rights)) is None:
        return Found(at.position)
    if then := await HistoricTable(context, row, at, rights.sees_persons).one(stream):
        return Found(at.position, then.version, then.text, then.approximate)
    return Found(at.position, hint=await hint(context, row, asked, [("t.id = %s", [stream])]))


async def find_id(
    context: Context, row: type[Row], names: Parameters, rights: Rights
) -> UUID | None:
    """The id of the row whose columns have these values, if the caller sees it."""
    tests = [named(row, column, text) for column, text in names.items()]
    where, values = all_of([*tests, *seen(row, rights)])
    found = await context.pool.rows(f"SELECT t.id FROM read.{row.TABLE} t WHERE {where}", values)  # noqa: S608
    return found[0][0] if found else None


async def answer_list(
    context: Context, call: Call, route: List, rights: Rights, asked: Activity
) -> Reply:
    """`{"items": [...], "nextCursor": ...}`."""
    answer = partial(_list, context, call, route)
    return await show(context, call, rights, asked, answer, shows=route.row.SHOWS_PERSONS)


async def _list(context: Context, call: Call, route: List, look: Look) -> Reply:
    """The list for the reader of a look, and in that what it shows of persons."""
    parameters = call.path_params
    rights, sees = look.rights, look.rights.sees_persons
    scope = "/".join(parameters.values())
    key, order = context.cursor_key, route.order
    try:
        query = read_query(
            route.row, call.query, key, scope, sees=sees, own=rights.own, order=order
        )
    except Forbidden:
        if rights.unlogged:
            raise rights.unlogged from None
        await admitted(context, call, SEES_PERSONS, activity=look.activity)
        raise
    await wait_for(context, call)
    filters = partial(logged_filters, context, parameters_in(call.query), of_list(route.row))
    if query.asked != NOW:
        return await _list_then(context, route, query, parameters, (look, filters))
    query = await weighed(context.pool, route, query)
    rows = await context.pool.rows(*statement_of(route, query, parameters, rights))
    position, owner, *_ = rows[0]
    if route.of and owner is None:
        raise missing(route.of[1].OF)
    texts, following = shown_of(rows, query.limit)
    around = f"{owner[1:-1]}," if route.with_owner else ""
    look.at_list(route, texts, filters, owner)
    body = _body(context, query, texts, following, around)
    body = await unsealed(context, body, sees=sees)
    return Reply(200, body.encode(), [at_position(position)])


def _body(
    context: Context,
    query: Query,
    texts: Sequence[str],
    following: tuple[Any, UUID] | None,
    around: str = "",
) -> str:
    """The JSON of a page: the rows, and a cursor for the place after which the list goes on."""
    cursor = "null"
    if following:
        cursor = f'"{make_cursor(context.cursor_key, query.scope, *following)}"'
    return f'{{{around}"items":[{",".join(texts)}],"nextCursor":{cursor}}}'


async def _list_then(
    context: Context,
    route: List,
    query: Query,
    parameters: Parameters,
    reader: tuple[Look, Callable[[], Filters]],
) -> Reply:
    """The same list as of a moment; the caller's visibility of a row is that of today."""
    (look, filters), owner = reader, None
    rights = look.rights
    at, tests = await moment_of(context, query.asked), seen(route.row, rights)
    if route.of:
        column, table = route.of
        if (owner := await find_id(context, table, parameters, rights)) is None:
            raise missing(table.OF)
        tests = [*tests, belonging(route, column, ("%s::uuid", [owner]), rights)]
    past = HistoricTable(context, route.row, at, rights.sees_persons)
    found = await past.page(query, tests)
    texts = [each.text for each in found.items]
    look.at_list(route, texts, filters, owner)
    body = _body(context, query, texts, found.following)
    headers = [at_position(at.position)]
    lasting = [*tests, *past.lasting(query)]
    if await is_approximate(context, route.row, at, lasting):
        headers.append(APPROXIMATE)
    nothing = lists_business_time(route.row) and not (found.items or found.following or query.after)
    if nothing and (words := await hint(context, route.row, query.asked, lasting)):
        headers.append((HINT, words.encode()))
    return Reply(200, body.encode(), headers)


async def unsealed(context: Context, text: str, *, sees: bool) -> str:
    """JSON with its sealed words opened for those who may see them, and hidden from others."""
    if '"~1.' not in text:
        return text
    persons = {UUID(person) for _, person in SEALED.findall(text)}
    if not sees:
        return SEALED.sub(HIDDEN, text)
    keys = await keys_of(context, persons, sees=sees)

    def opened(found: re.Match[str]) -> str:
        return encoded(opened_or_null(found[1], keys)).decode()

    return SEALED.sub(opened, text)
