"""Airtime over real HTTP: whatever the telco does, never two deliveries for one reference."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from rim_ledger.delivery import egress
from rim_ledger.delivery.kill_switch import SwitchOutbound
from rim_ledger.delivery.signature import SignedMessage
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending import dispatch
from rim_ledger.system.integration_commands import DeactivateIntegration
from rim_ledger.values import Network
from tests.delivery.telco import (
    KEY,
    LOST,
    SECRET,
    UNKNOWN,
    Lender,
    Mood,
    MoodyTelco,
    flood,
    lending,
)

LATER = (Mood.LATE, Mood.AFTERWARDS)


@pytest.fixture(autouse=True)
def _answers_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, who answers is heard."""
    monkeypatch.setattr(dispatch, "ANSWER_TIMEOUT_SECONDS", 60.0)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is late is not waited for as long as usual."""
    monkeypatch.setattr(egress, "CALL_TIMEOUT_SECONDS", 0.3)


@asynccontextmanager
async def lent_through(database: str, mood: Mood) -> AsyncIterator[tuple[Lender, MoodyTelco]]:
    """A lender, and their telco in one mood."""
    telco = MoodyTelco(lambda _: mood)
    async with lending(database, telco) as lender:
        yield lender, telco


def simulated_top_ups(database: str) -> int:
    with psycopg.connect(database) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM ledger.simulated_top_ups").fetchall()
        return int(count)


async def test_airtime_goes_through_the_integration_of_its_network(database: str) -> None:
    async with lent_through(database, Mood.DELIVERS) as (lender, telco):
        lent = await lender.disburse(await lender.approved(1))
        assert (lent.disbursement, lent.telco_reference) == (
            "delivered",
            f"T-{lent.reference}",
        )
        other = await lender.disburse(await lender.approved(2, Network.GLO))
        assert (other.disbursement, other.integration) == ("delivered", None)
        request = telco.requests[0]
        assert json.loads(request.body) == {
            "reference": lent.reference,
            "phone": "+2348030000001",
            "network": "MTN",
            "amount": "100.00",
        }
        assert (request.path, request.headers["idempotency-key"]) == ("/top-ups", lent.reference)
        assert request.headers["authorization"] == f"Bearer {KEY}"
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        message = SignedMessage(*(request.headers[name] for name in names), request.body)
        assert message.is_signed(SECRET, lender.environment.now())
    assert telco.delivered.total() == 1
    assert simulated_top_ups(database) == 1


async def test_a_definite_failure_may_be_tried_again_under_a_new_reference(database: str) -> None:
    async with lent_through(database, Mood.DECLINES) as (lender, telco):
        loan = await lender.approved(1)
        first = await lender.disburse(loan)
        assert first.disbursement == "failed"
        telco.mood = lambda _: Mood.DELIVERS
        again = await lender.disburse(loan)
        assert again.disbursement == "delivered"
        assert again.reference != first.reference
    assert telco.delivered.total() == 1


@pytest.mark.parametrize("mood", [each for each in UNKNOWN if each not in LATER])
async def test_what_is_not_known_is_asked_about_and_never_sent_again(
    database: str, mood: Mood
) -> None:
    async with lent_through(database, mood) as (lender, telco):
        loan = await lender.approved(1)
        lent = await lender.disburse(loan)
        assert lent.disbursement == "unknown"
        with pytest.raises(Refused, match="wait for its outcome"):
            await lender.disburse(loan)
        await lender.later(seconds=6)
        lost = mood in LOST
        assert (await lender.loan(loan)).disbursement == ("unknown" if lost else "delivered")
        await lender.later(minutes=3)
        assert (await lender.loan(loan)).disbursement == ("failed" if lost else "delivered")
        assert telco.heard == {lent.reference: 1}
    assert telco.delivered.total() == (0 if mood in LOST else 1)


async def test_a_top_up_that_is_still_on_its_way_has_not_failed(database: str) -> None:
    """The telco has not heard of it when it is asked, and delivers it after that."""

    async with lent_through(database, Mood.AFTERWARDS) as (lender, telco):
        loan = await lender.approved(1)
        assert (await lender.disburse(loan)).disbursement == "unknown"
        await lender.later(seconds=6)
        assert (await lender.loan(loan)).disbursement == "unknown"
        await telco.all_arrive()
        await lender.later(minutes=3)
        assert (await lender.loan(loan)).disbursement == "delivered"
    assert telco.delivered.total() == 1


async def test_where_nobody_listens_nothing_was_sent_and_the_loan_may_be_tried_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lent_through(database, Mood.DELIVERS) as (lender, telco):
        tries = []

        async def unreachable(*call: object) -> None:
            tries.append(call)
            raise egress.Unreachable

        loan = await lender.approved(1)
        monkeypatch.setattr(egress.Egress, "call", unreachable)
        assert (await lender.disburse(loan)).disbursement == "failed"
        assert len(tries) == 3
        monkeypatch.undo()
        assert (await lender.disburse(loan)).disbursement == "delivered"
    assert telco.delivered.total() == 1


async def test_who_keeps_failing_gets_no_more_until_the_clock_finds_it_well(database: str) -> None:
    async with lent_through(database, Mood.DELIVERS) as (lender, telco):
        loans = [await lender.approved(n) for n in range(6)]
        telco.away = True
        for loan in loans[:5]:
            assert (await lender.disburse(loan)).disbursement == "unknown"
        assert (await lender.provider()).status == "error"
        heard = len(telco.requests)
        assert (await lender.disburse(loans[5])).disbursement == "failed"
        assert len(telco.requests) == heard
        await lender.later(minutes=1)
        assert (await lender.provider()).status == "error"
        telco.away = False
        await lender.later(minutes=5)
        assert (await lender.provider()).status == "active"
        assert {(await lender.loan(loan)).disbursement for loan in loans} == {"failed"}
        assert (await lender.disburse(loans[5])).disbursement == "delivered"
    assert telco.delivered.total() == 1


async def test_while_nothing_may_leave_nobody_is_tested_and_later_they_are(database: str) -> None:
    async with lent_through(database, Mood.DELIVERS) as (lender, telco):
        telco.away = True
        for number in range(5):
            await lender.disburse(await lender.approved(number))
        assert (await lender.provider()).status == "error"
        telco.away = False
        stop = SwitchOutbound(enabled=False)
        await lender.ledger.submit(stop.work, lender.stamp())
        heard = len(telco.requests)
        await lender.later(minutes=10)
        assert len(telco.requests) == heard
        assert (await lender.provider()).status == "error"
        go = SwitchOutbound(enabled=True)
        await lender.ledger.submit(go.work, lender.stamp())
        await lender.later(minutes=20)
        assert (await lender.provider()).status == "active"


async def test_a_success_between_them_forgives_failures(database: str) -> None:
    async with lent_through(database, Mood.DELIVERS) as (lender, telco):
        loans = [await lender.approved(n) for n in range(9)]
        for nth, loan in enumerate(loans):
            telco.away = nth != 4
            await lender.disburse(loan)
        assert (await lender.provider()).status == "active"


async def test_an_integration_that_was_stopped_is_still_asked_about_what_it_was_sent(
    database: str,
) -> None:
    async with lent_through(database, Mood.HANGS_UP) as (lender, telco):
        loan = await lender.approved(1)
        assert (await lender.disburse(loan)).disbursement == "unknown"
        await lender.wish(DeactivateIntegration())
        await lender.later(seconds=6)
        assert (await lender.loan(loan)).disbursement == "delivered"
    assert telco.delivered.total() == 1
    assert simulated_top_ups(database) == 0


@pytest.mark.usefixtures("hurry")
async def test_many_top_ups_at_once_in_every_mood_are_delivered_once(database: str) -> None:
    assert await flood(database, 80, unknown=0.4, seed=7) > 0, "some were unknown at first"
