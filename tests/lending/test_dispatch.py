"""Top-ups on the real ledger: counted in the telco's own book."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from rim_ledger import schedule
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.delivery.kill_switch import LATER, SwitchOutbound
from rim_ledger.delivery.port import Outcome, Verdict
from rim_ledger.delivery.simulated import SimulatedTelco
from rim_ledger.engine.aggregate import Actor, Stamp
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending import dispatch as dispatching
from rim_ledger.lending.disbursement import DisburseLoan, SettleDisbursement, record_outcome
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RequestLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser
from rim_ledger.payments.reversal import ReverseDisbursement
from rim_ledger.postgres.pool import lease
from rim_ledger.system.config import SetConfig
from rim_ledger.values import Network
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault
from tests.delivery.telco import simulated
from tests.sample import STAMP

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class Noon(SystemEnvironment):
    """A world in which it is always noon, so that nothing falls due by itself."""

    def now(self) -> datetime:
        return NOON


WORLD = Noon()
VAULT = Vault(derived(b"a secret of the tests"), WORLD)
AWAY = "postgresql://nobody@/nothing?host=/nowhere"


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, the outcome is waited for."""
    monkeypatch.setattr(dispatching, "ANSWER_TIMEOUT_SECONDS", 60.0)


@asynccontextmanager
async def lending(database: str, phone: str) -> AsyncIterator[tuple[Dispatch, Receipt]]:
    """A dispatch, and a loan to this phone that was approved."""
    async with Ledger(database, ENTITY_OF, VAULT, WORLD) as ledger:
        dispatch = Dispatch(database, ledger, simulated(database, ledger, WORLD), WORLD)
        ada = RegisterUser(phone=phone, email="ada@example.com", name="Ada")
        user = await ledger.execute(User, None, ada, stamp())
        wish = RequestLoan(user_id=user.id, amount=100, network=Network.MTN)
        loan = await ledger.execute(Loan, None, wish, stamp())
        await ledger.execute(Loan, loan.id, ApproveLoan(), stamp())
        yield dispatch, loan


def sent(database: str) -> list[str]:
    """The references of the top-ups that were sent."""
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT reference FROM ledger.simulated_top_ups ORDER BY id")
        return [reference for (reference,) in rows]


def stamp() -> Stamp:
    return Stamp(at=NOON, actor=STAMP.actor)


async def disburse(dispatch: Dispatch, loan: Receipt) -> Loan:
    await dispatch.disburse(await dispatch.ledger.execute(Loan, loan.id, DisburseLoan(), stamp()))
    return loan_in(dispatch, loan)


def loan_in(dispatch: Dispatch, loan: Receipt) -> Loan:
    found = dispatch.ledger.cache.streams[loan.id].aggregate
    assert isinstance(found, Loan)
    return found


async def tick(dispatch: Dispatch, **later: float) -> int:
    return await schedule.tick(dispatch, NOON + timedelta(**later))


@pytest.mark.parametrize("phone", ["08031234567", "08031239004"])
async def test_a_top_up_is_sent_once_even_if_its_callback_comes_twice(
    database: str, phone: str
) -> None:
    async with lending(database, phone) as (dispatch, loan):
        lent = await disburse(dispatch, loan)
        assert (lent.status, lent.disbursement) == ("disbursed", "delivered")
        with pytest.raises(Refused, match="'disburse' is not possible"):
            await disburse(dispatch, loan)
        assert await tick(dispatch, seconds=30) == 0
    assert len(sent(database)) == 1


async def test_a_definite_failure_is_tried_again_under_a_new_reference(database: str) -> None:
    async with lending(database, "08031239001") as (dispatch, loan):
        for attempt in (1, 2):
            failed = await disburse(dispatch, loan)
            assert (failed.status, failed.disbursement) == ("approved", "failed")
            assert failed.reference == f"DSB-{loan.business_id}-{attempt}"
    assert sent(database) == []


