"""Scenarios of Apache Fineract that fit a loan of one instalment, with its figures.

Fineract publishes them as features of its end-to-end tests, under the numbers here. Where a rule of
ours differs on purpose, the test says so; docs/explanation/money.md has the list.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.lateness import MarkDefaulted
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.reschedule import RescheduleLoan
from rim_ledger.lending.write_off import UndoWriteOff, WriteOffLoan
from rim_ledger.payments.reversal import ReverseDisbursement, ReverseTransaction
from rim_ledger.payments.transaction import Transaction
from rim_ledger.values import end_of_day
from tests.lending.desk import Desk, refused
from tests.lending.test_charges import balances

WHY: dict[str, Any] = {"reason": "as in the scenario"}


class Lender(Desk):
    """A desk on a day, with room for fees of a fifth of a loan."""

    def __init__(self, day: date) -> None:
        super().__init__(limit=100_000)
        self.configure("lateFeeMaxPercent", value=20)
        self.go_to(day)

    def go_to(self, day: date) -> None:
        self.environment.time = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)

    def lend(self, amount: float, rate: float = 0, days: int = 30) -> UUID:
        return self.disbursed(amount, interest_rate=rate, repayment_period=days)

    def charge(self, loan: UUID, amount: float) -> None:
        self.perform(Loan, loan, ChargeFee(amount=amount, **WHY))  # type: ignore[arg-type]

    def waive(self, loan: UUID, amount: float | None = None) -> None:
        self.perform(Loan, loan, WaiveCharges(amount=amount, **WHY))  # type: ignore[arg-type]

    def charge_off(self, loan: UUID) -> None:
        self.perform(Loan, loan, MarkDefaulted(**WHY))
        self.perform(Loan, loan, WriteOffLoan(**WHY))

    def undo(self, payment: UUID) -> None:
        self.perform(Transaction, payment, ReverseTransaction(**WHY))

    def owed(self, loan: UUID) -> tuple[str, Decimal]:
        known = self.loan(loan)
        return known.status, known.outstanding_amount

    def sums(self, *accounts: str) -> list[Decimal]:
        return [self.journal()[account] for account in accounts]


def test_a_charge_off_after_the_disbursement_c2565() -> None:
    lender = Lender(date(2023, 1, 1))
    loan = lender.lend(1000)
    lender.go_to(date(2023, 2, 22))
    lender.charge_off(loan)
    assert lender.owed(loan)[0] == "defaulted", "it stays active there as well"
    assert balances(lender) == {"1100.MTN": -1000, "5100": 1000}


def test_a_charge_off_after_a_repayment_and_that_undone_c2566_c2567() -> None:
    lender = Lender(date(2023, 1, 1))
    loan = lender.lend(1000)
    lender.go_to(date(2023, 1, 5))
    paid = lender.pay(250)
    lender.go_to(date(2023, 2, 22))
    lender.charge_off(loan)
    assert balances(lender) == {"1100.MTN": -1000, "1300.cash": 250, "5100": 750}
    lender.undo(paid)
    assert lender.loan(loan).written_off_amount == 1000
    assert balances(lender) == {"1100.MTN": -1000, "5100": 1000}


@pytest.mark.parametrize("fees", [[10], [10, 100]])
def test_a_charge_off_with_fees_c2568_c2570(fees: list[float]) -> None:
    """There a charge-off takes fees out of income; here they are a loss like the rest."""
    lender = Lender(date(2023, 1, 1))
    loan = lender.lend(1000)
    for fee in fees:
        lender.charge(loan, fee)
    lender.go_to(date(2023, 2, 22))
    lender.charge_off(loan)
    assert lender.sums("1200.MTN", "1220", "1290") == [0, 0, 0]
    assert lender.sums("4110", "5100") == [-sum(fees), 1000 + sum(fees)]


def test_money_after_a_charge_off_c2569() -> None:
    """There it reduces the loss and the fees that were taken back; here it is a recovery."""
    lender = Lender(date(2023, 1, 1))
    loan = lender.lend(1000)
    lender.charge(loan, 10)
    lender.go_to(date(2023, 2, 22))
    lender.charge_off(loan)
    lender.pay(100)
    assert lender.owed(loan) == ("defaulted", 910)
    assert lender.sums("4200", "5100") == [-100, 1010]


def test_a_fee_after_the_due_day_is_paid_with_the_rest_c2450() -> None:
    lender = Lender(date(2022, 3, 2))
    loan = lender.lend(250)
    lender.go_to(date(2022, 4, 1))
    paid = lender.pay(250)
    lender.undo(paid)
    lender.go_to(date(2022, 4, 5))
    lender.charge(loan, 10)
    then = datetime(2022, 4, 1, 9, tzinfo=UTC)
    lender.stamp = Stamp(at=then, actor=SYSTEM)
    lender.pay(260)
    known = lender.loan(loan)
    assert lender.owed(loan) == ("completed", 0)
    assert (known.late, known.completed_at) == (False, datetime(2022, 4, 5, 9, tzinfo=UTC))


def test_a_fee_is_waived_and_that_is_not_undone_c2452_c2453() -> None:
    """There a waiver is undone; here another fee is charged, as far as the cap leaves room."""
    lender = Lender(date(2022, 3, 2))
    loan = lender.lend(250)
    lender.go_to(date(2022, 4, 5))
    lender.charge(loan, 10)
    assert lender.owed(loan) == ("disbursed", 260)
    lender.go_to(date(2022, 4, 7))
    lender.waive(loan)
    assert lender.owed(loan) == ("disbursed", 250)
    lender.charge(loan, 10)
    assert lender.owed(loan) == ("disbursed", 260)


def test_a_part_of_a_fee_is_waived_c2472() -> None:
    """There an adjustment takes it out of income; here a waiver is an expense."""
    lender = Lender(date(2022, 10, 22))
    loan = lender.lend(1000, days=61)
    lender.go_to(date(2022, 10, 23))
    lender.charge(loan, 10)
    assert (lender.owed(loan)[1], lender.sums("1220", "4110")) == (1010, [10, -10])
    lender.go_to(date(2022, 11, 4))
    lender.waive(loan, 3)
    assert (lender.owed(loan)[1], lender.sums("1220", "4110", "5400")) == (1007, [7, -10, 3])
    lender.pay(8)
    assert (lender.owed(loan)[1], lender.sums("1220", "1200.MTN")) == (999, [0, 999])


def test_a_write_off_posts_all_that_was_owed_once_c4006_c4007() -> None:
    """A charge-off before it is our default: what that set aside is used, and nothing twice."""
    lender = Lender(date(2023, 1, 1))
    loan = lender.lend(1000, rate=3)
    for fee in (10, 103):
        lender.charge(loan, fee)
    lender.go_to(date(2023, 2, 22))
    lender.perform(Loan, loan, MarkDefaulted(**WHY))
    assert lender.sums("1290", "5100") == [-1143, 1143]
    lender.go_to(date(2023, 3, 1))
    lender.perform(Loan, loan, WriteOffLoan(**WHY))
    assert lender.sums("1200.MTN", "1210", "1220", "1290") == [0, 0, 0, 0]
    assert lender.sums("5100", "5500") == [1143, 0]


def test_after_a_write_off_money_comes_goes_and_the_write_off_is_undone_c2934_c2935_c2936() -> None:
    """There all three are refused, as the loan is closed; here the debt is owed as before."""
    lender = Lender(date(2023, 1, 1))
    loan = lender.lend(1000, days=45)
    lender.pay(250)
    lender.go_to(date(2023, 1, 22))
    early = lender.pay(100)
    lender.go_to(date(2023, 1, 29))
    lender.charge_off(loan)
    assert lender.loan(loan).written_off_amount == 650
    lender.undo(early)
    assert lender.loan(loan).written_off_amount == 750
    late = lender.pay(50)
    assert lender.sums("4200", "5100") == [-50, 750]
    back = UndoWriteOff(**WHY)
    assert refused(lambda: lender.perform(Loan, loan, back)) == "recovered-since"
    lender.undo(late)
    lender.perform(Loan, loan, back)
    assert lender.owed(loan) == ("defaulted", 750)
    assert lender.sums("1200.MTN", "1290", "5100", "4200") == [750, -750, 750, 0]


@pytest.mark.parametrize(
    ("amount", "lent", "due", "later"),
    [
        (5000, date(2022, 7, 1), date(2022, 8, 1), date(2022, 8, 31)),
        (1000, date(2023, 7, 1), date(2023, 7, 31), date(2023, 8, 31)),
    ],
)
def test_the_day_of_the_only_instalment_is_changed_c2680_c2804(
    amount: float, lent: date, due: date, later: date
) -> None:
    lender = Lender(lent)
    lender.configure("maxRescheduleDays", value=31)
    loan = lender.lend(amount, days=(due - lent).days)
    assert lender.loan(loan).due_date == end_of_day(due)
    lender.perform(Loan, loan, RescheduleLoan(due_date=later, **WHY))
    known = lender.loan(loan)
    assert (known.due_date, known.original_due_date) == (end_of_day(later), end_of_day(due))
    assert (known.amount_due, known.outstanding_amount) == (amount, amount)


def test_a_disbursement_is_undone_and_begins_anew_c2801() -> None:
    lender = Lender(date(2023, 7, 1))
    loan = lender.lend(1000)
    assert lender.loan(loan).due_date == end_of_day(date(2023, 7, 31))
    lender.go_to(date(2023, 7, 2))
    lender.perform(Loan, loan, ReverseDisbursement(telco_reference="T-9", **WHY))
    known = lender.loan(loan)
    assert (known.status, known.due_date, known.amount_due) == ("approved", None, 1000)
    assert balances(lender) == {}
