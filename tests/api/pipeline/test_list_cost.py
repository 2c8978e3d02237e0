"""What a list reads for what it shows, where its rows are older than many that no filter wants."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from msgspec.structs import replace

from api.catalogue import ROUTES
from api.pipeline import list_statement
from api.pipeline.conditions import FEW, by_wire
from api.pipeline.filters import orders_of, read_query
from api.pipeline.list_statement import BY_ROWS, shown_of, statement_of, weighed
from api.pipeline.rights import Rights
from api.pipeline.routes import List
from projections.lending import LoanRow
from projections.support import TicketRow
from projections.tables.table import Row
from rim_ledger.engine.aggregate import SYSTEM, Actor
from rim_ledger.postgres.pool import Pool
from tests.api.pipeline.rows_of_lists import BOUNDARY, UUIDS, fill, is_alone, values_of

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
    """Each order, and each filter with one value, with two, and in the other direction. In what is
    somebody's, rows that are few are found and sorted."""
    row = route.row
    newest = row.COLUMNS[row.NEWEST].wire
    orders = [newest] if route.of else orders_of(row)
    yield from ("", *(f"sort={sign}{wire}" for wire in orders for sign in ("", "-")))
    for wire, column in by_wire(row, own=False).items():
        if not column.indexed or (route.of and not column.words):
            continue
        if column.sql_type == "timestamptz":
            yield from (f"{wire}To={BOUNDARY}", f"{wire}From={BOUNDARY}")
        elif not is_alone(row, column) and (values := values_of(column)):
            texts = [str(each).lower() if each is True else str(each) for each in values[1:]]
            for some in (texts[:1], texts):
                yield urlencode({wire: some}, doseq=True)
                yield urlencode({wire: some, "sort": newest}, doseq=True)
    if "deleted_at" in row.COLUMNS:
        yield "deleted=true"


def read(plan: dict[str, Any], table: str) -> int:
    """How many rows of a table a plan has read."""
    rows = plan.get("Actual Rows", 0) + plan.get("Rows Removed by Filter", 0)
    rows += plan.get("Rows Removed by Index Recheck", 0)
    own = rows * plan["Actual Loops"] if plan.get("Relation Name") == table else 0
    return int(own) + sum(read(each, table) for each in plan.get("Plans", ()))


def encoded(test: tuple[str, list[Any]]) -> tuple[bytes, list[Any]]:
    """A statement as psycopg takes it, and its values."""
    statement, values = test
    return statement.encode(), values


def costs(
    connection: psycopg.Connection[Any], route: List, text: str, rights: Rights = RIGHTS
) -> Iterator[tuple[int, int]]:
    """For the first page and for the second: how many rows it read, and how many it shows."""
    query = read_query(route.row, text.encode(), KEY, "", sees=True, order=route.order)
    table = table_of(route.row).partition(".")[2]
    for _ in range(2):
        statement, values = encoded(statement_of(route, query, {"id": str(UUIDS[1])}, rights))
        explain = b"EXPLAIN (ANALYZE, FORMAT JSON) " + statement
        ((explained,),) = connection.execute(explain, values).fetchall()
        shown, following = shown_of(connection.execute(statement, values).fetchall(), 50)
        yield read(explained[0]["Plan"], table), len(shown)
        if following is None:
            return
        query = replace(query, after=following)


def dear(
    connection: psycopg.Connection[Any], route: List, texts: Iterable[str], rights: Rights = RIGHTS
) -> list[tuple[str, int, int]]:
    """The questions that read too much, with how many rows they read and show."""
    return [
        (text, rows, shown)
        for text in texts
        for rows, shown in costs(connection, route, text, rights)
        if rows > ROWS_PER_ROW_MAX * shown or not shown
    ]


def route_of(path: str) -> List:
    """The list at a path."""
    return next(each for each in LISTS if each.path == path)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection that plans as those of the API do."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(BY_ROWS)
        yield connection


