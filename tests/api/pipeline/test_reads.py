"""Lists and single rows: pages, filters, who sees whom, and how fresh an answer is."""

import pytest

from api.pipeline import position
from tests.api.conftest import ADA, Client, running

READ_USERS = {"resource": "users", "actions": ["read"]}


async def test_pages_follow_each_other_until_the_last(admin: Client) -> None:
    made = [(await admin.user(n))["id"] for n in range(7)]
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = await admin.get(f"/v1/users?limit=3{more}", headers=await admin.caught_up())
        assert page.status_code == 200, page.text
        seen += [row["id"] for row in page.json()["items"]]
        cursor, pages = page.json()["nextCursor"], pages + 1
    assert (seen, pages) == (made[::-1], 3)


async def test_a_cursor_goes_with_its_own_filters_and_order(admin: Client) -> None:
    for number in range(3):
        await admin.user(number)
    page = await admin.get("/v1/users?limit=1", headers=await admin.caught_up())
    cursor = page.json()["nextCursor"]
    for query in ("status=active", "sort=createdAt", "deleted=false"):
        other = await admin.get(f"/v1/users?limit=1&{query}&cursor={cursor}")
        assert (other.status_code, other.json()["code"]) == (400, "invalid-cursor")
    assert (await admin.get(f"/v1/users?limit=2&cursor={cursor}")).status_code == 200


async def test_rows_without_a_value_come_last_both_ways_and_none_is_lost(admin: Client) -> None:
    user = await admin.user()
    for _ in range(3):
        loan = {"userId": user["id"], "amount": 10, "network": "MTN"}
        await admin.post("/v1/loans", loan)
    for order in ("dueDate", "-dueDate"):
        seen, cursor = set(), ""
        while cursor is not None:
            more = f"&cursor={cursor}" if cursor else ""
            page = await admin.get(
                f"/v1/loans?limit=1&sort={order}{more}", headers=await admin.caught_up()
            )
            seen |= {row["id"] for row in page.json()["items"]}
            cursor = page.json()["nextCursor"]
        assert len(seen) == 3


async def test_filters_are_joined_and_a_repeated_one_means_either(admin: Client) -> None:
    one, two = await admin.user(1), await admin.user(2)
    await admin.post(f"/v1/users/{two['id']}/suspend", {"reason": "late"})
    loan = {"userId": two["id"], "amount": 10, "network": "MTN"}
    assert (await admin.post("/v1/loans", loan)).status_code == 409
    made = await admin.post("/v1/loans", loan | {"userId": one["userId"]})
    fresh = await admin.caught_up()

    async def found(query: str) -> list[str]:
        answer = await admin.get(query, headers=fresh)
        assert answer.status_code == 200, answer.text
        return [row["id"] for row in answer.json()["items"]]

    assert await found("/v1/users?status=suspended") == [two["id"]]
    both = await found("/v1/users?status=suspended&status=active&sort=createdAt")
    assert both == [one["id"], two["id"]]
    assert await found("/v1/users?phone=%2B2348030000001") == [one["id"]]
    mine = [made.json()["id"]]
    assert await found(f"/v1/loans?userId={one['userId']}") == mine
    assert await found(f"/v1/loans?userId={one['id']}&network=MTN&status=pending") == mine
    assert await found(f"/v1/loans?userId={two['id']}") == []
    assert await found(f"/v1/users/{one['userId']}/loans") == mine
    assert await found(f"/v1/users/{two['id']}/loans") == []
    assert await found("/v1/loans?createdAtFrom=2020-01-01T00:00:00Z") == mine
    assert await found("/v1/loans?createdAtTo=2020-01-01T00:00:00%2B01:00") == []
    assert await found("/v1/users?deleted=true") == []


