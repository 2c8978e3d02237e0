"""Lists as NDJSON and CSV: the same rows as in pages, under the same rights."""

import csv
import io
import json
from decimal import Decimal
from functools import partial
from typing import Any

import httpx
import pytest

from api.catalogue import ROUTES
from api.http.csv_text import csv_text
from api.pipeline import list_formats
from api.pipeline.routes import List
from projections.lending import LoanRow, UserRow
from tests.api.conftest import Client
from tests.api.pipeline.test_broken_answers import messages
from tests.api.pipeline.test_ended_rights import end_rights
from tests.api.routes.borrowers import logged_in
from tests.api.routes.test_bulk import register, send

NDJSON, CSV = "application/x-ndjson", "text/csv"
USERS = {"resource": "users", "actions": ["read"]}
PERSONS = {"resource": "users.pii", "actions": ["read"]}


async def ask(client: Client, path: str, accept: str, **more: Any) -> httpx.Response:
    headers = await client.caught_up() | {"accept": accept}
    return await client.get(path, headers=headers, **more)


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    """The rows of lines, of either kind, as JSON has them."""
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"] == NDJSON:
        return [json.loads(line) for line in answer.text.splitlines()]
    return list(csv.DictReader(io.StringIO(answer.text)))


async def paged(client: Client, path: str) -> list[dict[str, Any]]:
    """All rows of a list, read as JSON."""
    found, cursor = list[dict[str, Any]](), ""
    sign = "&" if "?" in path else "?"
    while cursor is not None:
        answer = (await client.get(f"{path}{sign}limit=2{cursor}")).json()
        found += answer["items"]
        cursor = answer["nextCursor"] and f"&cursor={answer['nextCursor']}"
    return found


@pytest.fixture(autouse=True)
def _short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_formats, "LIMIT_MAX", 3)
    monkeypatch.setattr("api.pipeline.filters.LIMIT", 2)


@pytest.mark.parametrize("query", ["", "?sort=createdAt", "?status=active&sort=-createdAt"])
async def test_lines_have_the_rows_of_all_pages_in_their_order(query: str, admin: Client) -> None:
    await send(admin, [register(n) for n in range(12)])
    path = f"/v1/users{query}"
    await admin.get(path, headers=await admin.caught_up())
    whole = await paged(admin, path)
    assert len(whole) == 12
    told = await ask(admin, path, NDJSON)
    assert rows_of(told) == whole
    assert int(told.headers["ledger-position"]) > 0
    table = await ask(admin, path, CSV)
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert table.headers["content-disposition"] == 'attachment; filename="users.csv"'
    assert table.text.split("\r\n")[0] == ",".join(
        column.wire for column in UserRow.COLUMNS.values()
    )
    rows = rows_of(table)
    assert [row["id"] for row in rows] == [row["id"] for row in whole]
    assert (rows[0]["creditLimit"], rows[0]["deletedAt"]) == ("1000.00", "")
    assert (rows[0]["phone"], rows[0]["erased"]) == (f"'{whole[0]['phone']}", "false")


async def test_with_a_limit_there_is_one_page_that_names_the_next(admin: Client) -> None:
    await send(admin, [register(n) for n in range(5)])
    for accept in (NDJSON, CSV):
        path, found = "/v1/users?limit=2&status=active", list[str]()
        for count in (2, 2, 1):
            answer = await ask(admin, path, accept)
            found += [row["id"] for row in rows_of(answer)]
            assert len(rows_of(answer)) == count
            path = answer.links.get("next", {}).get("url", "")
        assert (len(set(found)), path) == (5, "")
    none = await ask(admin, "/v1/users?status=inactive", CSV)
    assert none.text == (await ask(admin, "/v1/users", CSV)).text.splitlines(keepends=True)[0]
    assert (await ask(admin, "/v1/users?status=inactive", NDJSON)).text == ""


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (f"{CSV};q=0.5, {NDJSON}", NDJSON),
        (f"{CSV}, application/json;q=0.9", "text/csv; charset=utf-8"),
        ("*/*", "application/json"),
        ("text/*", "text/csv; charset=utf-8"),
    ],
)
async def test_the_weights_of_accept_decide(accept: str, media_type: str, admin: Client) -> None:
    assert (await ask(admin, "/v1/users", accept)).headers["content-type"] == media_type


async def test_what_no_list_gives_is_refused_to_those_who_may_read_it(admin: Client) -> None:
    refused = await ask(admin, "/v1/users", "image/png")
    assert (refused.status_code, refused.json()["code"]) == (406, "not-acceptable")
    stranger = await admin.take_on("stranger")
    assert (await ask(stranger, "/v1/users", "image/png")).status_code == 403
    assert (await ask(stranger, "/v1/users", CSV)).status_code == 403
    assert (await ask(admin, "/v1/users?limit=0", CSV)).status_code == 422
    assert (await ask(admin, "/v1/users?colour=red", NDJSON)).status_code == 422
    none = await ask(admin, "/v1/users/USR-2026-999999/transactions", CSV)
    assert none.status_code == 404


