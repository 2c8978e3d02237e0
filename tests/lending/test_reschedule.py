"""Rescheduling: a later due day, from which the clock counts, and an original one for the score."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from rim_ledger.admin.bootstrap import BUILT_IN
from rim_ledger.engine.aggregate import SYSTEM, Actor, Stamp
from rim_ledger.engine.refusals import Forbidden
from rim_ledger.lending.lateness import MarkDefaulted, ReverseDefault, check_default, check_overdue
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.reschedule import RescheduleLoan
from rim_ledger.lending.restatement import DebtRescheduled, LoanRescheduled
from rim_ledger.lending.user import DebtReopened
from rim_ledger.lending.user_commands import erase_again
from rim_ledger.payments.reversal import ReverseDisbursement, ReverseTransaction
from rim_ledger.payments.transaction import Transaction
from rim_ledger.reminders import expected
from rim_ledger.values import day_after, end_of_day
from tests.lending.desk import Desk, refused
from tests.lending.test_charges import LateFees
from tests.spec import names

DUE, LATER = date(2026, 1, 8), date(2026, 1, 20)
"""The due day of a loan of three days that was disbursed at the start, and a later one."""


def to(day: date = LATER) -> RescheduleLoan:
    return RescheduleLoan(due_date=day, reason="his shop burned down")


def lent(desk: Desk) -> UUID:
    return desk.disbursed(100, repayment_period=3)


def rescheduled(desk: Desk, day: date = LATER) -> UUID:
    loan = lent(desk)
    desk.perform(Loan, loan, to(day))
    return loan


def wait_until(desk: Desk, day: date) -> None:
    """Let the last second of a Lagos day pass."""
    desk.environment.time = day_after(end_of_day(day))


@pytest.mark.parametrize("paid", [0, 10])
def test_a_loan_that_is_disbursed_or_repaying_gets_a_later_due_day(paid: float) -> None:
    desk = Desk()
    loan = lent(desk)
    if paid:
        desk.pay(paid)
    before = desk.loan(loan)
    new, former = end_of_day(LATER), end_of_day(DUE)
    assert desk.perform(Loan, loan, to()) == [
        LoanRescheduled(
            due_date=new,
            former_due_date=former,
            policy="reschedule-v1",
            reason="his shop burned down",
        ),
        DebtRescheduled(loan_id=loan, due_at=new),
    ]
    after, debt = desk.loan(loan), desk.user.debts[loan]
    assert (after.due_date, after.original_due_date, after.rescheduled_count) == (new, former, 1)
    assert (debt.due_at, debt.first_due_at) == (new, former)
    assert (after.status, after.amount_due) == (before.status, before.amount_due)
    assert desk.reminders["overdue", loan] == day_after(new)
    assert "burned" not in str(after)


@pytest.mark.parametrize("status", ["pending", "approved", "rejected", "completed", "defaulted"])
def test_no_other_loan_is_rescheduled(status: str) -> None:
    desk = Desk()
    loan = desk.loan_that_is(status)
    assert refused(lambda: desk.perform(Loan, loan, to())) == "invalid-transition"


def test_a_default_is_reversed_first_and_the_clock_still_leaves_the_loan_alone() -> None:
    desk = Desk()
    loan = lent(desk)
    desk.perform(Loan, loan, MarkDefaulted(reason="gone"))
    desk.perform(Loan, loan, ReverseDefault(reason="found"))
    desk.perform(Loan, loan, to())
    wait_until(desk, LATER)
    assert "LoanBecameOverdue" in names(desk.run(check_overdue(loan)))
    desk.environment.pass_days(100)
    assert desk.run(check_default(loan)) == []


@pytest.mark.parametrize(
    ("day", "code"),
    [
        (date(2025, 1, 1), "due-date-too-early"),
        (DUE - timedelta(days=1), "due-date-too-early"),
        (DUE, "due-date-too-early"),
        (DUE + timedelta(days=1), None),
        (DUE + timedelta(days=30), None),
        (DUE + timedelta(days=31), "due-date-too-late"),
        (date(2200, 12, 31), "due-date-too-late"),
    ],
)
def test_the_new_day_is_after_the_present_one_and_thirty_days_after_the_original_at_most(
    day: date, code: str | None
) -> None:
    desk = Desk()
    loan = lent(desk)
    if code:
        assert refused(lambda: desk.perform(Loan, loan, to(day))) == code
    else:
        desk.perform(Loan, loan, to(day))


def test_the_new_day_is_not_over() -> None:
    desk = Desk()
    loan = lent(desk)
    wait_until(desk, date(2026, 1, 14))
    early = to(date(2026, 1, 14))
    assert refused(lambda: desk.perform(Loan, loan, early)) == "due-date-too-early"
    desk.perform(Loan, loan, to(date(2026, 1, 15)))


def test_the_settings_say_how_often_and_how_far() -> None:
    desk = Desk()
    loan = rescheduled(desk, DUE + timedelta(days=1))
    assert refused(lambda: desk.perform(Loan, loan, to())) == "too-many-reschedules"
    desk.configure("maxReschedules", value=2)
    desk.configure("maxRescheduleDays", value=11)
    assert refused(lambda: desk.perform(Loan, loan, to())) == "due-date-too-late"
    desk.configure("maxRescheduleDays", value=12)
    desk.perform(Loan, loan, to())
    known = desk.loan(loan)
    assert (known.original_due_date, known.rescheduled_count) == (end_of_day(DUE), 2)
    desk.configure("maxReschedules", value=0)
    other = lent(desk)
    assert refused(lambda: desk.perform(Loan, other, to())) == "too-many-reschedules"


def test_an_overdue_loan_is_overdue_no_more_and_the_clock_begins_anew() -> None:
    desk = LateFees()
    loan = lent(desk)
    wait_until(desk, DUE)
    desk.environment.pass_days(2)
    desk.run(check_overdue(loan))
    assert (desk.user.repayment_status, desk.user.credit_score) == ("Overdue", 494)
    assert desk.loan(loan).late_fee_at
    events = names(desk.perform(Loan, loan, to()))
    assert events == ["LoanRescheduled", "DebtRescheduled", "CreditScoreRecomputed"]
    known = desk.loan(loan)
    assert (known.overdue, known.late_fee_at, desk.user.credit_score) == (False, None, 500)
    assert desk.user.repayment_status == "Pending"
    desk.request(1)
    open_ = {what for (what, stream), at in desk.reminders.items() if at and stream == loan}
    assert open_ & {"overdue", "default", "late-fee"} == {"overdue"}
    assert desk.run(check_default(loan)) == []
    wait_until(desk, LATER)
    assert names(desk.run(check_overdue(loan)))[:1] == ["LoanBecameOverdue"]
    end = day_after(end_of_day(LATER))
    assert desk.reminders["default", loan] == end + timedelta(days=30)
    assert desk.reminders["late-fee", loan] == end + timedelta(days=3)


def test_a_loan_repaid_after_its_original_day_is_late_and_one_before_it_is_not() -> None:
    for day, late in ((DUE, True), (DUE - timedelta(days=1), False)):
        desk = Desk()
        loan = rescheduled(desk)
        wait_until(desk, day)
        desk.pay(115)
        known = desk.loan(loan)
        assert (known.status, known.late, known.overdue) == ("completed", late, False)
        assert (desk.user.completed_late, desk.user.credit_score) == (late, 480 if late else 530)


def test_money_of_before_a_reschedule_counts_as_in_time_and_the_loan_ends_with_that() -> None:
    desk = Desk()
    loan, in_time = lent(desk), desk.environment.time
    wait_until(desk, DUE)
    restated_at = desk.environment.time
    desk.perform(Loan, loan, to())
    desk.environment.pass_days(1)
    desk.stamp = Stamp(at=in_time, actor=SYSTEM)
    desk.pay(115)
    known = desk.loan(loan)
    assert (known.status, known.late, known.completed_at) == ("completed", False, restated_at)
    assert (desk.user.completed_on_time, desk.user.credit_score) == (1, 530)


def test_when_its_payment_is_reversed_both_days_stand_as_they_did() -> None:
    desk = Desk()
    loan = rescheduled(desk)
    paid = desk.pay(115)
    events = desk.perform(Transaction, paid, ReverseTransaction(reason="a chargeback"))
    (reopened,) = (each for each in events if isinstance(each, DebtReopened))
    assert (reopened.due_at, reopened.original_due_at) == (end_of_day(LATER), end_of_day(DUE))
    debt = desk.user.debts[loan]
    assert (debt.due_at, debt.first_due_at) == (end_of_day(LATER), end_of_day(DUE))
    assert desk.reminders["overdue", loan] == day_after(end_of_day(LATER))
    wait_until(desk, DUE)
    desk.pay(115)
    assert desk.user.completed_late == 1


def test_a_loan_that_was_not_rescheduled_is_reopened_as_before() -> None:
    desk = Desk()
    lent(desk)
    paid = desk.pay(115)
    events = desk.perform(Transaction, paid, ReverseTransaction(reason="a chargeback"))
    (reopened,) = (each for each in events if isinstance(each, DebtReopened))
    assert reopened.original_due_at is None


def test_a_loan_whose_airtime_came_back_has_no_due_day_and_begins_anew() -> None:
    desk = Desk()
    loan = rescheduled(desk)
    desk.perform(Loan, loan, ReverseDisbursement(reason="wrong number", telco_reference="T-9"))
    known = desk.loan(loan)
    assert (known.due_date, known.original_due_date, known.rescheduled_count) == (None, None, 0)


def test_a_lost_reminder_is_restored_at_the_new_day() -> None:
    desk = Desk()
    loan = rescheduled(desk)
    wanted = {due.reminder: due.latest for due in expected(desk.loan(loan), desk.uow().now)}
    assert wanted["overdue", loan] == day_after(end_of_day(LATER))


def test_payments_go_to_the_loan_that_is_due_first_by_its_new_day() -> None:
    desk = Desk()
    first, second = lent(desk), desk.disbursed(100, repayment_period=5)
    desk.perform(Loan, first, to())
    desk.pay(20)
    assert (desk.loan(first).amount_paid, desk.loan(second).amount_paid) == (0, 20)


def test_nobody_reschedules_a_loan_of_their_own() -> None:
    desk = Desk()
    loan = lent(desk)
    uow = desk.uow(Actor(type="admin", id=UUID(int=3), name="ada"))
    uow.contacts = frozenset({desk.user.phone_hash})
    with pytest.raises(Forbidden, match="your own"):
        list(to().decided(desk.loan(loan), uow))


def test_of_an_erased_person_days_are_kept_and_words_are_not() -> None:
    desk = Desk()
    loan = lent(desk)
    desk.run(erase_again(desk.ada))
    first, *_ = desk.perform(Loan, loan, to())
    assert isinstance(first, LoanRescheduled)
    assert first.reason is None


def test_a_loan_of_the_past_gets_no_reminder() -> None:
    desk = Desk()
    loan = lent(desk)
    history = desk.loan(loan).but(historical=True)
    uow = desk.uow()
    list(to().decide(history, uow))
    assert ("overdue", loan) not in uow.reminders


@pytest.mark.parametrize(
    ("said", "day"),
    [
        ("2026-01-20", LATER),
        ("2026-01-20T22:59:59Z", LATER),
        ("2026-01-20T23:00:00Z", date(2026, 1, 21)),
        ("2026-01-20T00:30:00+01:00", LATER),
        (LATER, LATER),
    ],
)
def test_a_day_is_a_date_or_a_time_on_it_in_lagos(said: Any, day: date) -> None:
    assert RescheduleLoan(due_date=said, reason="a talk").due_date == day


@pytest.mark.parametrize(
    "said",
    ["", "tomorrow", "2026-02-30", "20260120", "2026-01-20T10:00:00", "1969-12-31", 20, None],
)
def test_what_is_no_day_is_refused(said: Any) -> None:
    with pytest.raises(ValidationError, match="2026-01-31"):
        RescheduleLoan(due_date=said, reason="a talk")


def test_who_may_reschedule() -> None:
    may = {role for role, (_, given) in BUILT_IN.items() if ("loans.reschedule", "write") in given}
    assert may == {"superadmin", "finance", "loan_officer"}
