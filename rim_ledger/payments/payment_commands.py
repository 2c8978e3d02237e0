"""Commands that record and settle payments: a repayment reaches the user's loans in one commit."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field

from rim_ledger.admin.same_person import require_second_person
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Creation
from rim_ledger.engine.refusals import Invalid, Refused, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.engine.view import Claim
from rim_ledger.lending.airtime_float import FloatMoved, spend
from rim_ledger.lending.debt import repay
from rim_ledger.lending.loan import OPEN, Loan
from rim_ledger.lending.separation import BorrowerCommand, require_no_conflict
from rim_ledger.lending.user import RepaymentAllocated, User
from rim_ledger.payments.claim_names import reference_claim
from rim_ledger.payments.transaction import (
    LEGAL,
    PaymentMethod,
    Transaction,
    TransactionCompleted,
    TransactionFailed,
    TransactionNoted,
    TransactionRecorded,
    TransactionType,
)
from rim_ledger.text import folded
from rim_ledger.values import ZERO, AnyId, Metadata, Money, Name, Network, Note, Reference
from rim_ledger.vault.personal_keys import Vault


class RecordTransaction(Creation[Transaction]):
    """Record a repayment, which has a payment method and may name a loan, or a sale of airtime,
    which has a network. Cash is complete at once; everything else waits to be completed. No telco
    is called, and a repayment is accepted in every status of the user."""

    type: Annotated[TransactionType, Field(strict=False)]
    user_id: AnyId
    amount: Money
    payment_method: Annotated[PaymentMethod, Field(strict=False)] | None = None
    provider: Name | None = None
    reference: Reference | None = None
    loan_id: AnyId | None = None
    network: Annotated[Network, Field(strict=False)] | None = None
    description: Note | None = None
    metadata: Metadata = {}

    @property
    def ruled_as(self) -> tuple[str, ...]:
        cash = self.payment_method is PaymentMethod.CASH
        return (*super().ruled_as, "CompleteTransaction") if cash else super().ruled_as

    def naira(self, aggregate: Transaction | None, uow: UnitOfWork) -> Decimal:
        """Return the amount of cash: anything else waits until it is completed."""
        return self.amount if self.payment_method is PaymentMethod.CASH else ZERO

    @property
    def _source(self) -> str | None:
        return self.provider or self.payment_method

    def looks_up(self, vault: Vault) -> Iterable[Claim]:
        return [reference_claim(self._source, self.reference)] if self.reference else []

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        self._require_fitting_fields()
        if self.payment_method is PaymentMethod.CASH:
            uow.need("transactions.cash", "write")
        user = uow.read(User, self.user_id)
        require_no_conflict(uow, user)
        if self.type is TransactionType.AIRTIME:
            user.require_present()
        require(not user.erased, "erased", "This user was erased; nothing is recorded any more.")
        loan = self._named(uow, user)
        claim_reference(uow, id, self._source, self.reference)
        yield TransactionRecorded.of(
            self, transaction_id=uow.number("TXN"), user_id=user.id, loan_id=loan
        )

    def follow(self, id: UUID, uow: UnitOfWork) -> None:
        if self.payment_method is not PaymentMethod.CASH:
            return
        made, completed = uow.read(Transaction, id), TransactionCompleted()
        if self.type is TransactionType.REPAYMENT:
            shared = repay(
                uow,
                made.user_id,
                self.amount,
                named=made.loan_id,
                transaction=id,
                paid_at=uow.stamp.at,
            )
            completed = _completed(shared)
        else:
            _sell(uow, made)
        uow.append(Transaction, id, [completed])

    def _require_fitting_fields(self) -> None:
        repayment = self.type is TransactionType.REPAYMENT
        if repayment and self.payment_method is None:
            raise Invalid("missing", "A repayment says how it is paid.", "/paymentMethod")
        if repayment and self.network is not None:
            raise Invalid("not-fitting", "A repayment has no network.", "/network")
        if not repayment and self.network is None:
            raise Invalid("missing", "A sale of airtime names a network.", "/network")
        if not repayment and self.loan_id is not None:
            raise Invalid("not-fitting", "A sale of airtime pays no loan.", "/loanId")

    def _named(self, uow: UnitOfWork, user: User) -> UUID | None:
        if self.loan_id is None:
            return None
        loan = uow.read(Loan, self.loan_id)
        whose = f"The loan {loan.loan_id} is another user's."
        require(loan.user_id == user.id, "loan-of-another-user", whose)
        status = f"The loan {loan.loan_id} is {loan.status}; only an open loan is repaid."
        require(loan.status in OPEN, "loan-not-open", status)
        return loan.id


class CompleteTransaction(BorrowerCommand[Transaction]):
    """Complete a payment: the money came in. It takes another person than the one who recorded it.
    A repayment is allocated to the user's loans in the same commit."""

    reference: Reference | None = None

    def decide(self, aggregate: Transaction, uow: UnitOfWork) -> Iterable[Event]:
        require_own_life(aggregate)
        require_legal(aggregate.status, "complete", LEGAL)
        words = "You recorded this payment; another person completes it."
        require_second_person(uow, words, aggregate.recorded_by)
        if self.reference:
            known = aggregate.reference or self.reference
            other = f"The transaction's reference is {known}, not {self.reference}."
            same = folded(self.reference) == folded(known)
            require(same, "reference-differs", other)
            claim_reference(uow, aggregate.id, aggregate.source, self.reference)
        if aggregate.type is TransactionType.REPAYMENT:
            shared = repay(
                uow,
                aggregate.user_id,
                aggregate.amount,
                named=aggregate.loan_id,
                transaction=aggregate.id,
                paid_at=aggregate.created_at,  # however much later it is settled
            )
            yield _completed(shared, self.reference)
        else:
            _sell(uow, aggregate)
            yield TransactionCompleted(reference=self.reference)