async def test_words_about_persons_are_masked_in_lines_and_looks_at_them_are_logged(
    admin: Client,
) -> None:
    made = [await admin.user(number) for number in range(3)]
    analyst = await admin.take_on("masked", USERS)
    for accept in (NDJSON, CSV):
        told = await ask(analyst, "/v1/users", accept)
        assert {row["name"] for row in rows_of(told)} == {"A***"}
        assert "80300000" not in told.text
    assert (await ask(analyst, "/v1/users?phone=08030000000", CSV)).status_code == 403
    reader = await admin.take_on("reader", USERS, PERSONS)
    await ask(reader, "/v1/users", CSV)
    await ask(admin, "/v1/users", NDJSON)
    query = "/v1/admin-activity-logs?action=List&resource=users"
    looks = (await ask(admin, query, "application/json")).json()["items"]
    seen = {each for look in looks for each in look.get("persons") or ()}
    assert {each["id"] for each in made} <= seen


async def test_borrowers_have_their_own_lines_without_what_is_internal(admin: Client) -> None:
    borrower = await logged_in(admin)
    (user,) = rows_of(await ask(admin, "/v1/users", NDJSON))
    other = await admin.user(7)
    for each in (user, other):
        await admin.post("/v1/loans", {"userId": each["id"], "amount": 100, "network": "MTN"})
    table = await ask(borrower, "/v1/loans", CSV)
    assert [row["userId"] for row in rows_of(table)] == [user["id"]]
    shown = [column.wire for column in LoanRow.COLUMNS.values() if not column.internal]
    assert table.text.split("\r\n")[0].split(",") == shown
    assert len(rows_of(await ask(admin, "/v1/loans", CSV))) == 2


async def test_lines_of_the_past_go_on_over_pages(admin: Client) -> None:
    await send(admin, [register(n) for n in range(7)])
    then = (await admin.caught_up())["Ledger-Position"]
    await send(admin, [register(n) for n in range(7, 9)])
    for accept in (NDJSON, CSV):
        told = await ask(admin, f"/v1/users?asOf={then}", accept)
        assert len(rows_of(told)) == 7
        assert told.headers["ledger-position"] == then


async def test_lines_break_off_when_their_right_ends(admin: Client) -> None:
    await send(admin, [register(n) for n in range(6)])
    await admin.get("/v1/users", headers=await admin.caught_up())
    for accept in (NDJSON, CSV):
        watcher = await admin.take_on(f"watcher{len(accept)}", USERS)
        whole = await messages(watcher, "/v1/users", accept)
        assert not whole[-1].get("more_body")
        told = await messages(
            watcher, "/v1/users", accept, partial(end_rights, "revoked", admin, watcher)
        )
        assert [each.get("more_body") for each in told] == [None, True]


def test_no_cell_is_a_formula() -> None:
    texts = ["=1+1", "+234803", "-1", "@x", "\tx", "\rx", "\n=1", "a=b", "", "'=1"]
    rows = list(csv.reader(io.StringIO(csv_text([[text] for text in texts]).decode(), newline="")))
    assert [row[0] if row else "" for row in rows] == [
        *(f"'{text}" for text in texts[:7]),
        *texts[7:],
    ]
    assert csv_text([[Decimal("-5.00"), -1, None]]) == b"-5.00,-1,\r\n"


async def test_what_somebody_wrote_is_no_formula_in_any_list(admin: Client) -> None:
    await admin.user(name='=HYPERLINK("http://evil")')
    (row,) = rows_of(await ask(admin, "/v1/users", CSV))
    assert row["name"] == '\'=HYPERLINK("http://evil")'


async def test_every_list_gives_lines(admin: Client) -> None:
    user = await admin.user()
    for route in ROUTES:
        if not isinstance(route, List) or "tickets/{" in route.path:
            continue
        path = route.path.replace("{id}", user["id"])
        heads = ",".join(column.wire for column in route.row.COLUMNS.values())
        for accept, begins in ((NDJSON, ""), (CSV, f"{heads}\r\n")):
            answer = await ask(admin, path, accept)
            if answer.status_code == 404 and "{" in route.path:
                continue
            assert answer.status_code == 200, (path, answer.text)
            assert answer.headers["content-type"].startswith(accept)
            assert answer.text.startswith(begins), path


async def test_every_indexed_time_of_every_list_has_a_range(admin: Client) -> None:
    for route in ROUTES:
        if not isinstance(route, List) or "{" in route.path:
            continue
        times = [
            column.wire
            for column in route.row.COLUMNS.values()
            if column.sql_type == "timestamptz"
            and (column.indexed or column.name == route.row.NEWEST)
        ]
        for time in times:
            ends = f"{time}From=2020-01-01T00:00:00Z&{time}To=2020-01-02T00:00:00Z"
            answer = await admin.get(f"{route.path}?{ends}")
            assert (answer.status_code, answer.json().get("items")) == (200, []), route.path


@pytest.mark.parametrize("time", ["disbursedAt", "completedAt", "defaultedAt"])
async def test_loans_are_found_by_the_times_that_curves_are_drawn_by(
    time: str, admin: Client
) -> None:
    user = await admin.user()
    await admin.post("/v1/loans", {"userId": user["id"], "amount": 100, "network": "MTN"})
    some = await ask(admin, f"/v1/loans?{time}From=2000-01-01T00:00:00Z", NDJSON)
    assert rows_of(some) == []
