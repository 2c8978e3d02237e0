"""Business time through HTTP: what had happened by a time, however late it was recorded."""

import json
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest

from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.loan import Loan, LoanRepaid
from tests.api.conftest import ADA, Client
from tests.api.pipeline.test_past import READS

AT: Final = "2016-{}T09:00:00.000000Z".format
LENT, PAID, SOLD, OVER = AT("03-01"), AT("03-10"), AT("04-01"), AT("12-31")
APPROXIMATE, HINT = "ledger-approximate", "ledger-hint"


async def imported(admin: Client) -> dict[str, str]:
    """A borrower, a loan of 100 at 15 % and payments of 2016, recorded today and out of order;
    their paths."""
    officer = await admin.colleague()

    async def new(path: str, who: Client = admin, **body: Any) -> str:
        answer = await who.post(path, body)
        assert answer.status_code in (200, 201), answer.text
        return f"{path}/{answer.json()['id']}"

    user = await new("/v1/users", **ADA, creditLimit=5000, occurredAt=AT("01-05"))
    id_ = user.rsplit("/", 1)[1]
    wish = {"userId": id_, "amount": 100, "network": "MTN", "interestRate": 15}
    loan = await new("/v1/loans", **wish, repaymentPeriod=30, occurredAt=AT("02-28"))
    for step in ("approve", "disburse"):
        await new(f"{loan}/{step}", officer, occurredAt=LENT)
    pay = {"type": "repayment", "userId": id_, "paymentMethod": "card"}
    made = {"user": user, "loan": loan}
    for name, amount, at in (("late", 75, AT("03-20")), ("early", 40, PAID)):
        made[name] = await new("/v1/transactions", **pay, amount=amount, occurredAt=at)
        await new(f"{made[name]}/complete", officer)
    return made


async def shown(client: Client, path: str, **query: Any) -> Any:
    answer = await client.get(path, params=query, headers=await client.caught_up())
    assert answer.status_code in (200, 404), answer.text
    return answer.json() if answer.status_code == 200 else None


async def test_what_was_imported_is_there_at_the_time_of_business(admin: Client) -> None:
    made = await imported(admin)
    loan = made["loan"]
    for time, status, paid in (
        (AT("02-28"), "pending", 0),
        (LENT, "disbursed", 0),
        (AT("03-09"), "disbursed", 0),
        (PAID, "repaying", 40),
        (AT("03-19"), "repaying", 40),
        (AT("03-20"), "completed", 115),
        ("2016-03-20T10:00:00%2B01:00".replace("%2B", "+"), "completed", 115),
        (OVER, "completed", 115),
    ):
        row = await shown(admin, loan, effectiveAt=time)
        assert (row["status"], row["amountPaid"]) == (status, paid), time
        assert row["outstandingAmount"] == 115 - paid
        listed = await shown(admin, "/v1/loans", effectiveAt=time)
        assert listed["items"] == [row]
        assert (await shown(admin, "/v1/loans", effectiveAt=time, status=status)) == listed
        own = await shown(admin, f"{made['user']}/loans", effectiveAt=time)
        assert own["items"] == [row]
        as_lines = {"Accept": "application/x-ndjson"}
        told = await admin.get("/v1/loans", params={"effectiveAt": time}, headers=as_lines)
        assert [json.loads(line) for line in told.text.splitlines()] == [row]
        user = await shown(admin, made["user"], effectiveAt=time)
        assert user["totalRepaid"] == paid
        principal = {0: 100, 40: 60, 115: 0}[paid]  # What was recorded first paid the fee.
        assert user["exposure"] == principal
    assert (await shown(admin, loan, effectiveAt=PAID))["completedAt"] is None
    assert (await shown(admin, loan, effectiveAt=OVER))["completedAt"] == AT("03-20")
    assert await shown(admin, loan, effectiveAt=AT("02-27")) is None
    assert await shown(admin, made["user"], effectiveAt="2015-12-31T23:00:00Z") is None
    payments = await shown(admin, "/v1/transactions", effectiveAt=PAID, type="repayment")
    (payment,) = payments["items"]
    assert (payment["amount"], payment["status"]) == (40, "completed")
    assert payment == await shown(admin, made["early"], effectiveAt=PAID)
    assert await shown(admin, made["late"], effectiveAt=PAID) is None


