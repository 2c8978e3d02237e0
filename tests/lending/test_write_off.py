"""Write-offs, what comes back afterwards, and taking them back."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from rim_ledger.admin.bootstrap import BUILT_IN
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Forbidden
from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.lateness import MarkDefaulted, ReverseDefault, check_default, check_overdue
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan
from rim_ledger.lending.restatement import (
    DebtWriteOffUndone,
    DebtWrittenOff,
    LoanWriteOffUndone,
    LoanWrittenOff,
)
from rim_ledger.lending.write_off import UndoWriteOff, WriteOffLoan, check_write_off
from rim_ledger.payments.reversal import ReverseDisbursement, ReverseTransaction
from rim_ledger.payments.transaction import Transaction
from rim_ledger.reminders import expected
from rim_ledger.system.config import LOOK_AGAIN, config_id
from rim_ledger.values import day_after
from tests.lending.desk import OFFICER, Desk, refused
from tests.lending.test_charges import balances, fee, waiver

GONE, FOUND = WriteOffLoan(reason="cannot be found"), UndoWriteOff(reason="was found")
WRONG = ReverseTransaction(reason="a chargeback")
LOST = {"1100.MTN": -100, "4100": -15}
"""What the books say of a loan of 100 at 15 %, beside what became of it."""


def written_off(desk: Desk, paid: float = 0) -> UUID:
    """A loan of 100 at 15 %, of which something was paid, given up and written off."""
    loan = desk.disbursed(100)
    if paid:
        desk.pay(paid)
    desk.perform(Loan, loan, MarkDefaulted(reason="cannot be found"))
    desk.perform(Loan, loan, GONE)
    return loan


def test_a_defaulted_loan_is_written_off_and_owed_as_before() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.perform(Loan, loan, ChargeFee(amount=4, reason="late"))  # type: ignore[arg-type]
    desk.pay(9)
    desk.perform(Loan, loan, MarkDefaulted(reason="cannot be found"))
    score = desk.user.credit_score, desk.user.credit_limit
    assert desk.perform(Loan, loan, GONE, OFFICER) == [
        LoanWrittenOff(principal=Decimal(100), interest=Decimal(10), reason="cannot be found"),
        DebtWrittenOff(loan_id=loan),
    ]
    known = desk.loan(loan)
    assert (known.status, known.outstanding_amount) == ("defaulted", 110)
    assert (known.written_off_at, known.written_off_by) == (desk.environment.time, OFFICER.id)
    assert known.written_off_amount == 110
    assert (desk.user.credit_score, desk.user.credit_limit) == score
    assert desk.user.debts[loan].outstanding == 110
    assert refused(lambda: desk.request(1)) in ("outstanding-debt", "credit-limit-exceeded")
    assert balances(desk) == LOST | {"1300.cash": 9, "4110": -4, "5100": 110}


@pytest.mark.parametrize("command", [GONE, FOUND])
@pytest.mark.parametrize(
    "status", ["pending", "approved", "rejected", "disbursed", "repaying", "completed"]
)
def test_only_a_defaulted_loan_is_written_off(status: str, command: Command[Loan]) -> None:
    desk = Desk()
    loan = desk.loan_that_is(status)
    assert refused(lambda: desk.perform(Loan, loan, command)) == "invalid-transition"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (GONE, "already-done"),
        (fee(), "loan-written-off"),
        (waiver(), "loan-written-off"),
        (ReverseDefault(reason="was found"), "loan-written-off"),
        (MarkDefaulted(reason="again"), "invalid-transition"),
    ],
)
def test_what_is_written_off_is_only_repaid_or_taken_back(
    command: Command[Loan], code: str
) -> None:
    desk = Desk()
    loan = written_off(desk)
    assert refused(lambda: desk.perform(Loan, loan, command)) == code


def test_money_that_comes_back_is_a_recovery_and_may_complete_the_loan() -> None:
    desk = Desk()
    loan = written_off(desk)
    desk.environment.pass_days(9)
    desk.pay(40)
    known = desk.loan(loan)
    assert (known.status, known.outstanding_amount, known.written_off_amount) == (
        "defaulted",
        75,
        115,
    )
    assert balances(desk) == LOST | {"1300.cash": 40, "4200": -40, "5100": 115}
    desk.pay(100)
    done = desk.loan(loan)
    assert (done.status, desk.user.credit_balance) == ("completed", 25)
    assert done.written_off_at
    assert desk.user.debts == {}
    assert balances(desk) == LOST | {
        "1300.cash": 140,
        "2110": -25,
        "4200": -115,
        "5100": 115,
    }
    assert desk.replayed() == desk.streams


def test_a_recovery_that_is_reversed_is_none() -> None:
    desk = Desk()
    loan = written_off(desk)
    paid = desk.pay(115)
    desk.perform(Transaction, paid, WRONG)
    known = desk.loan(loan)
    assert (known.status, known.outstanding_amount, known.recovered) == ("defaulted", 115, {})
    assert known.written_off_amount == 115
    assert balances(desk) == LOST | {"5100": 115}
    desk.perform(Loan, loan, FOUND)


def test_a_payment_of_before_that_is_reversed_afterwards_is_lost_as_well() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    paid = desk.pay(30)
    desk.perform(Loan, loan, MarkDefaulted(reason="cannot be found"))
    desk.perform(Loan, loan, GONE)
    assert desk.loan(loan).written_off_amount == 85
    desk.pay(5)
    desk.perform(Transaction, paid, WRONG)
    known = desk.loan(loan)
    assert (known.written_off_amount, known.outstanding_amount) == (115, 110)
    assert balances(desk) == LOST | {"1300.cash": 5, "4200": -5, "5100": 115}


def test_credit_that_pays_for_it_is_a_recovery_and_can_be_taken_back() -> None:
    desk = Desk()
    desk.configure("maxOpenLoans", value=9)
    loan, other = desk.disbursed(100), desk.disbursed(100)
    paid = desk.pay(115, other)
    desk.perform(Loan, loan, MarkDefaulted(reason="cannot be found"))
    desk.perform(Loan, loan, GONE)
    more = desk.pay(215)
    assert (desk.loan(loan).status, desk.user.credit_balance) == ("completed", 100)
    desk.perform(Transaction, paid, WRONG)
    assert desk.user.credit_balance == 0
    desk.perform(Transaction, more, WRONG)
    assert desk.loan(loan).outstanding_amount == desk.loan(loan).written_off_amount == 115
    assert desk.journal()["4200"] == 0
    assert desk.replayed() == desk.streams


def test_a_write_off_is_undone_while_no_money_has_come() -> None:
    desk = Desk()
    loan = written_off(desk, paid=20)
    paid = desk.pay(5)
    assert refused(lambda: desk.perform(Loan, loan, FOUND)) == "recovered-since"
    desk.perform(Transaction, paid, WRONG)
    assert desk.perform(Loan, loan, FOUND) == [
        LoanWriteOffUndone(principal=Decimal(95), interest=Decimal(0), reason="was found"),
        DebtWriteOffUndone(loan_id=loan),
    ]
    known = desk.loan(loan)
    assert (known.written_off_at, known.written_off_by, known.written_off_amount) == (None,) * 3
    assert balances(desk) == LOST | {
        "1200.MTN": 95,
        "1290": -95,
        "1300.cash": 20,
        "5100": 95,
    }
    assert refused(lambda: desk.perform(Loan, loan, FOUND)) == "not-written-off"
    desk.perform(Loan, loan, ReverseDefault(reason="was found"))
    assert desk.journal()["1290"] == desk.journal()["5100"] == 0


def test_the_disbursement_of_what_was_written_off_is_not_reversed() -> None:
    desk = Desk()
    loan = written_off(desk)
    desk.pay(115)
    back = ReverseDisbursement(reason="wrong number", telco_reference="T-9")
    assert refused(lambda: desk.perform(Loan, loan, back)) == "loan-written-off"


@pytest.mark.parametrize("command", [GONE, FOUND])
def test_who_approved_a_loan_neither_writes_it_off_nor_undoes_that(command: Command[Loan]) -> None:
    desk = Desk()
    loan = desk.request(100)
    desk.perform(Loan, loan, ApproveLoan(), OFFICER)
    defaulted = desk.loan(desk.loan_that_is("defaulted"))
    mine = defaulted.but(id=loan, approved_by=OFFICER.id)
    with pytest.raises(Forbidden) as refusal:
        list(command.decide(mine, desk.uow(OFFICER)))
    assert refusal.value.code == "self-approval"


def after_default(desk: Desk) -> tuple[UUID, datetime]:
    """A loan that the clock has found overdue and defaulted, and when its due day was over."""
    loan = desk.disbursed(100, repayment_period=1)
    due = desk.loan(loan).due_date
    assert due
    for days, look in ((0, check_overdue), (30, check_default)):
        desk.environment.time = day_after(due) + timedelta(days=days)
        desk.run(look(loan))
    return loan, day_after(due)


def looked(desk: Desk, loan: UUID, at: datetime) -> list[Event]:
    desk.environment.time = at
    return desk.run(check_write_off(loan))


def test_the_clock_writes_off_after_the_configured_days_past_due() -> None:
    desk = Desk()
    desk.configure("writeOffAfterDays", value=90)
    loan, end = after_default(desk)
    assert desk.reminders["write-off", loan] == end + timedelta(days=90)
    assert looked(desk, loan, end + timedelta(days=89.9)) == []
    assert looked(desk, loan, end + timedelta(days=90)) == [
        LoanWrittenOff(principal=Decimal(100), interest=Decimal(15)),
        DebtWrittenOff(loan_id=loan),
    ]
    assert desk.loan(loan).written_off_by is None
    assert desk.reminders["write-off", loan] is None
    assert looked(desk, loan, end + timedelta(days=200)) == []


def test_a_setting_that_comes_later_has_the_clock_look_again() -> None:
    desk = Desk()
    loan, end = after_default(desk)
    parked = desk.reminders["write-off", loan]
    assert parked
    assert parked > end + timedelta(days=3000)
    assert looked(desk, loan, end + timedelta(days=99)) == []
    desk.configure("writeOffAfterDays", value=60)
    again = desk.reminders[LOOK_AGAIN, config_id("lending", "writeOffAfterDays")]
    assert again == desk.environment.time
    assert looked(desk, loan, end + timedelta(days=99)) != []


def test_a_loan_that_is_given_up_late_is_written_off_at_the_next_look() -> None:
    desk = Desk()
    desk.configure("writeOffAfterDays", value=1)
    loan, end = after_default(desk)
    assert desk.reminders["write-off", loan] == end + timedelta(days=1)
    assert looked(desk, loan, desk.environment.time) != []


@pytest.mark.parametrize("step", ["undo", "pardon", "pay", "history"])
def test_the_clock_leaves_alone_what_it_shall_not_write_off(step: str) -> None:
    desk = Desk()
    desk.configure("writeOffAfterDays", value=90)
    loan, end = after_default(desk)
    match step:
        case "undo":
            desk.perform(Loan, loan, GONE)
            desk.perform(Loan, loan, FOUND)
        case "pardon":
            desk.perform(Loan, loan, ReverseDefault(reason="was found"))
        case "pay":
            desk.pay(115)
        case _:
            entry = desk.streams[loan]
            past: Any = desk.loan(loan).but(historical=True)
            desk.streams[loan] = type(entry)(past, entry.version, entry.last, entry.latest)
    if step != "history":
        assert desk.reminders["write-off", loan] is None
    assert looked(desk, loan, end + timedelta(days=91)) == []
    assert desk.reminders["write-off", loan] is None
    now = desk.environment.time
    assert "write-off" not in {each.reminder[0] for each in expected(desk.loan(loan), now)}


def test_a_loan_that_is_owed_again_is_looked_at_again() -> None:
    desk = Desk()
    desk.configure("writeOffAfterDays", value=90)
    loan, end = after_default(desk)
    paid = desk.pay(115)
    desk.perform(Transaction, paid, WRONG)
    assert desk.reminders["write-off", loan]
    assert "write-off" in {each.reminder[0] for each in expected(desk.loan(loan), desk.uow().now)}
    assert looked(desk, loan, end + timedelta(days=90)) != []


def test_who_may_write_off() -> None:
    may = {role for role, (_, given) in BUILT_IN.items() if ("loans.writeoff", "write") in given}
    assert may == {"superadmin", "finance"}


def test_charges_go_on_where_a_write_off_was_undone() -> None:
    desk = Desk()
    loan = written_off(desk)
    desk.perform(Loan, loan, FOUND)
    desk.perform(Loan, loan, WaiveCharges(reason="good will"))
    assert desk.loan(loan).outstanding_amount == 100


def test_a_loan_whose_write_off_was_undone_is_not_written_off_by_the_clock_again() -> None:
    desk = Desk()
    desk.configure("writeOffAfterDays", value=90)
    loan, _ = after_default(desk)
    desk.perform(Loan, loan, GONE)
    desk.perform(Loan, loan, FOUND)
    desk.perform(Loan, loan, ReverseDefault(reason="was found"))
    desk.perform(Loan, loan, MarkDefaulted(reason="is gone again"))
    assert desk.reminders["write-off", loan] is None