async def test_persons_are_hidden_from_those_without_the_permission(admin: Client) -> None:
    user = (await admin.post("/v1/users", ADA)).json()
    audit = {"resource": "audit_logs", "actions": ["read"]}
    watcher = await admin.take_on("watcher", READ_USERS, audit)
    fresh = await admin.caught_up()
    row = await watcher.get(f"/v1/users/{user['userId']}", headers=fresh)
    assert "8031234567" not in row.text
    assert "ada@" not in row.text
    phone = await watcher.get("/v1/users?phone=%2B2348031234567")
    assert phone.status_code == 403
    path = f"/v1/audit-logs?entityId={user['userId']}"
    hidden = (await watcher.get(path)).json()["items"][0]["changes"]["phone"]
    shown = (await admin.get(path)).json()["items"][0]["changes"]["phone"]
    assert hidden["new"] == "***"
    assert shown["new"] == "+2348031234567"


async def test_a_read_waits_for_the_position_it_is_given(admin: Client) -> None:
    for number in range(20):
        user = await admin.user(number)
        fresh = {"Ledger-Position": str(user["position"])}
        answer = await admin.get(f"/v1/users/{user['id']}", headers=fresh)
        assert answer.status_code == 200
        assert int(answer.headers["ledger-position"]) >= user["position"]
        assert answer.headers["etag"] == '"1"'


async def test_a_read_gives_up_on_tables_that_lag(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(position, "READ_TIMEOUT_SECONDS", 0.01)
    async with running(database, following=False) as admin:
        user = await admin.user()
        answer = await admin.get("/v1/users", headers=await admin.caught_up())
        assert (answer.status_code, answer.json()["code"]) == (503, "projection-lagging")
        assert answer.headers["retry-after"] == "1"
        path, prefer = f"/v1/users/{user['id']}/suspend", {"Prefer": "return=representation"}
        plain = await admin.post(path, {"reason": "late"}, headers=prefer)
        assert plain.status_code == 200
        assert "preference-applied" not in plain.headers
        assert plain.json()["version"] == 2


async def test_an_unknown_row_and_an_unknown_owner_are_not_found(admin: Client) -> None:
    for path in ("/v1/users/USR-2026-999999", "/v1/users/x", "/v1/users/x/loans"):
        answer = await admin.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_reading_needs_the_permission_of_the_resource(admin: Client) -> None:
    reader = await admin.take_on("reader", READ_USERS)
    assert (await reader.get("/v1/users")).status_code == 200
    assert (await reader.get("/v1/loans")).status_code == 403
    assert (await Client(admin.http, admin.app).get("/v1/users")).status_code == 401


async def test_head_tells_what_get_would(admin: Client) -> None:
    got, told = await admin.get("/v1/users"), await admin.ask("HEAD", "/v1/users")
    assert told.headers["content-length"] == got.headers["content-length"]
    assert told.content == b""


async def test_what_was_written_about_a_person_is_for_those_who_may_see_persons(
    admin: Client,
) -> None:
    user = await admin.user()
    said = {"userId": user["id"], "amount": 10, "metadata": {"sister": "Ngozi", "policy": "x"}}
    loan = (await admin.post("/v1/loans", said | {"network": "MTN"})).json()["id"]
    await admin.post(f"/v1/loans/{loan}/reject", {"reason": "Ngozi said no"})
    paid = {"type": "repayment", "paymentMethod": "card", "description": "from Ngozi"}
    transaction = (await admin.post("/v1/transactions", said | paid)).json()["id"]
    resources = ("loans", "transactions")
    reads = [{"resource": each, "actions": ["read"]} for each in resources]
    clerk = await admin.take_on("clerk", *reads)
    for path in (f"/v1/loans/{loan}", f"/v1/transactions/{transaction}"):
        shown = await admin.get(path, headers=await admin.caught_up())
        assert "Ngozi" in shown.text
        masked = await clerk.get(path)
        assert "Ngozi" not in masked.text
        assert masked.json()["metadata"].keys() == shown.json()["metadata"].keys()
        assert masked.json()["metadata"]["sister"] == "***"
    assert (await clerk.get(f"/v1/loans/{loan}")).json()["metadata"]["policy"] == "decision-v1"
