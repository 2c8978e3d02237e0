"""The journal through HTTP: entries, sums at any moment, CSV."""

import csv
import io
from decimal import Decimal
from typing import Any

from tests.api.conftest import Client


async def lend_and_repay(admin: Client) -> dict[str, Any]:
    """A loan of 100 naira at 15 %, paid with 120; the receipts."""
    officer = await admin.take_on_superadmin("officer")
    user = await admin.user()
    loan = await admin.post(
        "/v1/loans", {"userId": user["userId"], "amount": 100, "network": "MTN"}
    )
    path = f"/v1/loans/{loan.json()['id']}"
    for step in ("approve", "disburse"):
        assert (await officer.post(f"{path}/{step}")).status_code == 200
    payment = await admin.post(
        "/v1/transactions",
        {"type": "repayment", "userId": user["id"], "amount": 120, "paymentMethod": "cash"},
    )
    assert payment.status_code == 201, payment.text
    return {"loan": loan.json(), "payment": payment.json(), "user": user}


async def test_every_entry_names_its_event_and_sums_to_zero(admin: Client) -> None:
    made = await lend_and_repay(admin)
    seen = await admin.caught_up()
    page = (await admin.get("/v1/journal?sort=position", headers=seen)).json()["items"]
    assert [entry["event"] for entry in page] == [
        "LoanDisbursed",
        "LoanRepaid",
        "TransactionCompleted",
    ]
    for entry in page:
        assert sum(line["debit"] - line["credit"] for line in entry["lines"]) == 0
        assert entry["userId"] == made["user"]["id"]
    lent = await admin.get(f"/v1/journal?loanId={made['loan']['loanId']}&account=1210")
    assert [entry["event"] for entry in lent.json()["items"]] == ["LoanRepaid", "LoanDisbursed"]
    paid = await admin.get(f"/v1/journal?transactionId={made['payment']['transactionId']}")
    assert [entry["event"] for entry in paid.json()["items"]] == [
        "TransactionCompleted",
        "LoanRepaid",
    ]
    float_ = (await admin.get("/v1/journal?account=1100.MTN")).json()["items"]
    assert [entry["event"] for entry in float_] == ["LoanDisbursed"]
    one = await admin.get(f"/v1/journal/{page[0]['id']}")
    assert one.json() == page[0]
    assert (await admin.post("/v1/journal", {})).status_code == 405


async def test_the_trial_balance_is_zero_at_every_position(admin: Client) -> None:
    made = await lend_and_repay(admin)
    seen = await admin.caught_up()
    now = (await admin.get("/v1/trial-balance", headers=seen)).json()
    balances = {each["account"]: each["balance"] for each in now["accounts"]}
    assert balances == {
        "1100.MTN": -100,
        "1200.MTN": 0,
        "1210": 0,
        "1300.cash": 120,
        "2100": 0,
        "2110": -5,
        "4100": -15,
    }
    for position in range(made["payment"]["position"] + 1):
        then = (await admin.get(f"/v1/trial-balance?asOf={position}")).json()
        assert (then["position"], then["totalDebit"]) == (position, then["totalCredit"])
    again = (await admin.get(f"/v1/trial-balance?asOf={now['at']}")).json()
    assert again == now
    before = (await admin.get("/v1/trial-balance?asOf=2020-01-01T00:00:00Z")).json()
    assert (before["position"], before["accounts"], before["at"]) == (0, [], None)


async def test_a_moment_that_is_none_is_refused(admin: Client) -> None:
    for query in ("asOf=yesterday", "asOf=99999999", "asOf=1&asOf=2", "at=1", "asOf=%00"):
        answer = await admin.get(f"/v1/trial-balance?{query}")
        assert answer.status_code in (400, 422), query


async def test_both_come_as_csv(admin: Client) -> None:
    await lend_and_repay(admin)
    seen = await admin.caught_up()
    lines = await admin.get("/v1/journal.csv", headers=seen)
    rows = list(csv.DictReader(io.StringIO(lines.text)))
    assert lines.headers["content-type"].startswith("text/csv")
    assert sum(Decimal(row["debit"]) - Decimal(row["credit"]) for row in rows) == 0
    assert len(rows) == 4 + 3 + 4
    sums = await admin.get("/v1/trial-balance.csv", headers=seen)
    table = list(csv.DictReader(io.StringIO(sums.text)))
    assert {row["account"]: row["name"] for row in table}["1300.cash"] == "Cash clearing, cash"


async def test_the_journal_needs_its_permission(admin: Client) -> None:
    clerk = await admin.take_on("clerk", {"resource": "loans", "actions": ["read"]})
    for path in ("/v1/journal", "/v1/journal.csv", "/v1/trial-balance"):
        assert (await clerk.get(path)).status_code == 403
