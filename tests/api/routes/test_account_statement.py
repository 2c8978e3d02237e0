"""Account statements through HTTP: what adds up, who may read them, and in which shapes."""

import csv
import io
from typing import Any

import pytest

from tests.api.conftest import Client
from tests.api.routes.borrowers import log_in
from tests.api.routes.test_activity import lines
from tests.api.routes.test_journal import lend_and_repay

READER = {"resource": "transactions", "actions": ["read"]}
LENDERS = {"resource": "users", "actions": ["read"]}


async def answered(client: Client, user: str, query: str = "", accept: str = "") -> Any:
    path = f"/v1/users/{user}/account-statement{query}"
    headers = await client.caught_up() | ({"Accept": accept} if accept else {})
    return await client.get(path, headers=headers)


async def statement(client: Client, user: str, query: str = "") -> dict[str, Any]:
    answer = await answered(client, user, query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_opening_balance_and_movements_add_up_to_the_closing_balance(admin: Client) -> None:
    made = await lend_and_repay(admin)
    user, loan, payment = made["user"], made["loan"]["id"], made["payment"]
    whole = await statement(admin, user["userId"])
    moved = [(each["event"], each["amount"], each["balance"]) for each in whole["movements"]]
    assert moved == [("DebtIncurred", 115, 115), ("RepaymentAllocated", -120, -5)]
    lent, paid = whole["movements"]
    assert (lent["loanId"], lent["transactionId"]) == (loan, None)
    assert (paid["loanId"], paid["transactionId"]) == (None, payment["id"])
    assert (whole["openingBalance"], whole["closingBalance"]) == (0, -5)
    assert (whole["from"], whole["to"]) == (None, None)
    assert (whole["id"], whole["userId"], whole["name"]) == (user["id"], user["userId"], "Ada")
    events = (await admin.get(f"/v1/users/{user['id']}/events")).json()["items"]
    assert paid["eventId"] in {each["id"] for each in events}


async def test_days_cut_a_statement_and_as_of_shows_what_was_known(admin: Client) -> None:
    made = await lend_and_repay(admin)
    user = made["user"]["id"]
    lent = (await statement(admin, user))["movements"][0]
    then = await statement(admin, user, f"?asOf={lent['position']}")
    assert (len(then["movements"]), then["closingBalance"]) == (1, 115)
    assert then["position"] == lent["position"]
    old = await statement(admin, user, "?to=2020-01-01")
    assert (old["movements"], old["openingBalance"], old["closingBalance"]) == ([], 0, 0)
    new = await statement(admin, user, "?from=2199-01-01")
    assert (new["movements"], new["openingBalance"], new["closingBalance"]) == ([], -5, -5)
    assert new["from"] == "2199-01-01"


async def test_every_change_of_what_is_owed_is_a_movement(admin: Client) -> None:
    made = await lend_and_repay(admin)
    user, officer = made["user"]["id"], await admin.as_("officer")
    loan, payment = (
        f"/v1/loans/{made['loan']['id']}",
        f"/v1/transactions/{made['payment']['id']}",
    )
    for client, path, body in (
        (officer, f"{payment}/reverse", {"reason": "a duplicate"}),
        (admin, f"{loan}/charge-fee", {"amount": 5, "reason": "a visit"}),
        (admin, f"{loan}/waive-charges", {"amount": 3, "reason": "goodwill"}),
        (admin, f"{loan}/default", {"reason": "gone"}),
    ):
        answer = await client.post(path, body)
        assert answer.status_code == 200, answer.text
    whole = await statement(admin, user)
    assert [each["amount"] for each in whole["movements"]] == [115, -120, 120, 5, -3]
    assert whole["closingBalance"] == (await admin.get(loan)).json()["outstandingAmount"] == 117


async def test_csv_has_both_balances_and_each_movement(admin: Client) -> None:
    made = await lend_and_repay(admin)
    answer = await answered(admin, made["user"]["id"], "?from=2020-01-01", "text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    opening, lent, paid, closing = csv.DictReader(io.StringIO(answer.text))
    assert (opening["at"], opening["event"], opening["balance"]) == (
        "2020-01-01",
        "OpeningBalance",
        "0.00",
    )
    assert (lent["event"], lent["loanId"], lent["amount"]) == (
        "DebtIncurred",
        made["loan"]["id"],
        "115.00",
    )
    assert (paid["amount"], paid["balance"]) == ("-120.00", "-5.00")
    assert (closing["event"], closing["balance"]) == ("ClosingBalance", "-5.00")


async def test_the_page_to_print_is_plain_and_escapes_names(admin: Client) -> None:
    officer = await admin.take_on_superadmin("officer")
    user = await admin.user(name="Ada <b>&")
    loan = await admin.post("/v1/loans", {"userId": user["id"], "amount": 2000, "network": "MTN"})
    for step in ("approve", "disburse"):
        answer = await officer.post(f"/v1/loans/{loan.json()['id']}/{step}")
        assert answer.status_code == 200, answer.text
    answer = await answered(admin, user["id"], "", "text/html")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = answer.text
    assert "Ada &lt;b&gt;&amp;" in page
    assert f"<td>Loan disbursed</td><td>{loan.json()['loanId']}</td>" in page
    assert '<td align="right">2,300.00</td>' in page
    assert "<script" not in page
    assert "style" not in page


async def test_borrowers_read_their_own_and_nobody_elses(admin: Client) -> None:
    made = await lend_and_repay(admin)
    user, other = made["user"]["id"], await admin.user(1)
    ada, bola = await log_in(admin), await log_in(admin, 1)
    own = await statement(ada, user)
    assert (own["name"], own["closingBalance"]) == ("Ada", -5)
    assert (await statement(bola, other["id"]))["movements"] == []
    for query in ("", "?from=2026-01-01"):
        assert (await answered(bola, user, query)).status_code == 404
    assert (await answered(bola, user, "", "text/html")).status_code == 404
    hidden = await answered(ada, user, "?asOf=1")
    assert (hidden.status_code, hidden.json()["code"]) == (422, "unknown-parameter")


async def test_staff_need_transactions_read_and_see_persons_as_elsewhere(admin: Client) -> None:
    user = (await lend_and_repay(admin))["user"]["id"]
    clerk = await admin.take_on("clerk", READER)
    assert (await statement(clerk, user))["name"] == (await masked_name(admin, user))
    other = await admin.take_on("other", LENDERS)
    assert (await answered(other, user)).status_code == 403
    count = len(await lines(admin, persons=user))
    await statement(admin, user, "?from=2026-01-01")
    logged, *others = await lines(admin, persons=user)
    assert len(others) == count
    assert (logged["action"], logged["resourceId"]) == ("Read", user)
    assert logged["details"]["filters"] == {"from": ["2026-01-01"]}


async def masked_name(admin: Client, user: str) -> Any:
    """What staff without users.pii read as the name."""
    reader = await admin.take_on("reader", LENDERS)
    row = await reader.get(f"/v1/users/{user}", headers=await admin.caught_up())
    assert row.status_code == 200, row.text
    return row.json()["name"]


@pytest.mark.parametrize(
    "query",
    ["?from=yesterday", "?to=2026-02-30", "?from=20260101", "?from=2026-02-01&to=2026-01-31"]
    + ["?from=2026-01-01&from=2026-01-02", "?until=2026-01-01", "?to=9999-12-31"],
)
async def test_a_wrong_period_is_refused(admin: Client, query: str) -> None:
    user = await admin.user()
    assert (await answered(admin, user["id"], query)).status_code == 422
    assert (await answered(admin, "USR-2026-999999", query)).status_code == 422


async def test_what_is_not_there_and_what_is_not_given_is_refused(admin: Client) -> None:
    user = await admin.user()
    assert (await answered(admin, "USR-2026-999999")).status_code == 404
    assert (await answered(admin, user["id"], "?asOf=1")).status_code == 404
    assert (await answered(admin, user["id"], "", "image/png")).status_code == 406
