"""A loan of the past over HTTP: it ends with its latest money, and nothing is dated too early."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api.conftest import WORLD, Client


@pytest.mark.parametrize("order", [(300, 200), (200, 300)])
async def test_a_loan_ends_with_its_latest_money_whichever_was_recorded_last(
    admin: Client, order: tuple[int, int]
) -> None:
    now = WORLD.now()

    def on(days: int) -> dict[str, Any]:
        return {"occurredAt": (now + timedelta(days=days)).isoformat()}

    second = await admin.take_on_superadmin("second")
    user = await admin.user(**on(-21), creditScore=500)
    wish = {"userId": user["id"], "amount": 500, "network": "MTN"}
    terms = {"interestRate": 0, "repaymentPeriod": 3}
    made = await admin.post("/v1/loans", wish | terms | on(-20))
    loan = f"/v1/loans/{made.json()['id']}"
    for step in ("approve", "disburse"):
        answer = await second.post(f"{loan}/{step}", on(-20))
        assert answer.status_code == 200, answer.text
    for amount in order:
        day = -1 if amount == 300 else -18
        said = {"type": "repayment", "userId": user["id"], "amount": amount}
        body = said | {"paymentMethod": "bank_transfer"} | on(day)
        paid = await admin.post("/v1/transactions", body)
        path = f"/v1/transactions/{paid.json()['id']}"
        early = await second.post(f"{path}/complete", on(day - 1))
        assert (early.status_code, early.json()["code"]) == (422, "occurred-too-early")
        settled = await second.post(f"{path}/complete")
        assert settled.status_code == 200, settled.text
        early = await admin.post(f"{path}/reverse", {"reason": "an error"} | on(day))
        assert (early.status_code, early.json()["code"]) == (422, "occurred-too-early")
    shown = (await admin.get(loan, headers=await admin.caught_up())).json()
    assert shown["status"] == "completed"
    assert shown["completedAt"][:19] == (now - timedelta(days=1)).isoformat()[:19]
    row = (await admin.get(f"/v1/users/{user['id']}")).json()
    assert row["creditScore"] == 480
