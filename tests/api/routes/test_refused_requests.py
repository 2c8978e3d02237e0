"""Loan requests that were refused, through HTTP: listed, as CSV, and decided again."""

import csv
import io
import json
from typing import Any

import psycopg
import pytest

from tests.api.conftest import Client, running
from tests.api.routes.borrowers import log_in

PATH = "/v1/refused-requests"


async def refusals(client: Client, query: str = "") -> list[dict[str, Any]]:
    answer = await client.get(PATH + query, headers=await client.caught_up())
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def wanting(user: dict[str, Any], amount: int) -> dict[str, Any]:
    return {"userId": user["id"], "amount": amount, "network": "MTN"}


async def ask_in_vain(client: Client, user: dict[str, Any], amount: int, **more: Any) -> None:
    answer = await client.post("/v1/loans", wanting(user, amount), **more)
    assert (answer.status_code, answer.json()["code"]) == (409, "credit-limit-exceeded")


async def test_a_refused_request_is_listed_once_and_is_no_event(admin: Client) -> None:
    me = (await admin.get("/v1/auth/me")).json()["id"]
    user, other = await admin.user(creditLimit=300), await admin.user(1, creditLimit=300)
    head = admin.app.state.context.ledger.head
    headers = {"Idempotency-Key": "once", "X-Request-Id": "the-request"}
    for _ in range(2):
        await ask_in_vain(admin, user, 400, headers=headers)
    await ask_in_vain(admin, other, 500)
    assert admin.app.state.context.ledger.head == head
    (line,) = await refusals(admin, f"?userId={user['userId']}")
    assert (line["userId"], line["amount"], line["network"]) == (user["id"], 400, "MTN")
    assert (line["code"], line["policy"]) == ("credit-limit-exceeded", "decision-v1")
    assert (line["creditLimit"], line["available"], line["position"]) == (300, 300, head)
    assert (line["actorId"], line["actorName"]) == (me, "admin")
    assert line["requestId"] == "the-request"
    assert (await admin.get(f"{PATH}/{line['id']}")).json() == line
    both = await refusals(admin, "?code=credit-limit-exceeded")
    assert [each["amount"] for each in both] == [500, 400]
    granted = await admin.post("/v1/loans", wanting(user, 300))
    assert granted.status_code == 201
    assert len(await refusals(admin)) == 2


async def test_each_way_of_asking_leaves_it(admin: Client) -> None:
    user = await admin.user(creditLimit=300)
    lines = [{"op": "POST /v1/loans", "body": wanting(user, amount)} for amount in (100, 400)]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    kind = {"Content-Type": "application/x-ndjson"}
    for way in ("/v1/bulk?atomic=true", "/v1/bulk"):
        await admin.ask("POST", way, headers=kind, content=body)
    assert [(each["amount"], each["available"]) for each in await refusals(admin)] == [
        (400, 200),
        (400, 200),
    ]
    ada = await log_in(admin)
    answer = await ada.post("/v1/loans", wanting(user, 500))
    assert answer.status_code == 409, answer.text
    line = (await refusals(admin))[0]
    assert (line["actorType"], line["actorId"]) == ("user", user["id"])


async def test_it_needs_the_right_to_read_loans_and_comes_as_csv(admin: Client) -> None:
    user, other = await admin.user(creditLimit=300), await admin.user(1, creditLimit=300)
    for each in (user, other):
        await ask_in_vain(admin, each, 400)
    clerk = await admin.take_on("clerk", {"resource": "users", "actions": ["read"]})
    as_csv = {"Accept": "text/csv"}
    for headers in ({}, as_csv):
        assert (await clerk.get(PATH, headers=headers)).status_code == 403
    (line,) = await refusals(admin, f"?userId={user['id']}")
    answer = await admin.get(f"{PATH}?userId={user['userId']}", headers=as_csv)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row.keys() == line.keys()
    assert (row["id"], row["amount"], row["code"]) == (line["id"], "400.00", line["code"])
    assert row["timestamp"] == line["timestamp"]


async def test_a_policy_is_tried_on_what_was_refused(admin: Client) -> None:
    user = await admin.user(creditLimit=300)
    for key, value in (("autoApprove", True), ("autoApproveMinScore", 0), ("maxOpenLoans", 1)):
        path = f"/v1/system-config/lending/{key}"
        assert (await admin.ask("PUT", path, {"value": value})).status_code in (200, 201)
    assert (await admin.post("/v1/loans", wanting(user, 100))).status_code == 201
    answer = await admin.post("/v1/loans", wanting(user, 150))
    assert answer.json()["code"] == "too-many-open-loans"
    (refusal,) = await refusals(admin)

    async def simulate(policy: dict[str, Any]) -> dict[str, Any]:
        found = await admin.post("/v1/simulations", {"policy": policy})
        assert found.status_code == 200, found.text
        return dict(found.json())

    same = await simulate({})
    assert (same["requests"], same["changedRequests"]) == (2, 0)
    looser = await simulate({"lending": {"maxOpenLoans": 2}})
    (change,) = looser["changes"]
    assert (change["loan"], change["refusedRequest"]) == (None, refusal["id"])
    assert (change["before"], change["after"]) == ("refused", "approved")
    assert (change["amount"], change["user"]["id"]) == (150, user["id"])
    assert (looser["looser"]["requests"], looser["looser"]["lent"]) == (1, 0)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.refused_requests SET amount = 1",
        "DELETE FROM ledger.refused_requests",
        "TRUNCATE ledger.refused_requests",
    ],
)
async def test_nobody_rewrites_it(database: str, statement: str) -> None:
    async with running(database) as admin:
        await ask_in_vain(admin, await admin.user(creditLimit=300), 400)
    with (
        psycopg.connect(database) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed"),
    ):
        connection.execute(statement.encode())
