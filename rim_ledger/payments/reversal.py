"""Commands that reverse, refund and reconcile payments."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated

from pydantic import Field

from rim_ledger.admin.same_person import require_second_person
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import Refused, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.airtime_float import FloatMoved, move
from rim_ledger.lending.airtime_return import claim_return, require_another_than_sender, take_in
from rim_ledger.lending.attempt import LoanDisbursementReversed
from rim_ledger.lending.debt import cancel, take_back
from rim_ledger.lending.disbursement import FIRST_QUERY
from rim_ledger.lending.loan import LEGAL as LOAN_LEGAL
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import require_not_written_off
from rim_ledger.lending.separation import BorrowerCommand
from rim_ledger.lending.user import CreditRefunded, User
from rim_ledger.payments.claim_names import line_claim
from rim_ledger.payments.payment_commands import claim_reference, require_own_life
from rim_ledger.payments.transaction import (
    LEGAL,
    PaymentMethod,
    Transaction,
    TransactionReconciled,
    TransactionReconciliationUndone,
    TransactionRefunded,
    TransactionReversed,
    TransactionStatus,
    TransactionType,
)
from rim_ledger.values import Money, Note, Reference


class ReverseTransaction(BorrowerCommand[Transaction]):
    """Reverse a completed payment, for a reason: a chargeback, a duplicate, an error. It takes
    another person than the one who completed it."""

    reason: Note

    def decide(self, aggregate: Transaction, uow: UnitOfWork) -> Iterable[Event]:
        require_own_life(aggregate)
        require_legal(aggregate.status, "reverse", LEGAL)
        words = "You completed this payment; another person reverses it."
        require_second_person(uow, words, aggregate.settled_by)
        if aggregate.type is TransactionType.REPAYMENT:
            take_back(uow, aggregate)
        elif network := aggregate.network:
            move(uow, network, FloatMoved(amount=aggregate.amount, transaction_id=aggregate.id))
        yield TransactionReversed(reason=self.reason)


class RefundTransaction(BorrowerCommand[Transaction]):
    """Refund what was captured for a failed payment, for a reason. It takes another person than
    those who recorded and failed it."""

    reason: Note

    def decide(self, aggregate: Transaction, uow: UnitOfWork) -> Iterable[Event]:
        require_own_life(aggregate)
        require_legal(aggregate.status, "refund", LEGAL)
        nothing = "No money was captured for this payment, so there is none to give back."
        require(aggregate.funds_captured, "nothing-captured", nothing)
        words = "You recorded this payment, or failed it; another person refunds it."
        require_second_person(uow, words, aggregate.recorded_by, aggregate.settled_by)
        yield TransactionRefunded(reason=self.reason)


class RefundCredit(BorrowerCommand[User]):
    """Refund a user's credit. The reference is that of the refund, at its payment method. It takes
    another person than those who recorded or completed a payment that the credit came from."""

    WHEN_GONE = True

    amount: Money
    payment_method: Annotated[PaymentMethod, Field(strict=False)]
    reference: Reference

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        if self.payment_method is PaymentMethod.CASH:
            uow.need("transactions.cash", "write")
        there = f"The user has {aggregate.credit_balance} naira of credit, not {self.amount}."
        require(self.amount <= aggregate.credit_balance, "credit-too-small", there)
        _require_others_money(uow, aggregate)
        claim_reference(uow, uow.new_id(), self.payment_method, self.reference)
        yield CreditRefunded.of(self)


class Reconcile(BorrowerCommand[Transaction]):
    """Reconcile a payment with the provider's records; its amount never changes."""

    notes: Note | None = None
    statement_line: Reference | None = None

    def decide(self, aggregate: Transaction, uow: UnitOfWork) -> Iterable[Event]:
        pending = "A pending payment is completed or failed before it is reconciled."
        require(aggregate.status is not TransactionStatus.PENDING, "still-pending", pending)
        done = "The payment is reconciled; undo that first."
        require(aggregate.reconciled_at is None, "already-reconciled", done)
        if self.statement_line:
            settled = f"The statement line {self.statement_line} settles another payment."
            taken = Refused("statement-line-taken", settled)
            uow.claim(*line_claim(self.statement_line), aggregate.id, taken)
        yield TransactionReconciled(note=self.notes, statement_line=self.statement_line)


class UndoReconciliation(BorrowerCommand[Transaction]):
    """Undo a reconciliation, for a reason; its statement line is free again."""

    reason: Note

    def decide(self, aggregate: Transaction, uow: UnitOfWork) -> Iterable[Event]:
        open_ = "The payment is not reconciled."
        require(aggregate.reconciled_at is not None, "not-reconciled", open_)
        if aggregate.statement_line:
            uow.release(*line_claim(aggregate.statement_line))
        yield TransactionReconciliationUndone(reason=self.reason)


def _require_others_money(uow: UnitOfWork, user: User) -> None:
    """Refuse a credit refund by someone who recorded or completed a payment that it came from."""
    uow.look_ahead(partial(uow.read, Transaction, each) for each in user.credit_from)
    for id_ in user.credit_from:
        payment = uow.read(Transaction, id_)
        words = f"You recorded or completed {payment.transaction_id}; another person refunds it."
        require_second_person(uow, words, payment.recorded_by, payment.settled_by)


class ReverseDisbursement(BorrowerCommand[Loan]):
    """Reverse a disbursement: the telco took the airtime back, under a reference of its own, which
    counts once. It takes another person than the one who disbursed, unless the telco has reported a
    failure. Possible while nothing but credit was paid for the loan. The telco is queried until its
    answer is definite; if it reports that the airtime was delivered and stayed, that is in dispute.
    """

    reason: Note
    telco_reference: Reference

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "reverse-disbursement", LOAN_LEGAL)
        require_not_written_off(aggregate)
        user = uow.read(User, aggregate.user_id)
        credit = user.applied.get(aggregate.id)
        paid = f"{aggregate.amount_paid} naira were paid for the loan; reverse the payments first."
        only = aggregate.amount_paid == (credit.amount if credit else 0)
        require(only, "loan-was-paid", paid)
        owed = aggregate.owed
        assert owed, "what was disbursed has its attempt"
        words = "You disbursed this loan; another person says that its airtime came back."
        require_another_than_sender(uow, aggregate, owed, words)
        claim_return(uow, aggregate, owed, self.telco_reference)
        take_in(uow, aggregate, owed)
        uow.append(Transaction, owed.transaction_id, [TransactionReversed(reason=self.reason)])
        cancel(uow, aggregate)
        uow.forget("overdue", aggregate.id)
        uow.forget("default", aggregate.id)
        if not aggregate.historical:
            uow.remind("query-top-up", aggregate.id, uow.now + FIRST_QUERY)
        yield LoanDisbursementReversed(
            reference=owed.reference, reason=self.reason, telco_reference=self.telco_reference
        )