@pytest.mark.parametrize("route", LISTS, ids=lambda route: route.path)
def test_a_list_reads_hardly_more_than_it_shows(
    connection: psycopg.Connection[Any], route: List
) -> None:
    fill(connection, route.row, table_of(route.row))
    if route.of:
        owner = route.of[1]
        fill(connection, owner, table_of(owner), id=UUIDS[1])
    assert dear(connection, route, questions(route)) == []


ONE = UUIDS[1]


@pytest.mark.parametrize(
    ("path", "fixed", "text"),
    [
        ("/v1/tickets", {"assigned_to": ONE}, f"assignedTo={ONE}&status=resolved"),
        ("/v1/tickets", {"assigned_to": ONE}, f"assignedTo={ONE}&status=resolved&status=closed"),
        ("/v1/broadcasts/{id}/recipients", {"broadcast_id": ONE}, "status=failed"),
        ("/v1/notifications", {"broadcast_id": ONE}, f"broadcastId={ONE}&status=failed"),
        ("/v1/loans", {}, "status=approved&status=rejected&sort=dueDate"),
        ("/v1/loans", {}, f"status=approved&dueDateTo={BOUNDARY}"),
        ("/v1/loans", {}, f"status=approved&network=Airtel&createdAtTo={BOUNDARY}"),
    ],
)
def test_filters_that_are_often_asked_together_read_hardly_more(
    connection: psycopg.Connection[Any], path: str, fixed: dict[str, Any], text: str
) -> None:
    route = route_of(path)
    fill(connection, route.row, table_of(route.row), **fixed)
    if route.of:
        owner = route.of[1]
        fill(connection, owner, table_of(owner), id=ONE)
    assert dear(connection, route, [text]) == []


def test_what_an_agent_may_see_is_found_without_passing_over_what_others_have(
    connection: psycopg.Connection[Any],
) -> None:
    class Some:
        def __contains__(self, right: object) -> bool:
            return right != ("tickets.all", "read")

    fill(connection, TicketRow, "read.tickets", escalated_to=None)
    rights = Rights(Actor(type="admin", id=ONE), Some(), {})
    assert dear(connection, route_of("/v1/tickets"), ["", "sort=createdAt"], rights) == []


def test_what_the_leading_filter_does_not_settle_is_passed_over_for_so_many_rows_a_page(
    connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No row is lost, and none is there twice."""
    monkeypatch.setattr(list_statement, "WALKED_MAX", 500)
    route = route_of("/v1/loans")
    fill(connection, LoanRow, "read.loans")
    query = read_query(LoanRow, b"sort=loanId&status=approved", KEY, "", sees=True)
    pages, seen = list[int](), list[str]()
    while True:
        rows = connection.execute(*encoded(statement_of(route, query, {}, RIGHTS))).fetchall()
        texts, following = shown_of(rows, query.limit)
        pages.append(len(texts))
        seen += [json.loads(text)["id"] for text in texts]
        if following is None:
            break
        query = replace(query, after=following)
    there = "SELECT id::text FROM read.loans WHERE status = 'approved' ORDER BY loan_id"
    assert seen == [each for (each,) in connection.execute(there)]
    assert max(pages) == query.limit
    assert 0 in pages, "five hundred rows with another status stand together"


async def test_a_tag_is_found_if_few_tickets_have_it_and_passed_by_if_many_have(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_statement, "WALKED_MAX", 500)
    with psycopg.connect(database, autocommit=True) as connection:
        fill(connection, TicketRow, "read.tickets")
    pool = Pool(database, min_size=1, max_size=1, timeout=60, autocommit=True, settings=BY_ROWS)
    async with pool:
        for tag, few in ((values_of(TicketRow.COLUMNS["tags"]) or ())[0], False), ("nothing", True):
            query = read_query(TicketRow, f"tag={tag}".encode(), KEY, "", sees=True)
            (found,) = (await weighed(pool, route_of("/v1/tickets"), query)).filters
            assert (found.share == FEW) is few
