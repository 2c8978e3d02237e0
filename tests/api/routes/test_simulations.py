"""A proposed policy tried on the past, over HTTP: what would have changed, and nothing written."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.api.conftest import Client, running

APPROVING = {"autoApprove": True, "autoApproveMinScore": 500}


async def simulate(admin: Client, policy: Any, **more: Any) -> dict[str, Any]:
    answer = await admin.post("/v1/simulations", {"policy": policy, **more})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def configure(admin: Client, **settings: Any) -> None:
    for key, value in settings.items():
        path = f"/v1/system-config/lending/{key}"
        answer = await admin.ask("PUT", path, {"value": value})
        assert answer.status_code in (200, 201), answer.text


async def lend(admin: Client, user: str, amount: int) -> dict[str, Any]:
    body = {"amount": amount, "network": "MTN", "userId": user}
    answer = await admin.post("/v1/loans", body)
    assert answer.status_code == 201, answer.text
    loan: dict[str, Any] = answer.json()
    return loan


async def disburse(admin: Client, loan: dict[str, Any]) -> None:
    answer = await admin.post(f"/v1/loans/{loan['id']}/disburse", {})
    assert answer.status_code == 200, answer.text


async def repay(admin: Client, user: str, amount: float) -> None:
    body = {"type": "repayment", "userId": user, "amount": amount, "paymentMethod": "cash"}
    assert (await admin.post("/v1/transactions", body)).status_code == 201


async def history(admin: Client) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two borrowers under three policies: the one repays and defaults, the other waits."""
    ada, bola = await admin.user(1), await admin.user(2, creditLimit=1000)
    officer = await admin.take_on_superadmin("officer")
    await lend(admin, ada["id"], 100)  # Nothing is approved automatically yet.
    await configure(admin, **APPROVING)
    for amount in (200, 300):
        await disburse(officer, await lend(admin, ada["id"], amount))
    await repay(admin, ada["id"], 230)
    await configure(admin, autoApproveMinScore=600)
    await lend(admin, bola["id"], 700)
    loans = (await admin.get("/v1/loans", headers=await admin.caught_up())).json()["items"]
    owing = next(each["id"] for each in loans if each["amount"] == 300)
    assert (await admin.post(f"/v1/loans/{owing}/default", {"reason": "gone"})).status_code == 200
    return ada, bola


async def test_the_policy_in_force_changes_nothing_and_nothing_is_written(admin: Client) -> None:
    await history(admin)
    before = (await admin.get("/v1/events?limit=1")).headers["ledger-position"]
    report = await simulate(admin, {})
    assert (report["requests"], report["users"]) == (4, 2)
    assert (report["changedRequests"], report["changes"], report["outcomes"]) == (0, [], [])
    same = {"atStart": 500, "onTime": 30}
    assert (await simulate(admin, {"score": same}))["changedRequests"] == 0
    live = {"autoApprove": True, "autoApproveMinScore": 600, "maxOpenLoans": 3}
    against = {"lending": live}
    assert (await simulate(admin, against, against=against))["changedRequests"] == 0
    after = (await admin.get("/v1/events?limit=1")).headers["ledger-position"]
    assert before == after == str(report["position"])


async def test_a_report_tells_who_would_change_and_what_that_comes_to(admin: Client) -> None:
    ada, _ = await history(admin)
    report = await simulate(admin, {"lending": {"autoApproveMinScore": 600}})
    assert (report["changedRequests"], report["changedUsers"]) == (2, 1)
    first, second = sorted(report["changes"], key=lambda each: each["amount"])
    assert first["user"] == {"id": ada["id"], "userId": ada["userId"]}
    assert first["loan"]["loanId"].startswith("LOAN-")
    assert (first["before"], first["after"], first["score"]) == ("approved", "pending", 500)
    assert first["reasons"] == ["the score 500 is below 600"]
    assert (first["status"], first["defaulted"]) == ("completed", False)
    assert (second["status"], second["defaulted"]) == ("defaulted", True)
    assert report["exposure"]["after"] == 0 < report["exposure"]["before"]
    assert (report["defaultsAvoided"], report["incomeLost"]) == (1, 75)
    assert report["lossAvoided"] == 345
    (outcome,) = report["outcomes"]
    assert (outcome["before"], outcome["after"]) == ("approved", "pending")
    assert outcome["figures"] == report["stricter"]
    assert report["stricter"]["principal"] == 500
    assert sum(each["stricter"] for each in report["months"]) == 500


