"""Alerts over HTTP, and the values that they watch, measured in real tables."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from api.cli.clock import tick
from api.config.settings import Settings
from api.pipeline.background import note_unexpected
from projections.follow.rebuild import rebuild
from projections.measures import TableMeasures
from rim_ledger.delivery.breaker import Breaker
from rim_ledger.delivery.port import Channel
from rim_ledger.notifications.alert import AlertType
from rim_ledger.notifications.alert_monitor import AlertMonitor
from rim_ledger.postgres.heartbeat import note_fault
from tests.api.conftest import Client
from tests.api.routes.test_broadcasts import Listening, courier

ALL = "/v1/system-alerts"
OVERDUE = {
    "name": "Too many overdue",
    "type": "overdue_loans",
    "threshold": 1,
    "channel": ["email", "dashboard"],
    "recipients": ["superadmin"],
}


pytestmark = pytest.mark.begun_now


async def add(admin: Client, **more: Any) -> str:
    made = await admin.post(ALL, OVERDUE | more)
    assert made.status_code == 201, made.text
    return f"{ALL}/{made.json()['id']}"


async def row(admin: Client, one: str) -> dict[str, Any]:
    return dict((await admin.get(one, headers=await admin.caught_up())).json())


def url_of(admin: Client) -> str:
    return str(admin.app.state.settings.database_url)


def alarm(admin: Client) -> AlertMonitor:
    context, url = admin.app.state.context, url_of(admin)
    return AlertMonitor(url, context.ledger, TableMeasures(url), context.environment)


async def measured(admin: Client, type: AlertType, **later: float) -> Decimal | None:
    """A value at a time, seen when the tables have caught up."""
    context = admin.app.state.context
    assert await context.tables.wait(context.ledger.head)
    return await TableMeasures(url_of(admin)).value(type, datetime.now(UTC) + timedelta(**later))


async def lend(admin: Client) -> None:
    boss = await admin.take_on_superadmin("boss")
    user = (await admin.user())["userId"]
    loan = await admin.post("/v1/loans", {"userId": user, "amount": 500, "network": "MTN"})
    one = f"/v1/loans/{loan.json()['loanId']}"
    assert (await boss.post(one + "/approve")).status_code == 200
    assert (await boss.post(one + "/disburse")).status_code == 200


async def test_an_alert_lives_and_is_found_by_type_and_whether_it_is_enabled(admin: Client) -> None:
    one = await add(admin)
    other = await add(admin, type="api_failure", threshold=2.5, enabled=False)
    shown = await row(admin, one)
    assert shown == shown | OVERDUE | {
        "enabled": True,
        "state": "unknown",
        "lastTriggered": None,
        "triggerCount": 0,
        "archived": False,
    }
    for query, found in (("type=api_failure", other), ("enabled=true", one)):
        items = (await admin.get(f"{ALL}?{query}")).json()["items"]
        assert [f"{ALL}/{each['id']}" for each in items] == [found]
    changed = await admin.ask("PATCH", other, {"threshold": 3, "channel": ["sms"]})
    assert changed.status_code == 200
    assert (await admin.post(other + "/enable")).status_code == 200
    assert (await admin.post(one + "/disable")).status_code == 200
    assert (await admin.post(one + "/acknowledge")).json()["code"] == "not-firing"
    assert (await admin.ask("DELETE", one)).status_code == 200
    assert (await row(admin, one))["archived"] is True
    shown = await row(admin, other)
    assert (shown["threshold"], shown["channel"], shown["enabled"]) == (3, ["sms"], True)
    wrong = await admin.post(ALL, OVERDUE | {"recipients": ["nobody"]})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "unknown-recipient")


async def rows(admin: Client, query: str) -> list[dict[str, Any]]:
    path = f"/v1/notifications?{query}"
    answer = await admin.get(path, headers=await admin.caught_up())
    return list(answer.json()["items"])


async def test_an_overdue_loan_is_told_to_those_who_asked_for_it(admin: Client) -> None:
    await lend(admin)
    one = await add(admin)
    context = admin.app.state.context
    assert await context.tables.wait(context.ledger.head)
    late = datetime.now(UTC) + timedelta(days=40)
    await courier(admin).deliver_due()  # That somebody was taken on is told as well.
    before = len(admin.outbox())
    await alarm(admin).evaluate()
    assert (await row(admin, one))["state"] == "normal"
    await alarm(admin).evaluate(late)
    await alarm(admin).evaluate(late + timedelta(minutes=1))
    assert admin.outbox()[before:] == [], "whoever looks sends nothing"
    assert await courier(admin).deliver_due() == 2
    sent = admin.outbox()[before:]
    assert sorted(each["to"] for each in sent) == ["admin@rim.example", "boss@example.com"]
    shown = await row(admin, one)
    assert (shown["state"], shown["triggerCount"], shown["lastValue"]) == ("firing", 1, 1)
    assert (await admin.post(one + "/acknowledge")).status_code == 200
    assert (await row(admin, one))["acknowledgedBy"]
    for channel, status in (("email", "sent"), ("dashboard", "delivered")):
        told = await rows(admin, f"channel={channel}&alertId={shown['id']}")
        assert [each["status"] for each in told] == [status] * 2
        kinds = {(each["type"], each["recipientType"]) for each in told}
        assert kinds == {("alert", "admin")}
        assert len({each["adminId"] for each in told}) == 2
        words = {(each["title"], each["message"].partition(" at ")[0]) for each in told}
        assert words == {("Alert: Too many overdue", "Overdue loans: 1")}


async def test_one_tick_looks_and_then_tells(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(admin, type="system_error")
    settings = admin.app.state.settings
    await note_fault(url_of(admin), admin.app.state.context.environment, "clock: KeyError")
    monkeypatch.setattr(Settings, "load", lambda: settings)
    await asyncio.to_thread(tick)
    told = [(each["channel"], each["to"], each["subject"]) for each in admin.outbox()]
    assert told == [("email", "admin@rim.example", "Alert: Too many overdue")]
    await asyncio.to_thread(tick)
    assert len(admin.outbox()) == 1


async def test_a_rebuild_tells_nobody_and_shows_the_same(admin: Client, database: str) -> None:
    context, spy = admin.app.state.context, Listening()
    for name in ("told", "untold"):
        await note_fault(url_of(admin), context.environment, name)
        await add(admin, type="system_error")
        await alarm(admin).evaluate()
        if name == "told":
            assert await courier(admin, spy).deliver_due() == 1
    for check in (True, False):
        rebuilt = await rebuild(database, context.vault, lambda *_: None, check=check)
        assert not rebuilt.differences
        assert len(spy.sent) == 1
    assert len(await rows(admin, "channel=email&status=sent")) == 1
    assert len(await rows(admin, "channel=email&status=pending")) == 1


async def test_overdue_loans_are_those_past_due_with_something_outstanding(admin: Client) -> None:
    assert await measured(admin, AlertType.OVERDUE_LOANS) == 0
    await lend(admin)
    assert await measured(admin, AlertType.OVERDUE_LOANS, days=29) == 0
    assert await measured(admin, AlertType.OVERDUE_LOANS, days=32) == 1


async def test_repayments_are_judged_by_those_that_failed_or_hang(admin: Client) -> None:
    assert await measured(admin, AlertType.PAYMENT_GATEWAY) is None
    body = {"type": "repayment", "userId": (await admin.user())["userId"], "amount": 50}
    body |= {"paymentMethod": "card", "provider": "paystack", "reference": "P-1"}
    paid = await admin.post("/v1/transactions", body)
    assert paid.status_code == 201, paid.text
    assert await measured(admin, AlertType.PAYMENT_GATEWAY) == 0
    assert await measured(admin, AlertType.PAYMENT_GATEWAY, minutes=16) == 1
    one = f"/v1/transactions/{paid.json()['id']}"
    assert (await admin.post(one + "/fail", {"reason": "declined"})).status_code == 200
    assert await measured(admin, AlertType.PAYMENT_GATEWAY) == 1
    assert await measured(admin, AlertType.PAYMENT_GATEWAY, minutes=16) is None


async def test_urgent_and_escalated_tickets_are_issues_until_they_are_resolved(
    admin: Client,
) -> None:
    assert await measured(admin, AlertType.USER_ISSUE) == 0
    body = {"customerId": (await admin.user())["userId"], "subject": "Help"}
    body |= {"description": "Nothing works", "category": "technical", "priority": "urgent"}
    opened = await admin.post("/v1/tickets", body)
    assert opened.status_code == 201, opened.text
    await admin.post("/v1/tickets", body | {"priority": "low"})
    assert await measured(admin, AlertType.USER_ISSUE) == 1
    one = f"/v1/tickets/{opened.json()['id']}"
    assert (await admin.post(one + "/resolve", {"resolution": "It does"})).status_code == 200
    assert await measured(admin, AlertType.USER_ISSUE) == 0


async def test_failed_calls_are_counted_where_there_were_any(admin: Client) -> None:
    context = admin.app.state.context
    breaker = Breaker(url_of(admin), context.ledger, context.environment)
    assert await measured(admin, AlertType.API_FAILURE) is None
    await breaker.note(uuid4(), failed=False)
    assert await measured(admin, AlertType.API_FAILURE) == 0
    await breaker.note(uuid4(), failed=True)
    assert await measured(admin, AlertType.API_FAILURE) == 1
    assert await measured(admin, AlertType.API_FAILURE, minutes=6) is None


async def test_an_unexpected_error_is_counted(admin: Client) -> None:
    context = admin.app.state.context
    assert await measured(admin, AlertType.SYSTEM_ERROR) == 0
    note_unexpected(context, ZeroDivisionError())
    for note in list(context.notes):
        await note
    await note_fault(url_of(admin), context.environment, "clock: KeyError")
    assert await measured(admin, AlertType.SYSTEM_ERROR) == 2
    assert await measured(admin, AlertType.SYSTEM_ERROR, minutes=6) == 0


@pytest.mark.unfollowed
async def test_when_nobody_fills_the_tables_they_tell_nothing_and_that_is_an_error(
    admin: Client,
) -> None:
    async with await psycopg.AsyncConnection.connect(url_of(admin)) as connection:
        await connection.execute(
            "INSERT INTO ledger.events (position, stream_id, version, name, body, recorded_at)"
            " SELECT max(position) + 1, %s, 1, 'X', '{}', now() - interval '2 minutes'"
            " FROM ledger.events",
            [uuid4()],
        )
        await connection.execute(
            "UPDATE read.tracking SET position = (SELECT max(position) - 1 FROM ledger.events)"
        )
    now, measures = datetime.now(UTC), TableMeasures(url_of(admin))
    assert await measures.value(AlertType.OVERDUE_LOANS, now) is None
    assert await measures.value(AlertType.SYSTEM_ERROR, now) == 1


@pytest.mark.database
async def test_without_a_database_nobody_can_tell() -> None:
    away = TableMeasures("postgresql://nobody@/nothing?host=/nowhere")
    now = datetime.now(UTC)
    assert await away.value(AlertType.SYSTEM_ERROR, now) is None
    assert await away.failing(now) == ()


async def test_a_channel_fails_whose_provider_failed_last(admin: Client) -> None:
    context = admin.app.state.context
    measures = TableMeasures(url_of(admin))
    body = {"name": "Termii", "type": "sms", "provider": "termii"}
    body |= {"baseUrl": "https://sms.example"}
    made = await admin.post("/v1/api-integrations", body)
    sms = UUID(made.json()["id"])
    async with await psycopg.AsyncConnection.connect(url_of(admin)) as connection:
        assert await context.tables.wait(context.ledger.head)
        await connection.execute("UPDATE read.api_integrations SET status = 'active'")
    breaker = Breaker(url_of(admin), context.ledger, context.environment)
    await breaker.note(sms, failed=False)
    assert await measures.failing(datetime.now(UTC)) == set()
    await breaker.note(sms, failed=True)
    assert await measures.failing(datetime.now(UTC)) == {Channel.SMS}
