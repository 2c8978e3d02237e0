"""What a list reads for what it shows: its rows are the oldest, behind others that no filter wants."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from msgspec.structs import replace

from api.catalogue import ROUTES
from api.pipeline.conditions import by_wire
from api.pipeline.filters import orders_of, read_query
from api.pipeline.list_statement import shown_of, statement_of
from api.pipeline.rights import Rights
from api.pipeline.routes import List
from projections.tables.table import Row
from rim_ledger.engine.aggregate import SYSTEM
from tests.api.pipeline.rows_of_lists import BOUNDARY, UUIDS, fill, values_of

LISTS = [each for each in ROUTES if isinstance(each, List) and not each.through]
KEY = b"a key of the tests"
ROWS_PER_ROW_MAX = 2.0


class Everything:
    """The rights of a super-admin."""

    def __contains__(self, _: object) -> bool:
        return True


RIGHTS = Rights(SYSTEM, Everything(), {})


def table_of(row: type[Row]) -> str:
    """Where its rows lie."""
    found = re.search(r"FROM (\S+)", row.VIEW) if row.VIEW else None
    return found[1] if found else f"read.{row.TABLE}"


def questions(route: List) -> Iterator[str]:
    """Each order, and each filter with one value, with two, and in the other direction."""
    row = route.row
    yield from ("", *(f"sort={sign}{wire}" for wire in orders_of(row) for sign in ("", "-")))
    for wire, column in by_wire(row, own=False).items():
        if not column.indexed:
            continue
        if column.sql_type == "timestamptz":
            yield from (f"{wire}To={BOUNDARY}", f"{wire}From={BOUNDARY}")
        elif not (column.unique or column.unique_while) and (values := values_of(column)):
            texts = [str(each).lower() if each is True else str(each) for each in values[1:]]
            for some in (texts[:1], texts):
                yield urlencode({wire: some}, doseq=True)
                yield urlencode({wire: some, "sort": row.COLUMNS[row.NEWEST].wire}, doseq=True)
    if "deleted_at" in row.COLUMNS:
        yield "deleted=true"


def read(plan: dict[str, Any], table: str) -> int:
    """How many rows of a table a plan has read."""
    rows = plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)
    rows += plan.get("Rows Removed by Index Recheck", 0)
    own = rows * plan["Actual Loops"] if plan.get("Relation Name") == table else 0
    return int(own) + sum(read(each, table) for each in plan.get("Plans", ()))


def costs(
    connection: psycopg.Connection[Any], route: List, text: str, rights: Rights = RIGHTS
) -> Iterator[tuple[int, int]]:
    """For the first page and for the second: how many rows it read, and how many it shows."""
    query = read_query(route.row, text.encode(), KEY, "", sees=True, order=route.order)
    table = table_of(route.row).partition(".")[2]
    for _ in range(2):
        statement, values = statement_of(route, query, {"id": str(UUIDS[1])}, rights)
        ((explained,),) = connection.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), values
        ).fetchall()
        shown, following = shown_of(connection.execute(statement.encode(), values).fetchall(), 50)
        yield read(explained[0]["Plan"], table), len(shown)
        if following is None:
            return
        query = replace(query, after=following)


@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.path)
def test_a_list_reads_hardly_more_than_it_shows(database: str, route: List) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection, route.row, table_of(route.row))
        if route.of:
            owner = route.of[1]
            fill(connection, owner, table_of(owner), id=UUIDS[1])
        dear = [
            (text or "no filter", rows, shown)
            for text in questions(route)
            for rows, shown in costs(connection, route, text)
            if rows > ROWS_PER_ROW_MAX * max(shown, 1) or not shown
        ]
    assert dear == []
