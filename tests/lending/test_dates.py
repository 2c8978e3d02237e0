"""Nothing is dated before what it follows in its own stream: refused of a body, else moved up."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Invalid
from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.disbursement import DisburseLoan, SettleDisbursement
from rim_ledger.lending.lateness import MarkDefaulted, ReverseDefault
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import (
    ApproveLoan,
    RejectLoan,
    RevokeApproval,
    SetLoanMetadata,
)
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import SetCreditLimit, SuspendUser
from rim_ledger.lending.write_off import WriteOffLoan
from rim_ledger.payments.payment_commands import AddNote, CompleteTransaction, FailTransaction
from rim_ledger.payments.reversal import (
    Reconcile,
    RefundCredit,
    RefundTransaction,
    ReverseDisbursement,
    ReverseTransaction,
    UndoReconciliation,
)
from rim_ledger.payments.transaction import PaymentMethod, Transaction
from rim_ledger.system.config import SetConfig
from tests.lending.desk import Desk
from tests.lending.telecom import DELIVERED, TelcoDesk
from tests.payments.test_payment import record
from tests.payments.test_payment_callback import Counter
from tests.payments.test_statement import line, settled
from tests.spec import START

AHEAD = START + timedelta(minutes=4)
WHY: dict[str, Any] = {"reason": "a reason"}

STORIES: list[tuple[str, list[Command[Transaction]]]] = [
    ("a completion", [CompleteTransaction()]),
    ("a failure", [FailTransaction(**WHY)]),
    ("a note", [AddNote(note="called")]),
    ("a reversal", [CompleteTransaction(), ReverseTransaction(**WHY)]),
    ("a refund", [FailTransaction(**WHY, funds_captured=True), RefundTransaction(**WHY)]),
    ("a reconciliation", [CompleteTransaction(), Reconcile()]),
    ("an undone one", [CompleteTransaction(), Reconcile(), UndoReconciliation(**WHY)]),
]


def refused_as_too_early(desk: Desk, kind: type[Any], id: UUID, command: Command[Any]) -> None:
    """A day, and a microsecond, before what the stream holds are refused; its own time is not."""
    latest = desk.streams[id].latest
    assert latest
    for back in (timedelta(days=1), timedelta(microseconds=1)):
        early = command.model_copy(update={"occurred_at": latest - back})
        with pytest.raises(Invalid) as refusal:
            desk.perform(kind, id, early)
        assert refusal.value.code == "occurred-too-early"
        assert refusal.value.more == {"pointer": "/occurredAt"}
    desk.perform(kind, id, command.model_copy(update={"occurred_at": latest}))


@pytest.mark.parametrize(("_", "story"), STORIES)
def test_no_step_of_a_payment_lies_before_the_one_before_it(
    _: str, story: list[Command[Transaction]]
) -> None:
    desk = Desk()
    payment = record(desk)
    *before, last = story
    for step in before:
        desk.environment.pass_days(2)
        desk.perform(Transaction, payment, step)
    desk.environment.pass_days(2)
    refused_as_too_early(desk, Transaction, payment, last)


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("pending", ApproveLoan()),
        ("pending", RejectLoan(**WHY)),
        ("pending", SetLoanMetadata(metadata={"shop": "Ikeja"})),
        ("approved", RevokeApproval(**WHY)),
        ("approved", DisburseLoan()),
        ("disbursed", ReverseDisbursement(**WHY, telco_reference="T-2")),
        ("repaying", MarkDefaulted(**WHY)),
        ("defaulted", ReverseDefault(**WHY)),
        ("repaying", ChargeFee(**WHY, amount=1)),
        ("repaying", WaiveCharges(**WHY)),
        ("defaulted", WriteOffLoan(**WHY)),
    ],
)
def test_no_step_of_a_loan_lies_before_the_one_before_it(
    status: str, command: Command[Loan]
) -> None:
    desk = Desk()
    loan = desk.loan_that_is(status)
    desk.environment.pass_days(2)
    refused_as_too_early(desk, Loan, loan, command)


def test_staff_settle_nothing_before_it_was_asked_for() -> None:
    desk = Desk()
    loan = desk.approved()
    desk.environment.pass_days(2)
    desk.reply(loan, desk.ask(loan), Verdict.UNKNOWN)
    command = SettleDisbursement(outcome="delivered", evidence="the telco's portal")
    refused_as_too_early(desk, Loan, loan, command)


def test_what_staff_do_to_a_user_lies_after_all_that_the_user_has_had() -> None:
    desk = Desk()
    desk.environment.pass_days(3)
    desk.pay(50)
    method, reference = PaymentMethod.BANK_TRANSFER, "R-1"
    refund = RefundCredit(amount=50, payment_method=method, reference=reference)  # type: ignore[arg-type]
    for command in (refund, SuspendUser(**WHY), SetCreditLimit(**WHY, limit=10)):  # type: ignore[arg-type]
        refused_as_too_early(desk, User, desk.ada, command)


@pytest.mark.parametrize("value", [5, 6])
def test_a_setting_is_not_set_before_it_was_set(value: int) -> None:
    desk = Desk()
    desk.configure("maxOpenLoans", 5)
    said = {"category": "lending", "key": "maxOpenLoans", "value": value}
    with pytest.raises(Invalid, match="follows what happened"):
        desk.run(SetConfig(**said, occurred_at=START - timedelta(seconds=1)).work)
    desk.run(SetConfig(**said, occurred_at=START).work)


def test_loans_of_the_past_are_brought_in_one_after_the_other() -> None:
    desk = Desk()
    for days in (90, 60, 30):
        for step in (0, 1, 2):
            desk.stamp = Stamp(at=START - timedelta(days=days - step), actor=SYSTEM)
            at = {"occurred_at": desk.stamp.at}
            if not step:
                loan = desk.request(repayment_period=7)
                desk.perform(Loan, loan, ApproveLoan(**at))
                desk.perform(Loan, loan, DisburseLoan(**at))
            else:
                payment = record(desk, 57.5, loan_id=loan)
                desk.perform(Transaction, payment, CompleteTransaction(**at))
    assert desk.user.completed_on_time == 3


def test_a_command_without_a_time_is_dated_after_what_it_follows() -> None:
    desk = Desk()
    desk.stamp = Stamp(at=AHEAD, actor=SYSTEM)
    loan = desk.request()
    desk.stamp = None
    desk.perform(Loan, loan, ApproveLoan())
    assert desk.loan(loan).approved_at == AHEAD
    desk.reply(loan, desk.ask(loan), Verdict.DELIVERED)
    assert desk.loan(loan).disbursed_at == AHEAD
    other = desk.request(10)
    assert desk.loan(other).created_at == START, "the others keep the time of their own"


@pytest.mark.parametrize("said", ["payment.succeeded", "payment.failed"])
def test_a_gateway_is_never_too_early(said: str) -> None:
    desk = Counter()
    desk.stamp = Stamp(at=AHEAD, actor=SYSTEM)
    desk.payment = record(desk, 50, provider="paystack", reference="P-2")
    desk.stamp = None
    desk.hear(said, reference="P-2")
    assert desk.heard.status != "pending"
    assert desk.log[-1].stamp.at == AHEAD


def test_a_telco_is_never_too_early() -> None:
    desk = TelcoDesk()
    desk.stamp = Stamp(at=AHEAD, actor=SYSTEM)
    loan = desk.approved()
    reference = desk.ask(loan)
    desk.stamp = None
    desk.hear(DELIVERED, reference)
    assert desk.loan(loan).disbursed_at == AHEAD
    assert desk.loan(loan).due_date
    quarantined = desk.hear("top-up.failed", reference, key="m-2")
    assert quarantined
    assert desk.log[-1].stamp.at == AHEAD


def test_a_line_of_a_statement_is_never_too_early_and_dates_no_other_line() -> None:
    desk = Desk()
    desk.stamp = Stamp(at=AHEAD, actor=SYSTEM)
    ahead = record(desk, 50, reference="R-1", method=PaymentMethod.BANK_TRANSFER)
    desk.stamp = None
    record(desk, 50, reference="R-2", method=PaymentMethod.BANK_TRANSFER)
    found = settled(desk, line(1, "R-1"), line(2, "R-2"))
    assert [each.outcome for each in found] == ["matched", "matched"]
    assert [each.date for each in found] == ["2026-01-05"] * 2
    at = {each.originator_id: each.stamp.at for each in desk.log[-7:]}
    assert at.pop(ahead) == AHEAD
    assert at.pop(desk.ada) == START
    assert set(at.values()) == {START}


@pytest.mark.parametrize(("minute", "year"), [(59, 2026), (60, 2027)])
def test_the_year_of_an_id_begins_in_lagos(minute: int, year: int) -> None:
    desk = Desk()
    desk.environment.time = datetime(2026, 12, 31, 22, tzinfo=UTC) + timedelta(minutes=minute)
    assert desk.loan(desk.request()).loan_id.startswith(f"LOAN-{year}-")
