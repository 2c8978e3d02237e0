"""A provider's statement through the API: every line settled, stored, and fetched again."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from api.routes import statements
from tests.api.conftest import Client, running
from tests.api.routes.test_bulk import send

HEADER = "date,reference,amount,provider,narration"
CSV = {"content-type": "text/csv; charset=utf-8"}
NDJSON = {"accept": "application/x-ndjson"}


async def pay(admin: Client, user: str, references: list[str], **more: Any) -> None:
    """Repayments of 100 that wait for their money, at paystack; a colleague recorded them."""
    body = {"type": "repayment", "userId": user, "amount": 100, "paymentMethod": "card"}
    body |= {"provider": "paystack", **more}
    lines = [
        {"op": "POST /v1/transactions", "body": {**body, "reference": each}} for each in references
    ]
    assert {each["status"] for each in await send(await admin.colleague(), lines)} == {201}


def file(*lines: str) -> bytes:
    return "\n".join([HEADER, *lines, ""]).encode()


def line(reference: str, amount: str = "100.00", provider: str = "paystack") -> str:
    return f"2026-01-05,{reference},{amount},{provider},from Ada Obi"


async def upload(admin: Client, body: bytes, **headers: str) -> httpx.Response:
    return await admin.post("/v1/statements", content=body, headers=CSV | headers)


async def items(admin: Client, id: str, query: str = "") -> list[dict[str, Any]]:
    """Every line of a statement, page by page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while cursor is not None:
        path = f"/v1/statements/{id}?limit=200{query}" + (f"&cursor={cursor}" if cursor else "")
        page = await admin.get(path, headers=await admin.caught_up())
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        cursor = page.json()["nextCursor"]
    return found


async def test_every_line_is_found_counted_and_kept(admin: Client) -> None:
    user = (await admin.user())["id"]
    await pay(admin, user, ["R-1", "R-2", "R-3"])
    await pay(admin, user, ["R-4"], provider=None)
    mine = await admin.get("/v1/transactions?reference=R-3", headers=await admin.caught_up())
    third = f"/v1/transactions/{mine.json()['items'][0]['id']}"
    for step in ("/complete", "/reconcile"):
        assert (await admin.post(third + step, {})).status_code == 200
    whole = file(
        line("R-1"),
        line("R-2", "99.5"),
        line("R-3"),
        line("R-4", provider="card"),
        line("R-9"),
        line("R-1"),
        "yesterday,R-5,1,paystack,x",
    )
    answer = await upload(admin, whole)
    assert answer.status_code == 201, answer.text
    counts = answer.json()
    statement = counts.pop("id")
    assert counts == {
        "lines": 7,
        "matched": 2,
        "mismatched": 1,
        "unknown": 1,
        "duplicate": 1,
        "alreadyReconciled": 1,
        "ownRecord": 0,
        "refused": 0,
        "invalid": 1,
    }
    assert answer.headers["location"] == f"/v1/statements/{statement}"
    assert answer.headers["ledger-position"] == str(admin.app.state.context.ledger.head)
    one = await admin.get(f"/v1/statements/{statement}", headers=await admin.caught_up())
    shown = one.json()
    assert {name: shown[name] for name in counts} == counts
    assert [(each["line"], each["outcome"]) for each in shown["items"]] == [
        (1, "matched"),
        (2, "mismatched"),
        (3, "alreadyReconciled"),
        (4, "matched"),
        (5, "unknown"),
        (6, "duplicate"),
        (7, "invalid"),
    ]
    assert shown["items"][1]["differs"] == {"amount": {"statement": 99.5, "transaction": 100.0}}
    assert shown["items"][6]["reason"] == "date: a date looks like 2026-01-31"
    assert "Ada Obi" not in one.text
    rows = await admin.get("/v1/transactions?status=completed")
    settled = {each["reference"]: each["reconciledAt"] for each in rows.json()["items"]}
    assert settled.keys() == {"R-1", "R-3", "R-4"}
    assert all(settled.values())
    only = await items(admin, statement, "&outcome=mismatched&outcome=unknown")
    assert [each["line"] for each in only] == [2, 5]
    listed = (await admin.get("/v1/statements")).json()["items"]
    assert [each["id"] for each in listed] == [statement]
    told = (await admin.get(f"/v1/statements/{statement}/events")).json()["items"]
    assert (told[0]["type"], told[-1]["type"]) == ("StatementStarted", "StatementFinished")


