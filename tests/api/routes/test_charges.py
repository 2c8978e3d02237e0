"""Fees and waivers through HTTP: rows, figures explained, the past, the journal, rights."""

from typing import Any

from tests.api.conftest import Client

WHY = {"reason": "came late"}


async def lent(admin: Client) -> str:
    """The path of a loan of 100 naira at 15 %."""
    officer, user = await admin.take_on_superadmin("officer"), await admin.user()
    wish = {"userId": user["userId"], "amount": 100, "network": "MTN"}
    path = f"/v1/loans/{(await admin.post('/v1/loans', wish)).json()['id']}"
    for step in ("approve", "disburse"):
        assert (await officer.post(f"{path}/{step}")).status_code == 200
    return path


async def figures(admin: Client, path: str, **query: Any) -> tuple[Any, ...]:
    answer = await admin.get(path, params=query, headers=await admin.caught_up())
    row = answer.json()
    return tuple(row[each] for each in ("amountDue", "feesCharged", "feesWaived", "status"))


async def test_a_fee_is_charged_and_waived_and_every_figure_says_why(admin: Client) -> None:
    path = await lent(admin)
    charged = await admin.post(f"{path}/charge-fee", WHY | {"amount": 7.5})
    assert charged.status_code == 200, charged.text
    assert await figures(admin, path) == (122.5, 7.5, 0, "disbursed")
    too_much = await admin.post(f"{path}/charge-fee", WHY | {"amount": 2.51})
    assert (too_much.status_code, too_much.json()["code"]) == (409, "fee-above-cap")
    waived = await admin.post(f"{path}/waive-charges", WHY | {"amount": 10})
    assert await figures(admin, path) == (112.5, 7.5, 10, "disbursed")
    assert (await figures(admin, path, asOf=charged.json()["position"]))[2] == 0
    assert (await figures(admin, path, asOf=charged.json()["position"] - 2))[1] == 0
    told = (await admin.get(f"{path}/explain")).json()["figures"]
    moved = [each["event"] for each in told["amountDue"]["events"]]
    assert moved == ["LoanRequested", "LoanFeeCharged", "LoanChargesWaived"]
    assert told["feesWaived"]["events"][-1]["because"]["charges"] == {
        "fee": "7.50",
        "interest": "2.50",
    }
    assert told["feesCharged"]["events"][-1]["because"]["reason"] == "came late"
    audit = await admin.get("/v1/audit-logs?action=LoanChargesWaived")
    (line,) = audit.json()["items"]
    assert line["changes"]["amountDue"] == {"old": 122.5, "new": 112.5}
    accounts = (await admin.get("/v1/trial-balance")).json()["accounts"]
    balances = {each["account"]: each["balance"] for each in accounts}
    assert (balances["1220"], balances["1210"], balances["4110"]) == (0, 12.5, -7.5)
    assert balances["5400"] == 10
    assert waived.json()["position"] > charged.json()["position"]


async def test_a_waiver_that_leaves_nothing_answers_with_the_completed_loan(admin: Client) -> None:
    path = await lent(admin)
    user = (await admin.get(path, headers=await admin.caught_up())).json()["userId"]
    paid = {"type": "repayment", "userId": user, "amount": 14, "paymentMethod": "cash"}
    await admin.post("/v1/transactions", paid)
    defaulted = await admin.post(f"{path}/default", WHY)
    assert defaulted.status_code == 200, defaulted.text
    await admin.post("/v1/transactions", paid | {"amount": 100})
    preferred = {"Prefer": "return=representation"}
    answer = await admin.post(f"{path}/waive-charges", WHY, headers=preferred)
    row = answer.json()
    assert (row["status"], row["outstandingAmount"], row["feesWaived"]) == ("completed", 0, 1)
    again = await admin.post(f"{path}/waive-charges", WHY)
    assert (again.status_code, again.json()["code"]) == (409, "invalid-transition")


async def test_a_receipt_says_that_a_waiver_completed_the_loan(admin: Client) -> None:
    path = await lent(admin)
    user = (await admin.get(path, headers=await admin.caught_up())).json()["userId"]
    paid = {"type": "repayment", "userId": user, "amount": 14, "paymentMethod": "cash"}
    await admin.post("/v1/transactions", paid)
    await admin.post(f"{path}/default", WHY)  # Principal is paid first from now on.
    await admin.post("/v1/transactions", paid | {"amount": 99})
    charged = await admin.post(f"{path}/charge-fee", WHY | {"amount": 2})
    await admin.post("/v1/transactions", paid | {"amount": 1})
    part = await admin.post(f"{path}/waive-charges", WHY | {"amount": 1})
    assert "completed" not in charged.json() | part.json()
    wish, key = WHY | {"amount": 2}, {"Idempotency-Key": "all-that-is-left"}
    whole = await admin.post(f"{path}/waive-charges", wish, headers=key)
    assert whole.json()["completed"] is True, whole.text
    again = await admin.post(f"{path}/waive-charges", wish, headers=key)
    assert again.json() == whole.json()


async def test_each_needs_a_right_of_its_own(admin: Client) -> None:
    path = await lent(admin)
    for resource, step in (("loans.fees", "charge-fee"), ("loans.waiver", "waive-charges")):
        other = "loans.waiver" if resource == "loans.fees" else "loans.fees"
        may = {"resource": resource, "actions": ["write"]}
        may_not = {"resource": other, "actions": ["write"]}
        name = step.replace("-", "_")
        wish = WHY | {"amount": 1}
        denied = await (await admin.take_on(f"no_{name}", may_not)).post(f"{path}/{step}", wish)
        assert denied.status_code == 403
        done = await (await admin.take_on(name, may)).post(f"{path}/{step}", wish)
        assert done.status_code == 200, done.text
