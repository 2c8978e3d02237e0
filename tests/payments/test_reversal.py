"""Undoing payments and disbursements: exact figures, and what credit does meanwhile."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from uuid import UUID

import pytest

from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Forbidden
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.lateness import MarkDefaulted, check_credit_default, check_overdue
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import DeleteUser, EraseUser
from rim_ledger.payments.payment_commands import (
    CompleteTransaction,
    FailTransaction,
    RecordTransaction,
)
from rim_ledger.payments.reversal import (
    Reconcile,
    RefundCredit,
    RefundTransaction,
    ReverseDisbursement,
    ReverseTransaction,
    UndoReconciliation,
)
from rim_ledger.payments.transaction import PaymentMethod, Transaction
from rim_ledger.values import day_after
from tests.lending.desk import Desk, refused
from tests.payments.test_payment import record
from tests.spec import names

WRONG = ReverseTransaction(reason="charged back")
BACK = ReverseDisbursement(reason="wrong number", telco_reference="T-9")


def reverse(desk: Desk, *payments: UUID) -> None:
    for payment in payments:
        desk.perform(Transaction, payment, WRONG)


def refund(amount: float, reference: str = "F-1") -> RefundCredit:
    return RefundCredit(
        amount=amount,  # type: ignore[arg-type]
        payment_method=PaymentMethod.BANK_TRANSFER,
        reference=reference,
    )


@pytest.mark.parametrize("wrong", [0, 1, 2])
def test_three_payments_one_reversed_and_paid_again(wrong: int) -> None:
    desk = Desk()
    loan = desk.disbursed(300, interest_rate=0)
    payments = [desk.pay(amount) for amount in (10, 80, 210)]
    assert desk.loan(loan).status == "completed"
    amount = desk.transaction(payments[wrong]).amount
    reverse(desk, payments[wrong])
    owing = desk.loan(loan)
    assert (owing.status, owing.outstanding_amount) == ("repaying", amount)
    assert desk.transaction(payments[wrong]).status == "refunded"
    assert (desk.user.total_repaid, desk.user.exposure) == (300 - amount, amount)
    assert desk.user.completed_on_time == 0
    desk.pay(amount)
    assert (desk.loan(loan).status, desk.user.credit_balance) == ("completed", 0)
    assert desk.user.completed_on_time == 1


def test_a_reversed_payment_whose_credit_was_refunded_leaves_credit_below_zero() -> None:
    desk = Desk()
    loan = desk.disbursed(1000, interest_rate=0)
    payment = desk.pay(1200)
    desk.perform(User, desk.ada, refund(200))
    reverse(desk, payment)
    assert (desk.loan(loan).outstanding_amount, desk.user.credit_balance) == (1000, -200)
    desk.pay(1100)
    assert (desk.loan(loan).outstanding_amount, desk.user.credit_balance) == (100, 0)


def test_no_more_credit_is_refunded_than_there_is_and_no_reference_twice() -> None:
    desk = Desk()
    desk.pay(50)
    assert refused(lambda: desk.perform(User, desk.ada, refund(50.01))) == "credit-too-small"
    desk.perform(User, desk.ada, refund(20))
    assert refused(lambda: desk.perform(User, desk.ada, refund(20))) == "reference-taken"
    assert desk.user.credit_balance == 30


def test_a_reversal_takes_back_credit_that_has_paid_for_another_loan() -> None:
    desk = Desk()
    first = desk.disbursed(100, interest_rate=0)
    payment = desk.pay(160, first)
    second = desk.disbursed(50, interest_rate=0)
    assert (desk.loan(second).status, desk.user.credit_balance) == ("completed", 10)
    reverse(desk, payment)
    assert desk.user.credit_balance == 0
    assert desk.loan(first).outstanding_amount == 100
    assert (desk.loan(second).status, desk.loan(second).outstanding_amount) == ("disbursed", 50)
    assert desk.user.applied == {}


def test_credit_pays_at_once_for_what_a_reversal_left_open() -> None:
    desk = Desk()
    loan = desk.disbursed(100, interest_rate=0)
    payment = desk.pay(100)
    desk.pay(30)
    reverse(desk, payment)
    assert (desk.loan(loan).outstanding_amount, desk.user.credit_balance) == (70, 0)


def test_a_completed_loan_that_had_defaulted_is_defaulted_again() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.perform(Loan, loan, MarkDefaulted(reason="cannot be found"))
    payment = desk.pay(115)
    reverse(desk, payment)
    assert (desk.loan(loan).status, desk.user.debts[loan].defaulted) == ("defaulted", True)
    assert desk.user.repayment_status == "Overdue"


def test_a_reopened_loan_falls_overdue_again() -> None:
    desk = Desk()
    loan = desk.disbursed(100, repayment_period=1)
    payment = desk.pay(115)
    desk.environment.pass_days(3)
    desk.run(check_overdue(loan))
    reverse(desk, payment)
    due = desk.loan(loan).due_date
    assert due
    assert desk.reminders["overdue", loan] == day_after(due)
    assert "LoanBecameOverdue" in names(desk.run(check_overdue(loan)))


def test_the_order_of_receipts_and_reversals_never_changes_the_totals() -> None:
    totals = set()
    for order in permutations([("pay", 40), ("pay", 90), ("pay", 300), ("back", 0), ("back", 0)]):
        desk = Desk()
        loans = [desk.disbursed(amount) for amount in (100, 50)]
        paid: list[UUID] = []
        for step, amount in order:
            if step == "pay":
                paid.append(desk.pay(amount))
            elif paid:
                last = min(paid, key=lambda each: desk.transaction(each).amount)
                paid.remove(last)
                reverse(desk, last)
        outstanding = sum(desk.loan(loan).outstanding_amount for loan in loans)
        received = sum(desk.transaction(each).amount for each in paid)
        totals.add((received, outstanding, desk.user.credit_balance))
    for received, outstanding, credit in totals:
        due = Decimal("172.50")
        assert (outstanding, credit) == (max(due - received, 0), max(received - due, 0))


def test_a_reversed_disbursement_gives_the_reservation_back() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    top_up = desk.loan(loan).transaction_id
    assert top_up is not None
    desk.perform(Loan, loan, BACK)
    back = desk.loan(loan)
    assert (back.status, back.disbursement, back.telco_reference) == ("approved", "none", "T-9")
    assert (back.due_date, back.disbursed_at) == (None, None)
    assert desk.transaction(top_up).status == "refunded"
    assert (desk.user.reserved, desk.user.debts) == ({loan: 100}, {})
    assert desk.reminders["overdue", loan] is None
    desk.perform(Loan, loan, DisburseLoan())
    assert desk.loan(loan).reference == f"DSB-{back.loan_id}-2"


def test_credit_flows_back_from_a_disbursement_that_is_reversed() -> None:
    desk = Desk()
    desk.pay(200)
    loan = desk.disbursed(100)
    assert (desk.loan(loan).status, desk.user.credit_balance) == ("completed", 85)
    desk.perform(Loan, loan, BACK)
    assert (desk.loan(loan).status, desk.user.credit_balance) == ("approved", 200)
    assert (desk.loan(loan).amount_paid, desk.user.total_repaid) == (0, 0)


def test_a_disbursement_that_was_paid_for_is_not_reversed() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.pay(10)
    assert refused(lambda: desk.perform(Loan, loan, BACK)) == "loan-was-paid"


def test_only_captured_money_of_a_failed_payment_is_refunded() -> None:
    desk = Desk()
    for captured in (False, True):
        payment = record(desk)
        fail = FailTransaction(reason="declined", funds_captured=captured)
        desk.perform(Transaction, payment, fail)
        wish = RefundTransaction(reason="asked for it")
        if captured:
            desk.perform(Transaction, payment, wish)
            assert desk.transaction(payment).status == "refunded"
        else:
            code = refused(lambda: desk.perform(Transaction, payment, wish))  # noqa: B023
            assert code == "nothing-captured"


@pytest.mark.parametrize(
    "command", [WRONG, RefundTransaction(reason="no"), FailTransaction(reason="no")]
)
def test_what_is_pending_reversed_or_refunded_is_not_undone(command: Command[Transaction]) -> None:
    desk = Desk()
    desk.disbursed()
    payment = desk.pay(5)
    reverse(desk, payment)
    assert refused(lambda: desk.perform(Transaction, payment, command)) == "invalid-transition"


def test_one_statement_line_settles_one_payment() -> None:
    desk = Desk()
    first, second, waiting = desk.pay(5), desk.pay(5), record(desk)
    line = Reconcile(statement_line="S-1/7", notes="seen")
    desk.perform(Transaction, first, line)
    assert desk.transaction(first).reconciled_at == desk.environment.time
    for again in (line, Reconcile(statement_line="s-1/7")):
        code = refused(lambda w=again: desk.perform(Transaction, second, w))  # type: ignore[misc]
        assert code == "statement-line-taken"
    assert refused(lambda: desk.perform(Transaction, first, line)) == "already-reconciled"
    assert refused(lambda: desk.perform(Transaction, waiting, line)) == "still-pending"
    undo = UndoReconciliation(reason="another payment")
    desk.perform(Transaction, first, undo)
    assert refused(lambda: desk.perform(Transaction, first, undo)) == "not-reconciled"
    desk.perform(Transaction, second, line)


@pytest.mark.parametrize("command", [EraseUser(), DeleteUser()])
def test_somebody_with_credit_is_neither_deleted_nor_erased(command: Command[User]) -> None:
    desk = Desk()
    desk.pay(200)
    assert refused(lambda: desk.perform(User, desk.ada, command)) == "credit-left"
    desk.perform(User, desk.ada, refund(200))
    desk.perform(User, desk.ada, command)


def overdrawn(owed: int = 100) -> Desk:
    """Ada was paid credit out that never came in."""
    desk = Desk()
    payment = desk.pay(owed)
    desk.perform(User, desk.ada, refund(owed))
    reverse(desk, payment)
    assert desk.user.credit_balance == -owed
    return desk


@pytest.mark.parametrize("command", [EraseUser(), DeleteUser()])
def test_somebody_who_owes_credit_is_neither_deleted_nor_erased(command: Command[User]) -> None:
    desk = overdrawn()
    refusal = refused(lambda: desk.perform(User, desk.ada, command))
    assert refusal == "credit-left"
    desk.pay(100)
    desk.perform(User, desk.ada, command)


def test_credit_below_zero_is_a_debt_that_is_due() -> None:
    desk = overdrawn()
    assert desk.user.exposure == 100
    assert desk.user.available == 900
    assert refused(lambda: desk.request(10)) == "outstanding-debt"
    assert refused(lambda: desk.request(901)) == "credit-limit-exceeded"
    desk.pay(99)
    assert refused(lambda: desk.request(10)) == "outstanding-debt"
    desk.pay(1)
    desk.request(10)


def test_a_loan_is_not_sent_to_somebody_whose_credit_fell_below_zero_since() -> None:
    desk = Desk()
    payment = desk.pay(100)
    desk.perform(User, desk.ada, refund(100))
    loan = desk.approved(10)
    reverse(desk, payment)
    assert refused(lambda: desk.perform(Loan, loan, DisburseLoan())) == "outstanding-debt"
    desk.pay(100)
    desk.perform(Loan, loan, DisburseLoan())


def test_credit_that_stays_below_zero_defaults_as_a_loan_does() -> None:
    desk = overdrawn()
    due = desk.reminders["credit-default", desk.ada]
    assert due == desk.environment.now() + timedelta(days=30)
    desk.environment.pass_days(30)
    assert desk.user.defaults == {}
    desk.run(check_credit_default(desk.ada))
    assert (desk.user.credit_score, desk.user.credit_limit) == (300, 0)
    assert desk.reminders["credit-default", desk.ada] is None
    assert desk.replayed()[desk.ada].aggregate == desk.user


def test_credit_below_zero_defaults_once_and_not_before_its_time() -> None:
    desk = overdrawn()
    due = desk.reminders["credit-default", desk.ada]
    desk.environment.pass_days(29)
    assert desk.run(check_credit_default(desk.ada)) == []
    assert desk.reminders["credit-default", desk.ada] == due
    desk.environment.pass_days(1)
    assert desk.run(check_credit_default(desk.ada)) != []
    assert desk.run(check_credit_default(desk.ada)) == []


def test_credit_that_was_repaid_in_time_defaults_no_more_until_it_falls_anew() -> None:
    desk = overdrawn()
    desk.environment.pass_days(20)
    desk.pay(100)
    desk.environment.pass_days(10)
    assert desk.run(check_credit_default(desk.ada)) == []
    payment = desk.pay(100)
    desk.perform(User, desk.ada, refund(100, "F-2"))
    reverse(desk, payment)
    assert desk.reminders["credit-default", desk.ada] == desk.environment.now() + timedelta(days=30)


@pytest.mark.parametrize("command", [EraseUser(), DeleteUser()])
def test_somebody_with_a_payment_under_way_is_neither_deleted_nor_erased(
    command: Command[User],
) -> None:
    desk = Desk()
    waiting, captured, sale = record(desk), record(desk), desk.environment.new_id()
    airtime = {"type": "airtime", "network": "MTN", "amount": 50, "userId": str(desk.ada)}
    desk.perform(Transaction, sale, RecordTransaction.model_validate(airtime))
    desk.perform(Transaction, captured, FailTransaction(reason="no", funds_captured=True))
    assert refused(lambda: desk.perform(User, desk.ada, command)) == "unsettled-payments"
    desk.perform(Transaction, waiting, FailTransaction(reason="no"))
    assert refused(lambda: desk.perform(User, desk.ada, command)) == "unsettled-payments"
    desk.perform(Transaction, captured, RefundTransaction(reason="back"))
    assert refused(lambda: desk.perform(User, desk.ada, command)) == "unsettled-payments"
    desk.perform(Transaction, sale, CompleteTransaction())
    desk.perform(User, desk.ada, command)


@pytest.mark.parametrize("command", [Reconcile(), UndoReconciliation(reason="mine"), WRONG])
def test_nobody_settles_a_payment_of_their_own(command: Command[Transaction]) -> None:
    desk = Desk()
    payment = desk.pay(5)
    uow = desk.uow()
    uow.contacts = frozenset({desk.user.email_hash})
    with pytest.raises(Forbidden, match="your own"):
        list(command.decided(desk.transaction(payment), uow))
