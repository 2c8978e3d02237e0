"""Sending airtime: requested, unknown, failed, delivered, and never twice."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rim_ledger.delivery.kill_switch import SwitchOutbound
from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.aggregate import SYSTEM, Actor, Stamp
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RejectLoan, RevokeApproval
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import DeleteUser, EraseUser, SetCreditLimit, SuspendUser
from rim_ledger.payments.payment_commands import CompleteTransaction, FailTransaction
from rim_ledger.payments.transaction import Transaction
from rim_ledger.values import day_after
from tests.lending.desk import Desk, refused
from tests.spec import START, names


def test_a_request_to_the_telco_is_recorded_with_its_transaction_before_the_call() -> None:
    desk = Desk()
    loan = desk.approved()
    reference = desk.ask(loan)
    assert reference == f"DSB-{desk.loan(loan).loan_id}-1"
    assert (desk.loan(loan).status, desk.loan(loan).disbursement) == ("approved", "requested")
    transaction = desk.loan(loan).transaction_id
    assert transaction is not None
    kept = desk.transaction(transaction)
    assert (kept.type, kept.status, kept.amount) == ("airtime", "pending", 100)
    assert (kept.reference, kept.loan_id) == (reference, loan)
    assert desk.reminders["query-top-up", loan] == START + timedelta(seconds=5)


def test_a_delivered_loan_is_owed_until_the_end_of_a_lagos_day() -> None:
    desk = Desk()
    loan = desk.disbursed(100, repayment_period=7)
    lent = desk.loan(loan)
    assert (lent.status, lent.disbursement, lent.telco_reference) == (
        "disbursed",
        "delivered",
        "T-1",
    )
    assert lent.due_date == datetime(2026, 1, 12, 22, 59, 59, tzinfo=UTC)
    debt = desk.user.debts[loan]
    assert (debt.principal, debt.interest, desk.user.exposure) == (100, 15, 100)
    assert lent.due_date
    assert desk.reminders["overdue", loan] == day_after(lent.due_date)
    assert desk.reminders["query-top-up", loan] is None
    assert lent.transaction_id is not None
    assert desk.transaction(lent.transaction_id).status == "completed"


def test_what_is_in_flight_is_neither_sent_again_nor_revoked() -> None:
    desk = Desk()
    loan = desk.approved()
    reference = desk.ask(loan)
    for command in (DisburseLoan(), RevokeApproval(reason="too late")):
        assert refused(lambda c=command: desk.perform(Loan, loan, c)) == "disbursement-in-flight"  # type: ignore[misc]
    desk.reply(loan, reference, Verdict.UNKNOWN)
    assert desk.loan(loan).disbursement == "unknown"
    for command in (DisburseLoan(), RevokeApproval(reason="too late")):
        assert refused(lambda c=command: desk.perform(Loan, loan, c)) == "disbursement-in-flight"  # type: ignore[misc]


def test_an_unknown_outcome_is_asked_about_less_and_less_often() -> None:
    desk = Desk()
    loan = desk.approved()
    reference = desk.ask(loan)
    assert names(desk.reply(loan, reference, Verdict.UNKNOWN)) == ["LoanDisbursementUnknown"]
    waits = []
    for _ in range(12):
        asked = desk.reminders["query-top-up", loan]
        assert asked is not None
        waits.append((asked - desk.environment.time).total_seconds())
        desk.environment.time = asked
        assert desk.reply(loan, reference, Verdict.UNKNOWN) == []
    assert waits[:4] == [5, 5, 10, 20]
    assert waits[-1] == 3600
    desk.reply(loan, reference, Verdict.DELIVERED)
    assert desk.loan(loan).status == "disbursed"


def test_a_definite_failure_may_be_tried_again_under_a_new_reference() -> None:
    desk = Desk()
    loan = desk.approved()
    desk.reply(loan, desk.ask(loan), Verdict.FAILED)
    failed = desk.loan(loan)
    assert (failed.status, failed.disbursement) == ("approved", "failed")
    assert failed.transaction_id is not None
    assert desk.transaction(failed.transaction_id).status == "failed"
    assert desk.ask(loan).endswith("-2")
    desk.reply(loan, f"DSB-{failed.loan_id}-2", Verdict.DELIVERED)
    assert desk.loan(loan).status == "disbursed"


@pytest.mark.parametrize("answer", list(Verdict))
def test_a_reply_that_comes_again_changes_nothing(answer: Verdict) -> None:
    desk = Desk()
    loan = desk.disbursed()
    reference = desk.loan(loan).reference
    assert reference is not None
    assert desk.reply(loan, reference, answer) == []


def test_a_late_success_of_an_earlier_reference_is_shown_as_a_dispute() -> None:
    desk = Desk()
    loan = desk.approved()
    first = desk.ask(loan)
    desk.reply(loan, first, Verdict.FAILED)
    second = desk.ask(loan)
    assert names(desk.reply(loan, first, Verdict.DELIVERED)) == ["LoanDisbursementDisputed"]
    assert desk.loan(loan).disbursement == "requested"
    desk.reply(loan, second, Verdict.DELIVERED)
    assert desk.loan(loan).disbursement == "delivered"


def test_a_late_success_of_the_only_reference_is_the_disbursement() -> None:
    desk = Desk()
    loan = desk.approved()
    reference = desk.ask(loan)
    desk.reply(loan, reference, Verdict.FAILED)
    failed = desk.loan(loan).transaction_id
    desk.reply(loan, reference, Verdict.DELIVERED)
    lent = desk.loan(loan)
    assert lent.status == "disbursed"
    assert failed
    assert lent.transaction_id
    assert desk.transaction(failed).status == "failed"
    assert desk.transaction(lent.transaction_id).status == "completed"


def test_the_borrower_is_looked_at_again_before_airtime_goes_out() -> None:
    desk = Desk()
    loan = desk.approved(500)
    desk.perform(User, desk.ada, SetCreditLimit(limit=499, reason="less income"))
    assert refused(lambda: desk.ask(loan)) == "credit-limit-exceeded"
    desk.perform(User, desk.ada, SetCreditLimit(limit=500, reason="as before"))
    desk.configure("maxOpenLoans", value=1)
    other = desk.approved_beyond(loan)
    assert refused(lambda: desk.ask(other)) == "too-many-open-loans"
    desk.perform(User, desk.ada, SuspendUser(reason="asked by the police"))
    assert refused(lambda: desk.ask(loan)) == "user-not-active"


def test_nobody_borrows_while_a_loan_is_past_due() -> None:
    desk = Desk(10_000)
    waiting = desk.approved()
    desk.disbursed(100, repayment_period=1)
    desk.environment.pass_days(2)
    assert refused(lambda: desk.request(1)) == "outstanding-debt"
    assert refused(lambda: desk.ask(waiting)) == "outstanding-debt"


def test_the_top_up_of_a_loan_moves_with_its_loan_only() -> None:
    desk = Desk()
    loan = desk.approved()
    desk.ask(loan)
    top_up = desk.loan(loan).transaction_id
    assert top_up is not None
    for command in (CompleteTransaction(), FailTransaction(reason="no")):
        assert refused(lambda c=command: desk.perform(Transaction, top_up, c)) == "follows-loan"  # type: ignore[misc]


def test_a_loan_of_the_past_is_disbursed_without_calling_anybody() -> None:
    desk = Desk()
    now, past = desk.environment.time, desk.environment.time - timedelta(days=40)
    clerk = Actor(type="admin", id=None, name="import")

    desk.stamp = Stamp(at=past, actor=clerk)
    loan = desk.approved(100, repayment_period=7)
    events = names(desk.perform(Loan, loan, DisburseLoan()))
    desk.stamp = None
    lent = desk.loan(loan)
    assert "LoanDisbursed" in events
    assert (lent.historical, lent.disbursed_at, desk.environment.time) == (True, past, now)
    assert ("overdue", loan) not in desk.reminders
    assert refused(lambda: desk.request(1)) == "outstanding-debt"


def test_credit_pays_for_the_next_loan_at_once() -> None:
    desk = Desk()
    desk.pay(30)
    assert desk.user.credit_balance == 30
    first = desk.disbursed(100)
    assert (desk.user.credit_balance, desk.loan(first).amount_paid) == (0, 30)
    assert (desk.loan(first).status, desk.user.debts[first].interest) == ("repaying", 0)
    desk.pay(200, first)
    assert desk.user.credit_balance == Decimal(115)
    second = desk.disbursed(100)
    assert (desk.loan(second).status, desk.user.credit_balance) == ("completed", 0)


def test_an_automatic_disbursement_is_left_to_the_clock() -> None:
    desk = Desk()
    desk.configure("autoDisburse", value=True)
    loan = desk.approved()
    assert desk.reminders["disburse", loan] == desk.environment.time
    desk.ask(loan)
    assert desk.reminders["disburse", loan] is None


def test_who_owes_or_waits_is_neither_deleted_nor_erased() -> None:
    desk = Desk()
    loan = desk.request()
    for command in (DeleteUser(), EraseUser()):
        assert refused(lambda c=command: desk.perform(User, desk.ada, c)) == "unfinished-loans"  # type: ignore[misc]
    desk.perform(Loan, loan, ApproveLoan())
    desk.reply(loan, desk.ask(loan), Verdict.DELIVERED)
    desk.pay(120)
    assert refused(lambda: desk.perform(User, desk.ada, EraseUser())) == "credit-left"


def test_a_late_success_after_the_approval_was_revoked_is_shown_as_a_dispute() -> None:
    desk = Desk()
    loan = desk.approved()
    reference = desk.ask(loan)
    desk.reply(loan, reference, Verdict.FAILED)
    desk.perform(Loan, loan, RevokeApproval(reason="the telco declined"))
    assert names(desk.reply(loan, reference, Verdict.DELIVERED)) == ["LoanDisbursementDisputed"]


def test_nothing_is_dated_before_what_it_follows_from() -> None:
    desk = Desk()
    loan, early = desk.request(), START - timedelta(hours=1)
    wishes = (ApproveLoan(occurred_at=early), RejectLoan(occurred_at=early, reason="no"))
    for wish in wishes:
        assert refused(lambda c=wish: desk.perform(Loan, loan, c)) == "occurred-too-early"  # type: ignore[misc]
    desk.perform(Loan, loan, ApproveLoan(occurred_at=START))
    late = DisburseLoan(occurred_at=early)
    assert refused(lambda: desk.perform(Loan, loan, late)) == "occurred-too-early"


def test_a_receipt_that_is_dated_back_ends_no_loan_before_it_was_lent() -> None:
    desk = Desk()
    loan = desk.disbursed()
    desk.stamp = Stamp(at=START - timedelta(days=1), actor=SYSTEM)
    desk.pay(115)
    assert desk.loan(loan).completed_at == START


def test_what_a_process_records_names_the_event_it_acted_upon() -> None:
    desk = Desk()
    loan = desk.approved()
    reference = desk.ask(loan)
    requested = desk.log[-1]
    desk.reply(loan, reference, Verdict.DELIVERED)
    assert desk.log[-1].stamp.causation == requested.id
    assert requested.stamp.causation is None


def test_while_nothing_may_leave_only_loans_of_the_past_are_disbursed() -> None:
    desk = Desk()
    clerk = Actor(type="admin", id=None, name="import")
    past = Stamp(at=desk.environment.time - timedelta(days=40), actor=clerk)
    desk.stamp = past
    history = desk.approved()
    desk.stamp = None
    present = desk.approved()
    desk.run(SwitchOutbound(enabled=False).work)
    assert refused(lambda: desk.ask(present)) == "outbound-stopped"
    desk.stamp = past
    assert "LoanDisbursed" in names(desk.perform(Loan, history, DisburseLoan()))