async def test_no_answer_but_delivered_is_found_out_by_asking(database: str) -> None:
    async with lending(database, "08031239002") as (dispatch, loan):
        assert (await disburse(dispatch, loan)).disbursement == "unknown"
        with pytest.raises(Refused, match="wait for its outcome"):
            await disburse(dispatch, loan)
        assert await tick(dispatch) == 0
        assert await tick(dispatch, seconds=6) == 1
        assert loan_in(dispatch, loan).disbursement == "delivered"
        assert await tick(dispatch, days=62) == 2
    assert len(sent(database)) == 1


async def test_while_nothing_may_leave_the_clock_looks_again_later(database: str) -> None:
    async with lending(database, "08031239002") as (dispatch, loan):
        await disburse(dispatch, loan)
        await dispatch.ledger.submit(SwitchOutbound(enabled=False).work, stamp())
        assert await tick(dispatch, seconds=6) == 1
        assert loan_in(dispatch, loan).disbursement == "unknown"
        with psycopg.connect(database) as connection:
            query = "SELECT at FROM ledger.reminders WHERE what = 'query-top-up'"
            ((at,),) = connection.execute(query).fetchall()
        assert at == NOON + LATER


async def test_no_answer_and_never_delivered_fails_when_asked(database: str) -> None:
    async with lending(database, "08031239003") as (dispatch, loan):
        assert (await disburse(dispatch, loan)).disbursement == "unknown"
        assert await tick(dispatch, seconds=6) == 1
        assert loan_in(dispatch, loan).disbursement == "failed"
    assert sent(database) == []


async def test_what_staff_settled_or_reversed_is_asked_about_top_up_by_top_up(
    database: str,
) -> None:
    async with lending(database, "08031239002") as (dispatch, loan):
        ledger, second = dispatch.ledger, Actor(type="admin", id=WORLD.new_id(), name="bisi")
        by_hand = Stamp(at=NOON, actor=second)
        settled = SettleDisbursement(outcome="failed", evidence="Their portal says so.")
        for attempt in (1, 2):
            assert (await disburse(dispatch, loan)).disbursement == "unknown"
            await ledger.execute(Loan, loan.id, settled, by_hand)
            assert len(loan_in(dispatch, loan).to_ask) == attempt
        assert await tick(dispatch, seconds=6) == 1
        asked = loan_in(dispatch, loan)
        first, last = (each.reference for each in asked.attempts)
        assert (asked.disputes, asked.owed and asked.owed.reference) == ([first], last)
        assert await tick(dispatch, hours=2) == 0
        back = ReverseDisbursement(reason="a wrong number", telco_reference="BACK-1")
        await ledger.execute(Loan, loan.id, back, by_hand)
        assert await tick(dispatch, seconds=6) == 1
        assert loan_in(dispatch, loan).disputes == [first, last]
    assert len(sent(database)) == 2


async def test_a_request_whose_sender_died_is_asked_about_and_never_sent(database: str) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        await dispatch.ledger.execute(Loan, loan.id, DisburseLoan(), stamp())
        assert await tick(dispatch, seconds=6) == 1
        assert loan_in(dispatch, loan).disbursement == "failed"
    assert sent(database) == []


async def test_a_top_up_is_not_sent_once_an_earlier_one_has_come_after_all(database: str) -> None:
    async with lending(database, "08031239001") as (dispatch, loan):
        ledger = dispatch.ledger
        first = (await disburse(dispatch, loan)).reference
        assert first
        dispatch.providers.telco = SimulatedTelco(AWAY)

        requested = await ledger.execute(Loan, loan.id, DisburseLoan(), stamp())
        late = record_outcome(loan.id, first, Outcome(Verdict.DELIVERED))
        await ledger.submit(late, stamp())
        await dispatch.disburse(requested)
        left = loan_in(dispatch, loan)
        assert (left.status, left.disbursement, left.disputes) == ("approved", "failed", [first])
        assert (await disburse(dispatch, loan)).status == "disbursed"
    assert sent(database) == []


