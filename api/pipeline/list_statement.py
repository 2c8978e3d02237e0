"""The rows of a list in SQL, so that it reads little more than it shows.

An index leads through the rows in the list's order: that of the filter which fewest rows meet.
Several values of it are as many branches, each in order, merged. What else is asked is looked at on
the way, for WALKED_MAX rows a page at most; the page then holds what was found, and a cursor. Rows
are found without that order, and sorted, only where they are few.
"""

from collections.abc import Iterable, Sequence
from itertools import product
from math import prod
from typing import Final

from api.pipeline.conditions import Filter, Test
from api.pipeline.filters import Order, Query, all_of
from projections.tables.indexes import Index
from projections.tables.table import Row

WALKED_MAX: Final = 5_000
"""Rows that a page looks at, at most."""
BRANCHES_MAX: Final = 100
"""Branches of a statement, at most."""

Branches = list[list[Test]]


def source(row: type[Row], query: Query, owners: Sequence[Filter]) -> Test:
    """A table expression of the rows that a page looks at, in their order: all of the table's
    columns, whether a row is `met` by the filters and those of its owners, and the how-maniest it
    is (`walked`)."""
    order = query.order
    filters = [*owners, *query.filters]
    ranges = [each.test for each in filters if each.column == order.column.name]
    branches, rest = _led(row, order, [e for e in filters if e.column != order.column.name])
    count = WALKED_MAX if rest else query.limit + 1
    parts = [
        _merged(row, order, [[*part, *ranges, *branch] for branch in branches], count)
        for part in _parts(query, ranged=bool(ranges))
    ]
    met, values = all_of(rest)
    walked, *last = (text for text, _ in parts)
    if last:
        walked = f"({walked} UNION ALL {last[0]} LIMIT {count})"  # One after the other.
    statement = (
        f"(SELECT t.*, ({met}) IS TRUE AS met, row_number() OVER () AS walked"  # noqa: S608 - declared names
        f" FROM {walked} t)"
    )
    return statement, [*values, *(value for _, more in parts for value in more)]


def _led(row: type[Row], order: Order, filters: list[Filter]) -> tuple[Branches, list[Test]]:
    """The tests of each branch, and those of the rest."""
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
    led = min(fitting, key=lambda each: each[:2])[2] if fitting else []
    rest = [each for each in filters if each not in led]
    if any(each.share == 0 for each in rest):
        return [[each.test for each in filters]], []
    return [[*tests] for tests in product(*(each.each for each in led))], [e.test for e in rest]


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


def _merged(row: type[Row], order: Order, branches: Iterable[list[Test]], count: int) -> Test:
    """The first rows of some branches together."""
    texts, values = list[str](), list[object]()
    for tests in branches:
        where, more = all_of(tests)
        rows = f"SELECT t.* FROM read.{row.TABLE} t WHERE {where}"  # noqa: S608 - declared names
        texts.append(f"({rows} {order.clause} LIMIT {count})")
        values += more
    if len(texts) == 1:
        return texts[0], values
    united = " UNION ALL ".join(texts)
    return f"(SELECT t.* FROM ({united}) t {order.clause} LIMIT {count})", values  # noqa: S608 - the same