async def test_the_same_file_again_changes_nothing_and_answers_the_first_result(
    admin: Client,
) -> None:
    await pay(admin, (await admin.user())["id"], ["R-1"])
    first = await upload(admin, file(line("R-1"), line("R-2")))
    head = admin.app.state.context.ledger.head
    again = await upload(admin, file(line("R-1"), line("R-2")))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert admin.app.state.context.ledger.head == head
    other = await upload(admin, file(line("R-2"), line("R-1")))
    assert other.status_code == 201
    assert (other.json()["unknown"], other.json()["alreadyReconciled"]) == (1, 1)


async def test_an_idempotency_key_answers_as_before_and_takes_no_other_file(admin: Client) -> None:
    key = {"idempotency-key": "k1"}
    first = await upload(admin, file(line("R-1")), **key)
    again = await upload(admin, file(line("R-1")), **key)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    other = await upload(admin, file(line("R-2")), **key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


async def test_an_interrupted_import_goes_on_where_it_stopped(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "LINES_AT_ONCE", 10)
    references = [f"R-{number}" for number in range(35)]
    whole = file(*map(line, references))
    settle = statements.settle
    calls = 0

    def settle_some(*given: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise RuntimeError("the process ends")
        return settle(*given)

    async with running(database) as admin:
        await pay(admin, (await admin.user())["id"], references)
        with monkeypatch.context() as patched:
            patched.setattr(statements, "settle", settle_some)
            said = (await upload(admin, whole, **NDJSON)).text.splitlines()
            assert json.loads(said[-1])["problem"]["status"] == 500
        (half,) = (await admin.get("/v1/statements", headers=await admin.caught_up())).json()[
            "items"
        ]
        assert (half["lines"], half["matched"], half["finishedAt"]) == (20, 20, None)
        monkeypatch.setattr(statements, "LINES_AT_ONCE", 7)
        done = await upload(admin, whole)
        assert (done.status_code, done.json()["id"]) == (200, half["id"])
        assert (done.json()["lines"], done.json()["matched"]) == (35, 35)
        found = await items(admin, half["id"])
        assert [each["line"] for each in found] == list(range(1, 36))
        assert {each["outcome"] for each in found} == {"matched"}


async def test_two_thousand_lines_report_their_progress_and_the_summary_last(admin: Client) -> None:
    references = [f"R-{number}" for number in range(2000)]
    await pay(admin, (await admin.user())["id"], references)
    answer = await upload(admin, file(*map(line, references)), **NDJSON)
    assert answer.status_code == 201
    said = [json.loads(each) for each in answer.text.splitlines()]
    progress = [each["progress"]["lines"] for each in said[:-1]]
    assert progress == sorted(progress)
    assert progress[0] == statements.LINES_AT_ONCE
    assert (said[-1]["lines"], said[-1]["matched"]) == (2000, 2000)
    assert len(await items(admin, said[-1]["id"])) == 2000


async def test_two_uploads_of_one_file_at_once_settle_each_line_once(admin: Client) -> None:
    references = [f"R-{number}" for number in range(450)]
    await pay(admin, (await admin.user())["id"], references)
    whole = file(*map(line, references))
    answers = await asyncio.gather(upload(admin, whole), upload(admin, whole))
    assert {each.status_code for each in answers} <= {200, 201}
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["matched"] == 450


async def test_it_takes_both_rights_and_nobody_else_learns_anything(admin: Client) -> None:
    right = {"resource": "statements", "actions": ["read", "write"]}
    clerk = await admin.take_on("clerk", right)
    assert (await upload(clerk, b"nonsense")).status_code == 403
    other = {"resource": "transactions.reconciliation", "actions": ["write"]}
    both = await admin.take_on("both", right, other)
    assert (await upload(both, file(line("R-1")))).status_code == 201
    assert (await clerk.get("/v1/statements")).status_code == 200
    nobody = Client(admin.http, admin.app)
    assert (await upload(nobody, b"nonsense")).status_code == 401


async def test_a_file_that_is_none_is_refused_before_anything_is_settled(admin: Client) -> None:
    head = admin.app.state.context.ledger.head
    refused = [
        (await upload(admin, b"")).json()["code"],
        (await upload(admin, b"date,reference\n")).json()["code"],
        (await upload(admin, file("x" * 70_000))).json()["code"],
        (await upload(admin, file(*["a"] * 100_001))).json()["code"],
        (await admin.post("/v1/statements", {})).json()["code"],
    ]
    assert refused == [
        "invalid-header",
        "invalid-header",
        "line-too-long",
        "too-many-lines",
        "unsupported-media-type",
    ]
    assert admin.app.state.context.ledger.head == head
    unknown = await admin.get(f"/v1/statements/{'0' * 8}-0000-7000-8000-{'0' * 12}")
    assert unknown.status_code == 404
