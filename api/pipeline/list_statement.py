"""The rows of a list in SQL, so that it reads little more than it shows.

An index leads through the rows in the list's order: that of the filter which fewest rows meet.
Several values of it are as many branches, each in order, merged. What else is asked is looked at on
the way, for WALKED_MAX rows a page at most; the page then holds what was found, and a cursor. Rows
are found without that order, and sorted, only where they are few.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from math import prod
from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace

from api.pipeline.conditions import FEW, ONE, SPARSE, Filter, Test
from api.pipeline.filters import Order, Query, all_of
from api.pipeline.rights import Rights
from api.pipeline.routes import List, Parameters
from api.pipeline.visible_rows import belonging, named, owned, seen
from projections.tables.indexes import Index
from projections.tables.table import Row
from rim_ledger.postgres.pool import Pool

TRACKING: Final = "FROM read.tracking k LEFT JOIN"
"""What is joined on the right may be missing: the position is answered all the same."""
WALKED_MAX: Final = 5_000
"""Rows that a page looks at, at most."""
BRANCHES_MAX: Final = 100
"""Branches of a statement, at most."""
BY_ROWS: Final = "SET seq_page_cost = 0.01; SET random_page_cost = 0.01"
"""Makes a connection plan by the rows that are read. Otherwise PostgreSQL may prefer to pass over
rows that lie side by side to following an index to the right ones, and does not foresee that the
right ones are the last."""

Branches = list[list[Test]]


def statement_of(route: List, query: Query, parameters: Parameters, rights: Rights) -> Test:
    """The statement of a list. Each row: position, the owner (its JSON where the list shows that),
    how many were looked at so far, place, id, and JSON: null for the last one that was looked at,
    where that is not shown."""
    row = route.row
    masked = not rights.sees_persons
    json = row.json(masked, own=rights.own)
    filters, owner, owners = owned(row, rights), "NULL", list[Any]()
    if route.of:
        column, table = route.of
        where, owners = all_of([named(table, "id", parameters["id"]), *seen(table, rights)])
        known = f"(SELECT t.id FROM read.{table.TABLE} t WHERE {where})"  # noqa: S608
        shown = table.json(masked, own=rights.own) if route.with_owner else "t.id"
        owner = f"(SELECT {shown} FROM read.{table.TABLE} t WHERE {where})"  # noqa: S608
        test = belonging(route, column, (known, owners), rights)
        one = Filter(test, share=FEW) if route.through else Filter(test, column, (test,), ONE)
        filters = [one, *filters]
    rows, values = _source(row, query, filters)
    statement = (
        f"SELECT k.position, {owner}, page.walked, page.place, page.id, page.json {TRACKING}"  # noqa: S608 - declared names
        f" LATERAL (SELECT t.walked, t.{query.order.column.name}::text AS place, t.id,"
        f" CASE WHEN t.met THEN {json} END AS json"
        f" FROM {rows} t WHERE t.met OR t.walked = {WALKED_MAX} LIMIT {query.limit + 1}) page"
        " ON true WHERE k.name = 'read' ORDER BY page.walked"
    )
    return statement, [*owners, *values]


async def weighed(pool: Pool, route: List, query: Query) -> Query:
    """The query, in which what is found rather than read in order was counted: where that is much,
    it is looked at on the way."""
    if route.of:  # What is somebody's is little.
        return query
    many = [e for e in query.filters if e.share == FEW and not await _few(pool, route.row, e)]
    filters = [replace(each, share=1.0) if each in many else each for each in query.filters]
    return replace(query, filters=filters)


async def _few(pool: Pool, row: type[Row], asked: Filter) -> bool:
    text, values = asked.test
    rows = f"SELECT FROM read.{row.TABLE} t WHERE {text} LIMIT {WALKED_MAX + 1}"
    ((count,),) = await pool.rows(f"SELECT count(*) FROM ({rows}) t", values)  # noqa: S608 - the same
    return int(count) <= WALKED_MAX


def shown_of(
    rows: Sequence[tuple[Any, ...]], limit: int
) -> tuple[list[str], tuple[Any, UUID] | None]:
    """The JSON of the rows of a page, and the place after which the list goes on, if it does."""
    items = [(place, last, text) for *_, place, last, text in rows if text is not None]
    if len(items) > limit:
        return [text for *_, text in items[:limit]], items[limit - 1][:2]
    *_, walked, place, last, _ = rows[-1]
    return [text for *_, text in items], (place, last) if walked == WALKED_MAX else None


def _source(row: type[Row], query: Query, owners: Sequence[Filter]) -> Test:
    """A table expression of the rows that a page looks at, in their order: all of the table's
    columns, whether a row is `met` by the filters and those of its owners, and the how-maniest it
    is (`walked`)."""
    order = query.order
    filters = [*owners, *query.filters]
    ranges = [each.test for each in filters if each.column == order.column.name]
    filters = [each for each in filters if each.column != order.column.name]
    led, rest = _led(row, order, filters)
    leading = prod(each.share for each in led)
    found = any(SPARSE >= each.share < leading for each in rest)
    if found:
        led, rest = [], []
        ranges += [each.test for each in filters]
    branches = [[*tests] for tests in product(*(each.each for each in led))]
    count = WALKED_MAX if rest else query.limit + 1
    parts = [
        _merged(row, order, [[*part, *ranges, *branch] for branch in branches], count, found=found)
        for part in _parts(query, ranged=bool(ranges))
    ]
    met, values = all_of(each.test for each in rest)
    walked, *last = (text for text, _ in parts)
    if last:
        walked = f"({walked} UNION ALL {last[0]} LIMIT {count})"  # One after the other.
    statement = (
        f"(SELECT t.*, ({met}) IS TRUE AS met, row_number() OVER () AS walked"  # noqa: S608 - declared names
        f" FROM {walked} t)"
    )
    return statement, [*values, *(value for _, more in parts for value in more)]


def _led(row: type[Row], order: Order, filters: list[Filter]) -> tuple[list[Filter], list[Filter]]:
    """The filters that an index serves in this order, and the rest."""
    named = {each.column: each for each in reversed(filters) if each.column and each.each}

    def leads(index: Index) -> list[Filter]:
        return [named[name] for name in index.leads if name in named]

    fitting = [
        (prod(each.share for each in led), -len(led), led)
        for index in row.INDEXES
        if index.order == order.column.name and index.leads
        if len(led := leads(index)) == len(index.leads)
        and prod(len(each.each) for each in led) <= BRANCHES_MAX
    ]
    ways = [each for each in filters if each.each and not each.column]
    led = min(fitting, key=lambda each: each[:2])[2] if fitting else ways
    return led, [each for each in filters if each not in led]


def _parts(query: Query, *, ranged: bool) -> Branches:
    """The tests of the parts of a list after a place, one after the other: rows without a value in
    its order come last."""
    order, by = query.order, f"t.{query.order.column.name}"
    further = list[Test]()
    if query.after:
        place, last = query.after
        if place is None:
            sign = "<" if order.descending else ">"
            return [[(f"{by} IS NULL", []), (f"t.id {sign} %s", [last])]]
        further = [order.beyond(place, last)]
    if ranged or not order.column.optional:
        return [further]
    return [[(f"{by} IS NOT NULL", []), *further], [(f"{by} IS NULL", [])]]


def _merged(
    row: type[Row], order: Order, branches: Iterable[list[Test]], count: int, *, found: bool
) -> Test:
    """The first rows of some branches together; they are read in order, or found and sorted."""
    texts, values = list[str](), list[object]()
    in_order = "OFFSET 0" if found else f"{order.clause} LIMIT {count}"  # It keeps them apart.
    for tests in branches:
        where, more = all_of(tests)
        texts.append(f"(SELECT t.* FROM read.{row.TABLE} t WHERE {where} {in_order})")  # noqa: S608 - declared names
        values += more
    if len(texts) == 1 and not found:
        return texts[0], values
    united = " UNION ALL ".join(texts)
    return f"(SELECT t.* FROM ({united}) t {order.clause} LIMIT {count})", values  # noqa: S608 - the same
