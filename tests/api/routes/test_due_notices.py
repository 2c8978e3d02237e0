"""Due notices through the service: asked for, queued by the clock, sent once, and not in vain."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from rim_ledger.schedule import tick
from rim_ledger.values import LAGOS
from tests.api.conftest import Client, serving
from tests.api.routes.test_broadcasts import courier

SETTING = "/v1/system-config/lending/dueNotices"
DUE_IN_DAYS = 5


def morning() -> datetime:
    """Ten o'clock in Lagos on the day on which the loan of a test is due."""
    day = datetime.now(LAGOS) + timedelta(days=DUE_IN_DAYS)
    return day.replace(hour=10).astimezone(UTC)


async def lent(admin: Client) -> dict[str, Any]:
    """A borrower with a loan that is due in some days; their ids."""
    officer, user = await admin.colleague(), await admin.user()
    body = {"userId": user["id"], "amount": 100, "network": "MTN", "repaymentPeriod": DUE_IN_DAYS}
    loan = (await admin.post("/v1/loans", body)).json()
    for step in ("approve", "disburse"):
        answer = await officer.post(f"/v1/loans/{loan['id']}/{step}")
        assert answer.status_code == 200, answer.text
    return {"user": user["id"], "loan": loan["id"], "loanId": loan["loanId"]}


async def ask_for_notices(admin: Client, *days: int) -> None:
    answer = await admin.ask("PUT", SETTING, {"value": [*days]})
    assert answer.status_code == 200, answer.text
    await tick(admin.app.state.context.dispatch)


async def scheduled(admin: Client) -> list[dict[str, Any]]:
    """The notices, as staff see them."""
    path = "/v1/notifications?limit=200"
    items = (await admin.get(path, headers=await admin.caught_up())).json()["items"]
    return [each for each in items if each["type"] == "scheduled"]


def sms(client: Client) -> list[dict[str, Any]]:
    """The SMS that left; mails are about accounts."""
    return [each for each in client.outbox() if each["channel"] == "sms"]


async def pay(admin: Client, made: dict[str, Any]) -> None:
    body = {"type": "repayment", "userId": made["user"], "amount": 115, "paymentMethod": "cash"}
    answer = await admin.post("/v1/transactions", body)
    assert answer.status_code == 201, answer.text


async def test_loans_of_before_the_setting_are_told_of_once(admin: Client, database: str) -> None:
    made = await lent(admin)
    await ask_for_notices(admin, -1, 0)
    shown = (await admin.get(SETTING, headers=await admin.caught_up())).json()
    assert (shown["value"], shown["dataType"]) == ([-1, 0], "json")
    assert await scheduled(admin) == []
    at = morning()
    async with serving(database) as process:
        here, there = (each.app.state.context.dispatch for each in (admin, process))
        await asyncio.gather(*(tick(each, at) for each in (here, there, here)))
        await tick(there, at + timedelta(hours=1))
        workers = [courier(admin), courier(admin.at(process))]
        await asyncio.gather(*(each.deliver_due(at) for each in workers))
        await courier(admin).deliver_due(at)
        told = [*sms(admin), *sms(process)]
    (message,) = told
    assert made["loanId"] in message["body"]
    (notice,) = await scheduled(admin)
    assert (notice["channel"], notice["status"], notice["userId"]) == (
        "sms",
        "sent",
        made["user"],
    )
    events = (await admin.get(f"/v1/loans/{made['loan']}/events")).json()["items"]
    assert [each["type"] for each in events].count("DueNoticeSent") == 1


async def test_a_payment_that_comes_before_the_message_goes_withholds_it(admin: Client) -> None:
    await ask_for_notices(admin, 0)
    made, at = await lent(admin), morning()
    await tick(admin.app.state.context.dispatch, at)
    assert [each["status"] for each in await scheduled(admin)] == ["pending"]
    await pay(admin, made)
    await courier(admin).deliver_due(at)
    (notice,) = await scheduled(admin)
    assert notice["status"] == "failed"
    assert "Nothing is owed" in notice["errorMessage"]
    assert sms(admin) == []


async def test_payment_and_notice_at_once_end_in_either_order(admin: Client) -> None:
    await ask_for_notices(admin, 0)
    made, at = await lent(admin), morning()
    dispatch = admin.app.state.context.dispatch
    await asyncio.gather(tick(dispatch, at), pay(admin, made))
    await courier(admin).deliver_due(at)
    assert sms(admin) == []
    await tick(dispatch, at + timedelta(hours=1))
    assert all(each["status"] == "failed" for each in await scheduled(admin))


async def test_nothing_is_queued_while_sending_is_stopped(admin: Client) -> None:
    await ask_for_notices(admin, 0)
    await lent(admin)
    stopped = await admin.post("/v1/outbound", {"enabled": False})
    assert stopped.status_code == 200, stopped.text
    await tick(admin.app.state.context.dispatch, morning())
    assert await scheduled(admin) == []
    assert sms(admin) == []


async def test_what_is_no_list_of_days_is_refused(admin: Client) -> None:
    for value, code in (("1", "wrong-type"), ([1.5], "wrong-type"), ([400], "out-of-range")):
        answer = await admin.ask("PUT", SETTING, {"value": value})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