class FailTransaction(BorrowerCommand[Transaction]):
    """Fail a payment: the money did not come in, and another transaction may take the reference; or
    it was captured and cannot be used, and the reference stays taken."""

    reason: Note
    funds_captured: bool = False

    def decide(self, aggregate: Transaction, uow: UnitOfWork) -> Iterable[Event]:
        require_own_life(aggregate)
        require_legal(aggregate.status, "fail", LEGAL)
        user = uow.read(User, aggregate.user_id)
        reason = user.words(self.reason)
        yield TransactionFailed(reason=reason, funds_captured=self.funds_captured)


class AddNote(BorrowerCommand[Transaction]):
    """Add a staff note. The newest is shown; the earlier ones stay in the history."""

    note: Note

    def decide(self, aggregate: Transaction, uow: UnitOfWork) -> Iterable[Event]:
        if uow.reveal(aggregate.person, aggregate.notes) != self.note:
            yield TransactionNoted(note=self.note)


def claim_reference(uow: UnitOfWork, id: UUID, source: str | None, reference: str | None) -> None:
    """Claim a provider's reference for a transaction; one that failed without captured money
    releases it."""
    if reference:
        kind, name = reference_claim(source, reference)
        if (before := find_payment(uow, source, reference)) and before.brought_nothing:
            uow.release(kind, name)
        taken = f"The reference {reference} of {source} belongs to another transaction."
        uow.claim(kind, name, id, Refused("reference-taken", taken))


def find_payment(uow: UnitOfWork, source: str | None, reference: str) -> Transaction | None:
    """Return the transaction of a provider's reference, in any spelling; None if there is none."""
    holder = uow.holder(*reference_claim(source, reference))
    return uow.find(Transaction, holder) if holder else None


def require_own_life(transaction: Transaction) -> None:
    """Refuse a loan's top-up, which is completed, failed and reversed with its loan."""
    words = f"{transaction.transaction_id} is the top-up of a loan and moves with that loan only."
    require(not transaction.disburses, "follows-loan", words)


def _sell(uow: UnitOfWork, sale: Transaction) -> None:
    """Take sold airtime out of a tracked float. Raises Refused (`float-exhausted`)."""
    assert sale.network, "a sale of airtime names its network"
    spend(uow, sale.network, FloatMoved(amount=-sale.amount, transaction_id=sale.id))


def _completed(shared: RepaymentAllocated, reference: str | None = None) -> TransactionCompleted:
    return TransactionCompleted(reference=reference, parts=shared.parts, unallocated=shared.credit)
