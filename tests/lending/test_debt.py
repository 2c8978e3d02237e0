"""Sharing payments out, falling late, and what score and limit make of it."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from rim_ledger.lending.lateness import (
    MarkDefaulted,
    ReverseDefault,
    check_default,
    check_overdue,
)
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.owed import Part
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import EnableAutoLimit, SetCreditLimit
from rim_ledger.values import day_after
from tests.lending.desk import Desk
from tests.spec import names


def test_a_payment_pays_interest_before_principal() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.pay(10)
    debt = desk.user.debts[loan]
    assert (debt.principal, debt.interest, debt.paid) == (100, 5, 10)
    desk.pay(10)
    assert (desk.user.debts[loan].principal, desk.user.exposure) == (95, 95)


def test_a_defaulted_loan_is_paid_principal_first() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.perform(Loan, loan, MarkDefaulted(reason="cannot be found"))
    desk.pay(10)
    assert desk.user.debts[loan].principal == 90
    assert desk.loan(loan).status == "defaulted"
    desk.pay(105)
    done = desk.loan(loan)
    assert (done.status, done.outstanding_amount) == ("completed", 0)
    assert done.defaulted_at is not None


def test_the_named_loan_comes_first_then_the_one_due_first_then_credit() -> None:
    desk = Desk()
    late = desk.disbursed(100, repayment_period=30)
    soon = desk.disbursed(100, repayment_period=3)
    middle = desk.disbursed(100, repayment_period=9)
    paid = desk.pay(250, middle)
    shares = desk.transaction(paid).allocations
    assert [(each["loanId"], each["amount"]) for each in shares] == [
        (middle, 115),
        (soon, 115),
        (late, 20),
    ]
    assert desk.transaction(paid).unallocated == 0
    rest = desk.pay(100)
    assert (desk.transaction(rest).unallocated, desk.user.credit_balance) == (5, 5)
    assert desk.user.total_repaid == 345


@pytest.mark.parametrize(
    ("status", "stands"),
    [
        ("pending", "Pending"),
        ("rejected", "Pending"),
        ("disbursed", "Pending"),
        ("repaying", "Partial"),
        ("defaulted", "Overdue"),
        ("completed", "Completed"),
    ],
)
def test_how_a_user_stands_with_one_loan(status: str, stands: str) -> None:
    desk = Desk()
    desk.loan_that_is(status)
    assert desk.user.repayment_status == stands


def test_past_due_is_marked_once_and_defaults_after_the_configured_days() -> None:
    desk = Desk(limit=None)
    loan = desk.disbursed(100, repayment_period=1)
    assert desk.run(check_overdue(loan)) == []
    desk.environment.pass_days(2)
    assert names(desk.run(check_overdue(loan))) == [
        "LoanBecameOverdue",
        "DebtBecameOverdue",
    ]
    assert desk.user.repayment_status == "Overdue"
    assert desk.run(check_overdue(loan)) == []
    due = desk.loan(loan).due_date
    assert due is not None
    assert desk.reminders["default", loan] == day_after(due) + timedelta(days=30)
    assert desk.run(check_default(loan)) == []
    desk.environment.pass_days(30)
    assert names(desk.run(check_default(loan))) == [
        "LoanDefaulted",
        "DebtDefaulted",
        "CreditScoreRecomputed",
        "CreditLimitAdjusted",
    ]
    assert (desk.loan(loan).status, desk.user.credit_limit) == ("defaulted", 0)
    assert desk.user.credit_score == 500 - 200 - 3 * 30 + 5
    assert desk.run(check_default(loan)) == []


def test_a_loan_repaid_in_time_is_let_go() -> None:
    desk = Desk()
    loan = desk.disbursed(100, repayment_period=1)
    desk.pay(115)
    desk.environment.pass_days(2)
    assert desk.run(check_overdue(loan)) == []
    assert desk.reminders["overdue", loan] is None


def test_a_reversed_default_is_left_alone_by_the_clock() -> None:
    desk = Desk(limit=None)
    loan = desk.disbursed(100)
    desk.pay(10)
    desk.perform(Loan, loan, MarkDefaulted(reason="cannot be found"))
    assert desk.user.credit_score == 300
    desk.perform(Loan, loan, ReverseDefault(reason="was found"))
    back = desk.loan(loan)
    assert (back.status, back.defaulted_at, desk.user.credit_score) == ("repaying", None, 500)
    desk.environment.pass_days(90)
    desk.run(check_overdue(loan))
    assert desk.run(check_default(loan)) == []


def test_each_completed_loan_raises_the_limit_one_step_at_most() -> None:
    desk = Desk(limit=None)
    assert desk.user.credit_limit == 1000
    for limit, score in [(1000, 530), (2000, 560), (2000, 590), (2000, 620), (5000, 650)]:
        desk.disbursed(10)
        desk.pay(Decimal("11.50"))
        assert (desk.user.credit_limit, desk.user.credit_score) == (limit, score)


def test_a_late_completion_costs_points() -> None:
    desk = Desk()
    loan = desk.disbursed(10, repayment_period=1)
    desk.environment.pass_days(3)
    desk.run(check_overdue(loan))
    assert desk.user.credit_score == 500 - 3
    desk.pay(Decimal("11.50"))
    assert (desk.user.credit_score, desk.user.completed_late) == (480, 1)


def test_a_limit_set_by_hand_stays_until_the_policy_is_switched_on_again() -> None:
    desk = Desk(limit=None)
    desk.perform(User, desk.ada, SetCreditLimit(limit=700, reason="asked for less"))
    desk.disbursed(10)
    desk.pay(Decimal("11.50"))
    assert desk.user.credit_limit == 700
    desk.perform(User, desk.ada, EnableAutoLimit())
    desk.disbursed(10)
    desk.pay(Decimal("11.50"))
    assert desk.user.credit_limit == 1000


def test_an_overdue_loan_freezes_the_limit() -> None:
    desk = Desk(limit=None)
    late, prompt = desk.disbursed(10, repayment_period=1), desk.disbursed(10)
    desk.environment.pass_days(2)
    desk.run(check_overdue(late))
    for _ in range(3):
        assert desk.user.credit_limit == 1000
        desk.pay(5, prompt)
    assert (desk.loan(prompt).status, desk.user.credit_limit) == ("completed", 1000)


def test_parts_of_a_payment_add_up_and_are_taken_away_field_by_field() -> None:
    def part(principal: int, interest: int, fee: int) -> Part:
        return Part(
            loan_id=UUID(int=1),
            principal=Decimal(principal),
            interest=Decimal(interest),
            fee=Decimal(fee),
        )

    assert part(10, 5, 2).plus(part(20, 1, 3)) == part(30, 6, 5)
    assert part(30, 6, 5).minus(part(20, 1, 3)) == part(10, 5, 2)
