"""Two people for one sum of money: who brings it in neither confirms it alone nor pays it out."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from rim_ledger.admin.admin_user import AdminContactChanged, AdminCreated, AdminUser
from rim_ledger.engine.aggregate import Actor
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Forbidden, Refused
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.user import User
from rim_ledger.payments.payment_commands import (
    CompleteTransaction,
    FailTransaction,
    RecordTransaction,
)
from rim_ledger.payments.reversal import (
    RefundCredit,
    RefundTransaction,
    ReverseDisbursement,
    ReverseTransaction,
)
from rim_ledger.payments.statement import LineOutcome, Statement
from rim_ledger.payments.statement_matching import begin, settle
from rim_ledger.payments.transaction import PaymentMethod, Transaction, TransactionType
from tests.lending.desk import Desk, refused
from tests.payments.test_statement import SHA, line, started

COMPLETE = CompleteTransaction()
CAPTURED = FailTransaction(reason="the card was declined", funds_captured=True)
REVERSE = ReverseTransaction(reason="a duplicate")
REFUND = RefundTransaction(reason="never used")
CREDIT = RefundCredit(amount=50, payment_method=PaymentMethod.BANK_TRANSFER, reference="F-1")  # type: ignore[arg-type]


def admin(number: int, **more: Any) -> Actor:
    return Actor(type="admin", id=UUID(int=number), name=f"admin {number}", **more)


SEPARATION = "separation-of-duties"
ANNA, BOLA, CHIKE = admin(1), admin(2), admin(3)
ANNAS_KEY = admin(1, api_key=UUID(int=77))
GATEWAY = Actor(type="integration", id=UUID(int=9), name="Paystack")


class Counter(Desk):
    """A desk where payments of 50 come in."""

    def record(self, by: Actor, method: PaymentMethod = PaymentMethod.BANK_TRANSFER) -> UUID:
        payment = self.environment.new_id()
        wish = RecordTransaction(
            type=TransactionType.REPAYMENT,
            user_id=self.ada,
            amount=50,  # type: ignore[arg-type]
            payment_method=method,
            reference=f"R-{payment}",
        )
        self.perform(Transaction, payment, wish, by)
        return payment

    def refund(self, by: Actor) -> None:
        self.perform(User, self.ada, CREDIT, by)


def forbidden(desk: Desk, kind: Any, id_: UUID, command: Command[Any], *by: Actor) -> bool:
    """Whether each of them is refused, for nothing but the separation."""
    codes = {refused(lambda a=each: desk.perform(kind, id_, command, a)) for each in by}  # type: ignore[misc]
    return codes == {SEPARATION}


@pytest.mark.parametrize("recorder", [ANNA, ANNAS_KEY])
def test_who_recorded_a_payment_does_not_complete_it(recorder: Actor) -> None:
    desk = Counter()
    payment = desk.record(recorder)
    assert forbidden(desk, Transaction, payment, COMPLETE, ANNA, ANNAS_KEY)
    desk.perform(Transaction, payment, COMPLETE, BOLA)
    assert desk.transaction(payment).status == "completed"


def test_a_provider_completes_what_anybody_recorded() -> None:
    desk = Counter()
    payment = desk.record(ANNA)
    desk.perform(Transaction, payment, COMPLETE, GATEWAY)
    assert desk.transaction(payment).status == "completed"


def test_credit_is_refunded_by_nobody_who_brought_the_money_in() -> None:
    desk = Counter()
    desk.perform(Transaction, desk.record(ANNA), COMPLETE, BOLA)
    assert forbidden(desk, User, desk.ada, CREDIT, ANNA, ANNAS_KEY, BOLA)
    desk.refund(CHIKE)
    assert desk.user.credit_from == ()


def test_who_failed_a_payment_as_captured_or_recorded_it_does_not_refund_it() -> None:
    desk = Counter()
    payment = desk.record(ANNA)
    desk.perform(Transaction, payment, CAPTURED, BOLA)
    assert forbidden(desk, Transaction, payment, REFUND, ANNA, BOLA)
    desk.perform(Transaction, payment, REFUND, CHIKE)


def test_cash_is_neither_reversed_nor_refunded_by_who_recorded_it() -> None:
    desk = Counter()
    payment = desk.record(ANNA, PaymentMethod.CASH)
    assert desk.transaction(payment).status == "completed"
    assert forbidden(desk, Transaction, payment, REVERSE, ANNA, ANNAS_KEY)
    assert forbidden(desk, User, desk.ada, CREDIT, ANNA)
    desk.perform(Transaction, payment, REVERSE, BOLA)


def test_who_completed_a_payment_does_not_reverse_it() -> None:
    desk = Counter()
    payment = desk.record(ANNA)
    desk.perform(Transaction, payment, COMPLETE, BOLA)
    assert forbidden(desk, Transaction, payment, REVERSE, BOLA)
    desk.perform(Transaction, payment, REVERSE, ANNA)


def test_credit_that_was_spent_and_came_back_is_still_that_payments() -> None:
    desk = Counter()
    desk.record(ANNA, PaymentMethod.CASH)
    loan = desk.disbursed(50, interest_rate=0)
    assert desk.user.credit_balance == 0
    desk.perform(Loan, loan, ReverseDisbursement(reason="wrong number", telco_reference="T-9"))
    assert desk.user.credit_balance == 50
    assert forbidden(desk, User, desk.ada, CREDIT, ANNA)
    desk.refund(BOLA)


def test_a_payment_that_was_reversed_or_paid_out_bars_nobody_any_more() -> None:
    desk = Counter()
    wrong = desk.record(ANNA, PaymentMethod.CASH)
    desk.perform(Transaction, wrong, REVERSE, BOLA)
    desk.record(BOLA, PaymentMethod.CASH)
    desk.refund(ANNA)
    desk.record(ANNA, PaymentMethod.CASH)
    again = CREDIT.model_copy(update={"reference": "F-2"})
    desk.perform(User, desk.ada, again, BOLA)
    assert (desk.user.credit_balance, desk.user.credit_from) == (0, ())


@pytest.mark.parametrize("others", [("f" * 64, None), (None, "e" * 64)])
def test_two_accounts_with_one_phone_or_e_mail_are_one_person(
    others: Sequence[str | None],
) -> None:
    desk = Counter()
    phone, email = others
    uow = desk.uow()
    made = AdminCreated(
        username="anna", email="anna@example.com", email_hash="e" * 64, role_id=UUID(int=5)
    )
    uow.open_stream(AdminUser, UUID(int=1), [made, AdminContactChanged(phone_hash="f" * 64)])
    desk.keep(uow)
    payment = desk.record(ANNA)
    uow = desk.uow(BOLA)
    uow.contacts = frozenset(filter(None, [phone, email]))
    with pytest.raises(Forbidden) as refusal:
        list(COMPLETE.decided(desk.transaction(payment), uow))
    assert refusal.value.code == SEPARATION


def outcomes(desk: Counter, by: Actor, *payments: UUID) -> list[LineOutcome]:
    """What the lines of these payments come to in a statement of this admin."""
    references = [desk.transaction(each).reference for each in payments]
    lines = [line(number, str(each)) for number, each in enumerate(references, 1)]
    desk.run(begin(SHA), by)
    *_, event = desk.run(settle(started(desk), lines), by)
    return [each.outcome for each in event.findings]  # type: ignore[attr-defined]


def test_a_statement_completes_no_payment_that_its_uploader_recorded() -> None:
    desk = Counter()
    own, by_key, others = desk.record(ANNA), desk.record(ANNAS_KEY), desk.record(BOLA)
    assert outcomes(desk, ANNA, own, by_key, others) == ["own-record", "own-record", "matched"]
    assert [desk.transaction(each).status for each in (own, by_key)] == ["pending"] * 2
    counts = desk.uow().read(Statement, started(desk)).summary
    assert (counts["ownRecord"], counts["matched"], counts["lines"]) == (2, 1, 3)
    assert forbidden(desk, Transaction, own, COMPLETE, ANNA)
    desk.perform(Transaction, own, COMPLETE, BOLA)
    assert forbidden(desk, User, desk.ada, CREDIT, ANNA, BOLA)


def test_a_statement_reconciles_what_another_person_completed() -> None:
    desk = Counter()
    payment = desk.record(ANNA)
    desk.perform(Transaction, payment, COMPLETE, BOLA)
    assert outcomes(desk, ANNA, payment) == ["matched"]


def test_what_was_recorded_before_the_rule_is_known_by_its_stamps() -> None:
    desk = Counter()
    payment = desk.record(ANNA)
    desk.perform(Transaction, payment, COMPLETE, BOLA)
    known = desk.transaction(payment)
    assert (known.recorded_by, known.settled_by) == (ANNA.id, BOLA.id)
    assert desk.replayed() == desk.streams


def test_the_refusal_comes_before_anything_is_written() -> None:
    desk = Counter()
    payment = desk.record(ANNA)
    before = dict(desk.streams)
    with pytest.raises(Refused):
        desk.perform(Transaction, payment, COMPLETE, ANNA)
    assert desk.streams == before