async def test_the_clock_leaves_a_top_up_alone_that_somebody_has_in_hand(database: str) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        await dispatch.ledger.execute(Loan, loan.id, DisburseLoan(), stamp())
        async with lease(dispatch.url, f"top-up {loan.id}") as free:
            assert free
            assert await tick(dispatch, seconds=6) == 1
            assert loan_in(dispatch, loan).disbursement == "requested"
    assert sent(database) == []


async def test_the_clock_disburses_what_was_approved_when_that_is_on(database: str) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        ledger = dispatch.ledger
        on = SetConfig(category="lending", key="autoDisburse", value=True)
        await ledger.submit(on.work, stamp())
        user = loan_in(dispatch, loan).user_id
        wish = RequestLoan(user_id=user, amount=50, network=Network.MTN)
        second = await ledger.execute(Loan, None, wish, stamp())
        await ledger.execute(Loan, second.id, ApproveLoan(), stamp())
        assert await tick(dispatch, seconds=1) == 1
        assert loan_in(dispatch, second).status == "disbursed"
        assert loan_in(dispatch, loan).status == "approved"
    assert len(sent(database)) == 1


async def test_a_reminder_that_somebody_put_there_disburses_nothing(database: str) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        async with await psycopg.AsyncConnection.connect(database) as connection:
            reminder = "INSERT INTO ledger.reminders VALUES ('disburse', %s, %s)"
            await connection.execute(reminder, [loan.id, NOON])
        assert await tick(dispatch, seconds=1) == 1
        assert await tick(dispatch, seconds=1) == 0
        assert loan_in(dispatch, loan).status == "approved"
    assert sent(database) == []


async def test_the_clock_marks_what_fell_due_and_defaults_it_later(database: str) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        await disburse(dispatch, loan)
        assert await tick(dispatch, days=29) == 0
        assert await tick(dispatch, days=31) == 1
        assert loan_in(dispatch, loan).overdue
        assert await tick(dispatch, days=62) == 1
        assert loan_in(dispatch, loan).status == "defaulted"


async def test_what_the_clock_cannot_do_keeps_nothing_else_waiting(database: str) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        await disburse(dispatch, loan)
        async with await psycopg.AsyncConnection.connect(database) as connection:
            await connection.execute(
                "INSERT INTO ledger.reminders VALUES ('a mystery', gen_random_uuid(), %s)", [NOON]
            )
        with pytest.raises(LookupError, match="nobody knows what 'a mystery' reminds of"):
            await tick(dispatch, days=31)
        assert loan_in(dispatch, loan).overdue


async def test_a_request_that_was_committed_is_acknowledged_though_its_sending_fails(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):

        async def break_down(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(dispatch.providers.telco, "send", break_down)
        assert (await disburse(dispatch, loan)).disbursement == "unknown"
        monkeypatch.undo()
        assert await tick(dispatch, seconds=6) == 1
        assert loan_in(dispatch, loan).disbursement == "failed"
    assert sent(database) == []


async def test_a_telco_that_cannot_be_reached_leaves_the_outcome_unknown(database: str) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        dispatch.providers.telco = SimulatedTelco(AWAY)
        assert (await disburse(dispatch, loan)).disbursement == "unknown"
        assert await tick(dispatch, seconds=30) == 1
        assert loan_in(dispatch, loan).disbursement == "unknown"
        dispatch.providers.telco = SimulatedTelco(database)
        await tick(dispatch, seconds=120)
        assert loan_in(dispatch, loan).disbursement == "failed"
    assert sent(database) == []


async def test_a_request_stands_although_nobody_could_send_it_yet(database: str) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        dispatch.url = AWAY
        assert (await disburse(dispatch, loan)).disbursement == "requested"
        dispatch.url = database
        await tick(dispatch, seconds=30)
        assert loan_in(dispatch, loan).disbursement == "failed"
    assert sent(database) == []