async def test_by_now_all_is_as_it_is(admin: Client) -> None:
    made = await imported(admin)
    lists = ["/v1/loans", "/v1/transactions", f"{made['user']}/transactions"]
    for path in (*made.values(), *lists):
        query = {"effectiveAt": "2199-12-31T00:00:00Z"}
        then = await admin.get(path, params=query, headers=await admin.caught_up())
        now = await admin.get(path)
        assert (then.json(), then.headers.get("etag")) == (now.json(), now.headers.get("etag"))
        assert then.headers["ledger-position"] == now.headers["ledger-position"]
        assert APPROXIMATE not in then.headers
        assert HINT not in then.headers


async def test_a_correction_stands_at_the_time_of_what_it_corrects(admin: Client) -> None:
    made = await imported(admin)
    before = (await admin.caught_up())["Ledger-Position"]
    undone = await admin.post(f"{made['early']}/reverse", {"reason": "a double"})
    assert undone.status_code == 200, undone.text
    row = await shown(admin, made["loan"], effectiveAt=PAID)
    assert (row["status"], row["amountPaid"]) == ("disbursed", 0)
    assert (await shown(admin, made["early"], effectiveAt=PAID))["status"] == "refunded"
    assert (await shown(admin, made["loan"], effectiveAt=OVER))["amountPaid"] == 75
    known = await shown(admin, made["loan"], effectiveAt=PAID, asOf=before)
    assert (known["status"], known["amountPaid"]) == ("repaying", 40)
    later = await shown(admin, made["loan"], effectiveAt=OVER, asOf=before)
    assert later["status"] == "completed"
    listed = await shown(admin, "/v1/loans", effectiveAt=PAID, asOf=before)
    assert listed["items"] == [known]
    for time, position in ((PAID, before), (PAID, None), (OVER, before), (OVER, None)):
        query = {"effectiveAt": time} | ({"asOf": position} if position else {})
        found = await shown(admin, "/v1/trial-balance", **query)
        owed = 115 - (await shown(admin, made["loan"], **query))["amountPaid"]
        assert _balance(found, "1200.MTN") + _balance(found, "1210") == owed
        assert found["totalDebit"] == found["totalCredit"]


def _balance(found: dict[str, Any], account: str) -> float:
    return sum(each["balance"] for each in found["accounts"] if each["account"] == account)


async def test_the_trial_balance_in_business_time(admin: Client) -> None:
    await imported(admin)
    for time, lent, cash in ((LENT, 115, 0), (PAID, 75, 40), (OVER, 0, 115)):
        found = await shown(admin, "/v1/trial-balance", effectiveAt=time)
        assert found["effectiveAt"] == time
        assert _balance(found, "1200.MTN") + _balance(found, "1210") == lent
        assert _balance(found, "1300.card") == cash
        assert found["totalDebit"] == found["totalCredit"]
        table = await admin.get("/v1/trial-balance.csv", params={"effectiveAt": time})
        assert len(table.text.splitlines()) == len(found["accounts"]) + 1
    before = await shown(admin, "/v1/trial-balance", effectiveAt=AT("02-28"))
    assert before["accounts"] == []
    now = await shown(admin, "/v1/trial-balance")
    assert now["effectiveAt"] is None
    then = await shown(admin, "/v1/trial-balance", effectiveAt="2199-12-31T00:00:00Z")
    assert then["accounts"] == now["accounts"]


async def test_an_answer_that_is_empty_by_time_of_recording_says_so(admin: Client) -> None:
    made = await imported(admin)
    fresh = await admin.caught_up()
    paths = [*made.values(), "/v1/loans", "/v1/loans?status=repaying", "/v1/transactions"]
    paths += [f"{made['user']}/loans", "/v1/trial-balance", "/v1/trial-balance.csv"]
    for path in paths:
        join = "&" if "?" in path else "?"
        answer = await admin.get(f"{path}{join}asOf={OVER}", headers=fresh)
        assert "effectiveAt" in answer.headers[HINT], path
        if answer.status_code == 404:
            assert answer.json()["hint"] == answer.headers[HINT]
        for query in ("asOf=2015-12-31T00:00:00Z", f"asOf={OVER}&effectiveAt={OVER}", "asOf=1"):
            answer = await admin.get(f"{path}{join}{query}")
            assert HINT not in answer.headers, (path, query)
    there = await admin.get("/v1/loans?asOf=2199-01-01T00:00:00Z")
    assert HINT not in there.headers


