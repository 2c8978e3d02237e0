"""Write-offs through HTTP: rows, figures explained, the past, the journal, rights."""

from typing import Any

from tests.api.conftest import Client
from tests.api.routes.test_charges import lent

WHY = {"reason": "cannot be found"}


async def figures(admin: Client, path: str, **query: Any) -> tuple[Any, ...]:
    answer = await admin.get(path, params=query, headers=await admin.caught_up())
    row = answer.json()
    when = bool(row["writtenOffAt"])
    return row["status"], row["outstandingAmount"], when, row["writtenOffAmount"]


async def test_a_loan_is_written_off_recovered_and_explained(admin: Client) -> None:
    path = await lent(admin)
    early = await admin.post(f"{path}/write-off", WHY)
    assert (early.status_code, early.json()["code"]) == (409, "invalid-transition")
    await admin.post(f"{path}/default", WHY)
    done = await admin.post(f"{path}/write-off", WHY)
    assert done.status_code == 200, done.text
    assert await figures(admin, path) == ("defaulted", 115, True, 115)
    before = done.json()["position"] - 2
    assert await figures(admin, path, asOf=before) == ("defaulted", 115, False, None)
    row = (await admin.get(path)).json()
    assert row["writtenOffBy"]
    undone = await admin.post(f"{path}/undo-write-off", WHY)
    assert await figures(admin, path) == ("defaulted", 115, False, None)
    assert undone.status_code == 200
    await admin.post(f"{path}/write-off", WHY)
    paid = {"type": "repayment", "userId": row["userId"], "amount": 20, "paymentMethod": "cash"}
    await admin.post("/v1/transactions", paid)
    assert await figures(admin, path) == ("defaulted", 95, True, 115)
    late = await admin.post(f"{path}/undo-write-off", WHY)
    assert (late.status_code, late.json()["code"]) == (409, "recovered-since")
    told = (await admin.get(f"{path}/explain")).json()["figures"]["writtenOffAmount"]
    assert [(each["event"], each["to"]) for each in told["events"]] == [
        ("LoanWrittenOff", 115),
        ("LoanWriteOffUndone", None),
        ("LoanWrittenOff", 115),
    ]
    accounts = (await admin.get("/v1/trial-balance")).json()["accounts"]
    balances = {each["account"]: each["balance"] for each in accounts}
    assert (balances["1200.MTN"], balances["1210"], balances["1290"]) == (0, 0, 0)
    assert (balances["4200"], balances["5100"]) == (-20, 115)


async def test_who_approved_a_loan_does_not_write_it_off(admin: Client) -> None:
    path = await lent(admin)
    await admin.post(f"{path}/default", WHY)
    approver = await admin.as_("officer")
    denied = await approver.post(f"{path}/write-off", WHY)
    assert (denied.status_code, denied.json()["code"]) == (403, "self-approval")
    fees = {"resource": "loans.fees", "actions": ["write"]}
    clerk = await admin.take_on("clerk", fees)
    assert (await clerk.post(f"{path}/write-off", WHY)).status_code == 403
