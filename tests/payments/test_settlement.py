"""Settlements: a provider pays out what it holds, less its fee, and never more."""

from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.payments.settlement import (
    ClearingSettled,
    ProviderClearing,
    Settlement,
    SettlementRecorded,
)
from rim_ledger.payments.settlement_commands import Holdings, RecordSettlement
from rim_ledger.payments.statement import Statement, StatementFinished, StatementStarted
from tests.lending.desk import Desk, refused

ASKED: Final[dict[str, Any]] = {
    "provider": "paystack",
    "gross": 100,
    "fee": 1.5,
    "reference": "P-1",
    "date": "2026-01-05",
}


def settle(
    desk: Desk, held: float = 1000, settled: float = 0, matched: Any = None, **more: Any
) -> list[Event]:
    """Settle what the tables say that a provider holds."""
    found = Holdings(Decimal(held), Decimal(settled), matched or {})
    command = RecordSettlement(**ASKED | more).after(found)
    return desk.perform(Settlement, desk.environment.new_id(), command)


def imported(desk: Desk, *, finished: bool = True) -> UUID:
    """A statement."""
    statement = desk.environment.new_id()

    def work(uow: UnitOfWork) -> UUID:
        started = StatementStarted(sha256=str(statement))
        uow.open_stream(Statement, statement, [started, *[StatementFinished()] * finished])
        return statement

    desk.run(work)
    return statement


def test_a_payout_reaches_the_bank_less_the_fee() -> None:
    desk = Desk()
    recorded, cleared = settle(desk)
    assert recorded == SettlementRecorded(
        provider="paystack",
        gross=Decimal(100),
        fee=Decimal("1.50"),
        reference="P-1",
        date="2026-01-05",
    )
    assert isinstance(cleared, ClearingSettled)
    accounts = desk.journal()
    assert accounts["1310"] == Decimal("98.50")
    assert (accounts["5210"], accounts["1300.paystack"]) == (Decimal("1.50"), -100)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"gross": 1000.01}, "settlement-too-large"),
        ({"fee": 100.01}, "fee-above-gross"),
        ({"gross": None}, "missing"),
        ({"date": date(2026, 1, 6)}, "date-in-future"),
        ({"reference": "p-1", "provider": "Pay stack"}, "reference-taken"),
    ],
)
def test_a_settlement_is_refused(more: dict[str, Any], code: str) -> None:
    desk = Desk()
    if code == "reference-taken":
        settle(desk)
    assert refused(lambda: settle(desk, **more)) == code


def test_two_settlements_never_pay_out_the_same_money() -> None:
    """Both have read the tables before the other was recorded."""
    desk = Desk()
    settle(desk, 150)
    assert refused(lambda: settle(desk, 150, reference="P-2")) == "settlement-too-large"
    settle(desk, 150, gross=50, reference="P-2")
    settle(desk, 30, 150, gross=30, reference="P-3")
    found = [each.aggregate for each in desk.streams.values()]
    (clearing,) = [each for each in found if isinstance(each, ProviderClearing)]
    assert clearing.settled == 180


def test_a_whole_payout_may_be_the_fee() -> None:
    desk = Desk()
    settle(desk, fee=100)
    assert (desk.journal()["1310"], desk.journal()["5210"]) == (0, 100)


@pytest.mark.parametrize("gross", [None, 70.25])
def test_the_matched_lines_of_a_statement_are_settled_in_one_go(gross: float | None) -> None:
    desk = Desk()
    statement = imported(desk)
    matched = {"Pay-Stack": Decimal("50.25"), "paystack": Decimal(20), "other": Decimal(7)}
    more: dict[str, Any] = {"statement_id": statement, "matched": matched, "gross": gross}
    recorded, _ = settle(desk, **more)
    assert isinstance(recorded, SettlementRecorded)
    assert (recorded.gross, recorded.statement_id) == (Decimal("70.25"), statement)
    assert refused(lambda: settle(desk, **more | {"reference": "P-2"})) == "statement-settled"
    other = more | {"provider": "other", "gross": None}
    settle(desk, **other)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"gross": 70}, "settlement-differs"),
        ({"provider": "nobody"}, "nothing-to-settle"),
        ({"gross": None, "held": 70.24}, "settlement-too-large"),
    ],
)
def test_what_does_not_fit_the_statement_is_refused(more: dict[str, Any], code: str) -> None:
    desk = Desk()
    said: dict[str, Any] = {"statement_id": imported(desk)}
    said |= {"matched": {"paystack": Decimal("70.25")}} | more
    assert refused(lambda: settle(desk, **said)) == code


def test_a_statement_is_settled_once_it_has_finished() -> None:
    desk = Desk()
    statement = imported(desk, finished=False)
    wish = {"statement_id": statement, "matched": {"paystack": Decimal(100)}}
    assert refused(lambda: settle(desk, **wish)) == "statement-not-finished"
    unknown = wish | {"statement_id": desk.environment.new_id()}
    assert refused(lambda: settle(desk, **unknown)) == "not-found"


@pytest.mark.parametrize("gross", [None, 70.25])
def test_two_people_are_asked_for_by_what_is_paid_out(gross: float | None) -> None:
    desk, statement = Desk(), UUID(int=1)
    more = ASKED | {"gross": gross, "statement_id": statement}
    found = Holdings(Decimal(1000), Decimal(0), {"paystack": Decimal("70.25")})
    assert RecordSettlement(**more).after(found).naira(None, desk.uow()) == Decimal("70.25")