async def test_an_older_event_that_does_not_say_when_it_happened_is_owned_up_to(
    admin: Client,
) -> None:
    made = await imported(admin)
    paths = [made["loan"], made["user"], "/v1/loans", "/v1/trial-balance"]
    paths.append("/v1/trial-balance.csv")
    for path in (*paths, made["early"]):
        answer = await admin.get(f"{path}?effectiveAt={PAID}", headers=await admin.caught_up())
        assert APPROXIMATE not in answer.headers, path
    older = LoanRepaid(amount=Decimal(1), principal=Decimal(1), interest=Decimal(0))

    def work(uow: UnitOfWork) -> UUID:
        loan = uow.read(Loan, UUID(made["loan"].rsplit("/", 1)[1]))
        uow.append(Loan, loan.id, [older])
        return loan.id

    context = admin.app.state.context
    await context.ledger.submit(work, Stamp(at=context.environment.now(), actor=SYSTEM))
    for path in (*paths, made["early"]):
        if path != made["user"]:
            answer = await admin.get(f"{path}?effectiveAt={PAID}", headers=await admin.caught_up())
            assert (APPROXIMATE in answer.headers) == (path != made["early"]), path
            assert APPROXIMATE not in (await admin.get(path)).headers
    for media in ("application/x-ndjson", "text/csv"):
        told = await admin.get(f"/v1/loans?effectiveAt={PAID}", headers={"Accept": media})
        assert APPROXIMATE in told.headers
    payments = await admin.get(f"/v1/transactions?effectiveAt={PAID}")
    assert APPROXIMATE not in payments.headers


async def test_a_loan_may_be_older_than_the_registration_of_its_borrower(admin: Client) -> None:
    user = await admin.user()
    wish = {"userId": user["id"], "amount": 100, "network": "MTN"}
    made = await admin.post("/v1/loans", wish | {"occurredAt": LENT})
    assert made.status_code == 201, made.text
    loan, path = f"/v1/loans/{made.json()['id']}", f"/v1/users/{user['id']}"
    row = await shown(admin, loan, effectiveAt=OVER)
    assert (row["status"], row["userPhone"]) == ("pending", None)
    assert (await shown(admin, f"{path}/loans", effectiveAt=OVER))["items"] == [row]
    assert await shown(admin, path, effectiveAt=OVER) is None
    now = await shown(admin, path, effectiveAt="2199-12-31T00:00:00Z")
    assert (now["exposure"], now["totalLoans"]) == (100, 1)


async def test_a_time_of_business_that_cannot_be_meant_is_refused(admin: Client) -> None:
    made = await imported(admin)
    fresh = await admin.caught_up()
    for query in (
        f"{made['loan']}?effectiveAt=2016-12-31",
        f"{made['loan']}?effectiveAt=5",
        f"{made['loan']}?effectiveAt=2016-12-31T09:00:00",
        f"{made['loan']}?effectiveAt=",
        f"{made['loan']}?effectiveAt={OVER}&effectiveAt={OVER}",
        f"{made['loan']}?effectiveAt={OVER}&asOf=99999999",
        f"/v1/loans?sort=dueDate&effectiveAt={OVER}",
        "/v1/loans?effectiveAt=yesterday",
        f"/v1/users?effectiveAt={OVER}",
        f"/v1/trial-balance?effectiveAt={OVER}&effectiveAt={OVER}",
        "/v1/trial-balance?effectiveAt=now",
        f"/v1/tickets?effectiveAt={OVER}",
        f"/v1/audit-logs?effectiveAt={OVER}",
        f"/v1/journal?effectiveAt={OVER}",
        f"{made['loan']}/explain?effectiveAt={OVER}",
    ):
        assert (await admin.get(query, headers=fresh)).status_code == 422, query


@pytest.mark.parametrize("erased", [False, True])
async def test_who_sees_what_is_as_it_is_today(admin: Client, erased: bool) -> None:
    made = await imported(admin)
    clerk = await admin.take_on("clerk", *READS)
    if erased:
        gone = await admin.post(f"{made['user']}/erase", {})
        assert gone.status_code == 200, gone.text
    row = await shown(admin, made["user"], effectiveAt=PAID)
    assert (row["name"], row["erased"]) == ((None, True) if erased else ("Ada", False))
    masked = await shown(clerk, made["user"], effectiveAt=PAID)
    assert masked["phone"] == (None if erased else masked["phone"])
    assert masked["phone"] != ADA["phone"]
    assert masked["name"] != "Ada"
    nobody = await admin.take_on("nobody", READS[0])
    answer = await nobody.get(f"{made['loan']}?effectiveAt={PAID}")
    assert answer.status_code == 403
    assert (await nobody.get(f"/v1/trial-balance?effectiveAt={PAID}")).status_code == 403
