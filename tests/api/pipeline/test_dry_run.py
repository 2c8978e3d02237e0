"""Dry runs: what would be done or refused, for whom, in bulk, and what is kept of it."""

import json
from typing import Any, Final

import httpx
import pytest

from api.catalogue import ROUTES
from api.pipeline.routes import Other
from tests.api.conftest import ADA, Client
from tests.api.pipeline.predictions import contents
from tests.api.routes.borrowers import log_in
from tests.api.routes.test_approvals import rule

pytestmark = pytest.mark.database

DRY: Final = "?dryRun=true"
LOAN: Final = {"amount": 100, "network": "MTN"}
OTHERS: Final = {"submit_bulk", "auto_assign_tickets"}
"""The operations beside commands that have a dry run."""


async def try_(client: Client, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
    answer = await client.post(path + DRY, body, **more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def send(client: Client, path: str, *lines: dict[str, Any]) -> httpx.Response:
    body = "\n".join(map(json.dumps, lines)).encode()
    headers = {"Content-Type": "application/x-ndjson"}
    return await client.post(f"/v1/bulk{path}", content=body, headers=headers)


def read(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.text.splitlines()]


async def log(admin: Client, count: int) -> list[tuple[str, Any]]:
    """The last entries of the log of activities, the oldest first."""
    page = await admin.get(f"/v1/admin-activity-logs?limit={count}")
    items = reversed(page.json()["items"])
    return [(each["action"], each["details"]) for each in items]


async def test_a_payment_shows_journal_rows_and_the_figures_of_its_person(admin: Client) -> None:
    officer, user = await admin.colleague(), await admin.user()
    made = await admin.post("/v1/loans", LOAN | {"userId": user["id"]})
    path = f"/v1/loans/{made.json()['id']}"
    for step in ("approve", "disburse"):
        assert (await officer.post(f"{path}/{step}")).status_code == 200
    body = {"type": "repayment", "userId": user["id"], "amount": 120, "paymentMethod": "cash"}
    told = await try_(admin, "/v1/transactions", body)
    assert (told["dryRun"], told["status"]) == (True, 201)
    assert told["receipt"].keys() == {"id", "transactionId", "version"}
    (figures,) = told["figures"]
    assert figures == {
        "userId": user["id"],
        "before": {"exposure": 100, "outstanding": 115, "creditBalance": 0},
        "after": {"exposure": 0, "outstanding": 0, "creditBalance": 5},
    }
    rows = {row["entity"]: row for row in told["rows"]}
    loan = rows["Loan"]
    assert [loan[each]["status"] for each in ("before", "after")] == ["disbursed", "completed"]
    shown = await admin.get(path, headers=await admin.caught_up())
    assert loan["before"] == shown.json()
    assert f'"{loan["version"]["old"]}"' == shown.headers["etag"]
    assert rows["Transaction"]["before"] is None
    lines = [line for entry in told["journal"] for line in entry["lines"]]
    assert sum(line["debit"] - line["credit"] for line in lines) == 0
    assert {entry["event"] for entry in told["journal"]} == {
        "LoanRepaid",
        "TransactionCompleted",
    }


async def test_a_refusal_is_that_of_the_command_and_nothing_is_kept_of_it(
    admin: Client, database: str
) -> None:
    user = await admin.user(creditLimit=50)
    await admin.caught_up()
    await admin.get("/v1/outbound", headers=await admin.caught_up())
    before = contents(database)
    body = LOAN | {"userId": user["id"]}
    tried = await admin.post(f"/v1/loans{DRY}", body, headers={"X-Request-Id": "r"})
    assert tried.headers["content-type"] == "application/problem+json"
    assert contents(database) == before, "not even a refused request"
    done = await admin.post("/v1/loans", body, headers={"X-Request-Id": "r"})
    assert (tried.status_code, tried.json()) == (done.status_code, done.json())
    assert (await log(admin, 2)) == [
        ("RequestLoan", {"outcome": done.json()["code"], "dryRun": True}),
        ("RequestLoan", {"outcome": done.json()["code"]}),
    ]
    for path, body, status in (
        ("/v1/loans", {"userId": user["id"]}, 422),
        (f"/v1/loans/{user['id']}/approve", {}, 404),
        ("/v1/loans", [], 422),
    ):
        answer = await admin.post(path + DRY, body)
        assert answer.status_code == status, answer.text


async def test_the_version_holds_and_a_key_is_left_for_the_command(admin: Client) -> None:
    user = await admin.user()
    path, body = f"/v1/users/{user['id']}/credit-limit", {"limit": 7, "reason": "Too much."}
    stale = await admin.post(path + DRY, body, headers={"If-Match": '"9"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale-version")
    headers = {"If-Match": '"1"', "Idempotency-Key": "one"}
    told = await try_(admin, path, body, headers=headers)
    assert "Idempotency-Replayed" not in told
    for _ in range(2):
        done = await admin.post(path, body, headers=headers)
        assert done.status_code == 200, done.text
    assert done.headers["idempotency-replayed"] == "true"
    late = await admin.post(path + DRY, body, headers={"Idempotency-Key": "one"})
    assert late.json()["rows"] == [], "decided on the state of now"


async def test_it_takes_the_permission_of_the_command(admin: Client) -> None:
    reader = await admin.take_on("reader", {"resource": "users", "actions": ["read"]})
    denied = await reader.post(f"/v1/users{DRY}", ADA)
    assert (denied.status_code, denied.json()["code"]) == (403, "forbidden")
    assert await log(admin, 1) == [("RegisterUser", {"outcome": "forbidden", "dryRun": True})]
    nobody = await Client(admin.http, admin.app).post(f"/v1/users{DRY}", ADA)
    assert nobody.status_code == 401
    unfit = await admin.post("/v1/users?dryRun=maybe", ADA)
    assert unfit.json()["errors"][0]["pointer"] == "dryRun"
    done = await admin.post("/v1/users?dryRun=false", ADA)
    assert done.status_code == 201


async def test_what_a_caller_may_not_read_is_left_out_or_masked(admin: Client) -> None:
    user = await admin.user()
    clerk = await admin.take_on("clerk", {"resource": "loans", "actions": ["write"]})
    told = await try_(clerk, "/v1/loans", LOAN | {"userId": user["id"]})
    assert told["status"] == 201
    assert (told["events"], told["rows"], told["journal"], told["figures"]) == ([], [], [], [])
    assert told["leftOut"] == 2
    masked = await admin.take_on("masked", {"resource": "users", "actions": ["read", "write"]})
    path = f"/v1/users/{user['id']}"
    tried = await masked.ask("PATCH", path + DRY, {"name": "Bola Ade"})
    shown = await masked.get(path, headers=await admin.caught_up())
    (row,) = tried.json()["rows"]
    assert row["before"] == shown.json()
    (event,) = tried.json()["events"]
    assert event["data"]["name"] == "***"
    assert "Bola" not in tried.text
    assert (await log(admin, 1))[0][0] == "ChangeContact", "nothing was disclosed"
    tried = await admin.ask("PATCH", path + DRY, {"name": "Bola Ade"})
    assert tried.json()["rows"][0]["after"]["name"] == "Bola Ade"
    page = (await admin.get("/v1/admin-activity-logs?limit=1")).json()
    (entry,) = page["items"]
    assert (entry["action"], entry["persons"]) == ("Read", [user["id"]])


async def test_a_borrower_sees_their_own_rows(admin: Client) -> None:
    user = await admin.user(1)
    own = await log_in(admin, 1)
    told = await try_(own, "/v1/loans", LOAN | {"userId": user["id"]})
    assert {row["entity"] for row in told["rows"]} == {"User", "Loan"}
    shown = (await own.get(f"/v1/users/{user['id']}", headers=await admin.caught_up())).json()
    rows = {row["entity"]: row for row in told["rows"]}
    assert rows["User"]["before"] == shown
    assert "metadata" not in rows["Loan"]["after"], "staff's columns"
    assert (told["events"], told["journal"]) == ([], [])
    assert [each["userId"] for each in told["figures"]] == [user["id"]]


async def test_under_a_rule_a_proposal_would_be_made_and_what_it_would_do_is_told(
    admin: Client, database: str
) -> None:
    user = await admin.user()
    await rule(admin, "SetCreditLimit", threshold=10)
    path = f"/v1/users/{user['id']}/credit-limit"
    await admin.get("/v1/outbound", headers=await admin.caught_up())
    before = contents(database)
    told = await try_(admin, path, {"limit": 500, "reason": "She pays."})
    assert contents(database) == before
    assert told["status"] == 202
    assert told["receipt"].keys() == {"proposalId", "version"}
    assert [each["type"] for each in told["events"]] == ["CommandProposed"]
    (row,) = told["onApproval"]["rows"]
    assert (row["entity"], row["after"]["creditLimit"]) == ("User", 500)
    below = await try_(admin, path, {"limit": 5, "reason": "She does not."})
    assert "onApproval" not in below


async def test_lines_see_those_before_them_and_nothing_is_written(
    admin: Client, database: str
) -> None:
    officer = await admin.colleague()
    id_ = "01980f5e-0000-7000-8000-00000000000a"
    loan = "01980f5e-0000-7000-8000-00000000000b"
    lines = [
        {"op": "POST /v1/users", "key": "a", "body": ADA | {"id": id_, "creditLimit": 200}},
        {"op": "POST /v1/loans", "body": LOAN | {"userId": id_, "id": loan}},
        {"op": "POST /v1/loans", "body": LOAN | {"userId": id_, "amount": 500}},
        {"op": f"POST /v1/loans/{loan}/reject", "body": {"reason": "no"}, "version": 1},
        {"op": f"POST /v1/loans/{loan}/approve"},
        {"op": "POST /v1/users", "body": ADA},
    ]
    await admin.get("/v1/outbound", headers=await admin.caught_up())
    before = contents(database)
    answer = await send(officer, DRY, *lines)
    assert answer.status_code == 200, answer.text
    told = read(answer)
    assert contents(database) == before
    assert [each["status"] for each in told] == [201, 201, 409, 200, 409, 409]
    assert [each["line"] for each in told] == [1, 2, 3, 4, 5, 6]
    assert told[1]["rows"][0]["before"]["name"] == "Ada"
    assert told[5]["problem"]["code"] == "phone-taken", told[5]
    entries = await log(admin, 7)
    assert entries[:6] == [
        ("RegisterUser", {"outcome": "tried", "dryRun": True}),
        ("RequestLoan", {"outcome": "tried", "dryRun": True}),
        ("RequestLoan", {"outcome": told[2]["problem"]["code"], "dryRun": True}),
        ("RejectLoan", {"outcome": "tried", "dryRun": True}),
        ("ApproveLoan", {"outcome": "invalid-transition", "dryRun": True}),
        ("RegisterUser", {"outcome": "phone-taken", "dryRun": True}),
    ]
    assert entries[6][0] == "Read"
    done = read(await send(officer, "", *lines))
    assert [each["status"] for each in done] == [each["status"] for each in told]


async def test_an_atomic_file_is_tried_as_a_whole(admin: Client, database: str) -> None:
    id_ = "01980f5e-0000-7000-8000-00000000000a"
    good = {"op": "POST /v1/users", "body": ADA | {"id": id_, "creditLimit": 200}}
    bad = {"op": "POST /v1/loans", "body": LOAN | {"userId": id_, "amount": 500}}
    await admin.get("/v1/outbound", headers=await admin.caught_up())
    before = contents(database)
    refused = await send(admin, f"{DRY}&atomic=true", good, bad)
    told = read(refused)
    assert told[0]["problem"]["code"] == "aborted"
    tried = await send(admin, f"{DRY}&atomic=true", good)
    assert [each["status"] for each in read(tried)] == [201]
    assert contents(database) == before
    really = await send(admin, "?atomic=true", good, bad)
    assert really.status_code == refused.status_code
    assert [each["status"] for each in read(really)] == [each["status"] for each in told]
    assert (await send(admin, DRY)).json()["code"] == "no-lines"


async def test_what_looks_at_the_tables_stands_first(admin: Client) -> None:
    payout = {
        "provider": "paystack",
        "gross": 1,
        "fee": 0,
        "reference": "P",
        "date": "2026-01-01",
    }
    lines = [
        {"op": "POST /v1/users", "body": ADA},
        {"op": "POST /v1/settlements", "body": payout},
    ]
    first, second, own = read(
        await send(admin, DRY, *lines, {"op": f"POST /v1/users{DRY}", "body": ADA})
    )
    assert first["status"] == 201
    assert (own["status"], own["problem"]["code"]) == (422, "unknown-parameter")
    assert (second["status"], second["problem"]["code"]) == (422, "not-after-others")
    (alone,) = read(await send(admin, DRY, lines[1]))
    assert alone["problem"]["code"] != "not-after-others"


async def test_what_is_no_command_says_so(admin: Client) -> None:
    seen = set[str]()
    for route in ROUTES:
        if not isinstance(route, Other) or route.method == "GET":
            continue
        path = route.path.replace("{id}", "x").replace("{integration}", "x")
        answer = await admin.ask(route.method, path + DRY, {})
        name = route.name or getattr(route.answer, "__name__", "")
        if answer.status_code == 403:
            assert name == "log_out_borrower"
        elif answer.status_code == 422 and "dryRun" in answer.text:
            (error,) = answer.json()["errors"]
            assert "no dry run" in error["detail"], route.path
        else:
            seen.add(name)
    assert seen == OTHERS
    assigned = await try_(admin, "/v1/tickets/auto-assign")
    assert assigned["receipt"] == {"assigned": 0}
    assert (await admin.get(f"/v1/users{DRY}")).status_code == 422


async def test_of_an_erasure_nothing_readable_would_be_left(admin: Client) -> None:
    user = await admin.user()
    told = await try_(admin, f"/v1/users/{user['id']}/erase")
    (row,) = [each for each in told["rows"] if each["entity"] == "User"]
    assert (row["before"]["name"], row["before"]["erased"]) == ("Ada", False)
    assert (row["after"]["name"], row["after"]["erased"]) == (None, True)