async def test_each_parameter_of_the_policy_is_tried(admin: Client) -> None:
    await history(admin)

    async def outcomes(policy: Any, **more: Any) -> dict[tuple[str, str], int]:
        found = (await simulate(admin, policy, **more))["outcomes"]
        return {(each["before"], each["after"]): each["figures"]["requests"] for each in found}

    assert await outcomes({"lending": {"autoApprove": False}}) == {("approved", "pending"): 2}
    assert await outcomes({"lending": {"maxOpenLoans": 1}}) == {("approved", "refused"): 2}
    cheap = {"lending": {"autoApproveMaxAmount": 250}}
    assert await outcomes(cheap) == {("approved", "pending"): 1}
    better = {"score": {"atStart": 640}}
    assert await outcomes(better) == {("pending", "approved"): 1}
    low = {"steps": [{"below": 600, "limit": 50}], "highest": 60}
    # Bola has the limit that the policy gave; Ada's was set by hand and stays.
    assert await outcomes({"limits": low}) == {("pending", "refused"): 1}
    loose, strict = {"lending": APPROVING}, {"lending": APPROVING | {"autoApprove": False}}
    assert await outcomes(strict, against=loose) == {("approved", "pending"): 4}
    assert await outcomes(loose, against=strict) == {("pending", "approved"): 4}


async def test_as_lines_every_change_comes_and_the_report_last(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.simulations.SHOWN_MAX", 1)
    monkeypatch.setattr("projections.analysis.backtest.PAGE", 1)
    async with running(database) as admin:
        await history(admin)
        body = {"policy": {"lending": {"autoApprove": False}}}
        whole = await simulate(admin, body["policy"])
        assert (len(whole.pop("changes")), whole.pop("changesLeftOut")) == (1, 1)
        accept = {"accept": "application/x-ndjson"}
        answer = await admin.post("/v1/simulations", body, headers=accept)
        *changes, last = map(json.loads, answer.text.splitlines())
        assert [[*each] for each in changes] == [["change"], ["change"]]
        assert last == {"report": whole}


async def test_who_may_not_simulate_is_refused_and_so_is_what_cannot_be_meant(
    admin: Client,
) -> None:
    clerk = await admin.take_on("clerk", {"resource": "loans", "actions": ["read"]})
    assert (await clerk.post("/v1/simulations", {"policy": {}})).status_code == 403
    rising = [{"below": 500, "limit": 50}, {"below": 400, "limit": 60}]
    for policy in (
        {"lending": {"autoApproveMinScore": 1001}},
        {"lending": {"interestRate": 10}},
        {"limits": {"steps": rising, "highest": 70}},
        {"limits": {"steps": [], "highest": 70}},
        {"score": {"onTime": 1.5}},
    ):
        answer = await admin.post("/v1/simulations", {"policy": policy})
        assert answer.status_code == 422, (policy, answer.text)
    assert (await admin.post("/v1/simulations", {})).status_code == 422


async def test_products_fees_and_later_due_dates_leave_back_tests_as_they_were(
    admin: Client,
) -> None:
    await configure(admin, vatRate=7.5, **APPROVING)
    terms = {"networks": ["MTN"], "minAmount": 50, "maxAmount": 500, "feeMode": "upfront"}
    cost = {"name": "Two weeks", "interestRate": 10, "repaymentPeriod": 14}
    product = (await admin.post("/v1/loan-products", terms | cost)).json()["id"]
    user, officer = await admin.user(), await admin.take_on_superadmin("officer")
    wish = {"userId": user["id"], "network": "MTN", "productId": product}
    refused = await admin.post("/v1/loans", wish | {"amount": 501})
    assert (refused.status_code, refused.json()["code"]) == (409, "amount-not-in-product")
    loan = (await admin.post("/v1/loans", wish | {"amount": 200})).json()
    await disburse(officer, loan)
    path, why = f"/v1/loans/{loan['id']}", {"reason": "came late"}
    row = (await admin.get(path, headers=await admin.caught_up())).json()
    later = datetime.fromisoformat(row["dueDate"]) + timedelta(days=3)
    day = {"dueDate": f"{later.date()}"}
    for step, more in (("charge-fee", {"amount": 5}), ("reschedule", day)):
        done = await admin.post(f"{path}/{step}", why | more)
        assert done.status_code == 200, done.text
    await repay(admin, user["id"], 205)
    report = await simulate(admin, {})
    assert (report["requests"], report["changedRequests"]) == (1, 0)
    report = await simulate(admin, {"lending": {"autoApproveMinScore": 600}})
    assert (report["changedRequests"], report["incomeLost"]) == (1, 25)
    (change,) = report["changes"]
    assert (change["fee"], change["status"], change["late"]) == (25, "completed", False)
