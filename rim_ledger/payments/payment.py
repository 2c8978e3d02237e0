"""Recording payments and settling them: a repayment reaches the user's loans in one commit."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from pydantic import Field

from rim_ledger.book import Book
from rim_ledger.core import Command, Creation, Event, Refused, require, require_legal
from rim_ledger.lending.debt import repay
from rim_ledger.lending.loan import OPEN, Loan
from rim_ledger.lending.request import require_no_conflict
from rim_ledger.lending.user import RepaymentAllocated, User
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
from rim_ledger.values import AnyId, Money, Name, Network, Note, Reference, Word

Method = Annotated[PaymentMethod, Field(strict=False)]


class Payment(Creation[Transaction]):
    """What both kinds of payment say. Cash is there at once; the others wait to be completed."""

    user_id: AnyId
    amount: Money
    provider: Name | None = None
    reference: Reference | None = None
    description: Note | None = None
    metadata: dict[Word, str | int | float | bool | None] = {}

    def _record(self, id: UUID, book: Book, user: User, **rest: Any) -> Iterable[Event]:
        yield TransactionRecorded(
            transaction_id=book.number("TXN"),
            user_id=user.id,
            amount=self.amount,
            provider=self.provider,
            reference=self.reference,
            description=self.description,
            metadata=self.metadata,
            **rest,
        )
        claim_reference(book, id, self.provider or rest["payment_method"], self.reference)

    def _payer(self, book: Book, method: PaymentMethod | None) -> User:
        if method is PaymentMethod.CASH:
            book.need("transactions.cash", "write")
        user = book.read(User, self.user_id)
        require_no_conflict(book, user)
        require(not user.erased, "erased", "This user was erased; nothing is recorded any more.")
        return user


class RecordRepayment(Payment):
    """Money from a borrower. Accepted in every standing of the user."""

    type: Literal["repayment"] = "repayment"
    payment_method: Method
    loan_id: AnyId | None = None

    def begin(self, id: UUID, book: Book) -> Iterable[Event]:
        user = self._payer(book, self.payment_method)
        loan = self._named(book, user)
        yield from self._record(
            id,
            book,
            user,
            type=TransactionType.REPAYMENT,
            payment_method=self.payment_method,
            loan_id=loan,
        )
        if self.payment_method is PaymentMethod.CASH:
            yield _completed(repay(book, user.id, self.amount, loan, id))

    def _named(self, book: Book, user: User) -> UUID | None:
        if self.loan_id is None:
            return None
        loan = book.read(Loan, self.loan_id)
        whose = f"The loan {loan.loan_id} is another user's."
        require(loan.user_id == user.id, "loan-of-another-user", whose)
        status = f"The loan {loan.loan_id} is {loan.status}; only an open loan is repaid."
        require(loan.status in OPEN, "loan-not-open", status)
        return loan.id


class PurchaseAirtime(Payment):
    """A sale of airtime, paid for at once. It is recorded; no telco is called."""

    type: Literal["airtime"]
    network: Annotated[Network, Field(strict=False)]
    payment_method: Method | None = None

    def begin(self, id: UUID, book: Book) -> Iterable[Event]:
        user = self._payer(book, self.payment_method)
        yield from self._record(
            id,
            book,
            user,
            type=TransactionType.AIRTIME,
            payment_method=self.payment_method,
            network=self.network,
        )
        if self.payment_method is PaymentMethod.CASH:
            yield TransactionCompleted()


RecordTransaction = Annotated[RecordRepayment | PurchaseAirtime, Field(discriminator="type")]
"""Either kind of payment, told apart by `type`."""


class CompleteTransaction(Command[Transaction]):
    """The money came in. A repayment is shared out over the user's loans in the same commit."""

    reference: Reference | None = None

    def decide(self, aggregate: Transaction, book: Book) -> Iterable[Event]:
        _require_own_life(aggregate)
        require_legal(aggregate.status, "complete", LEGAL)
        require_no_conflict(book, book.read(User, aggregate.user_id))
        if self.reference:
            known = aggregate.reference or self.reference
            other = f"The transaction's reference is {known}, not {self.reference}."
            require(self.reference == known, "reference-differs", other)
            claim_reference(book, aggregate.id, aggregate.source, self.reference)
        if aggregate.type is TransactionType.REPAYMENT:
            owner, named = aggregate.user_id, aggregate.loan_id
            shared = repay(book, owner, aggregate.amount, named, aggregate.id)
            yield _completed(shared, self.reference)
        else:
            yield TransactionCompleted(reference=self.reference)


class FailTransaction(Command[Transaction]):
    """The money did not come, or was captured and cannot be used. The reference is free again."""

    reason: Note
    funds_captured: bool = False

    def decide(self, aggregate: Transaction, book: Book) -> Iterable[Event]:
        _require_own_life(aggregate)
        require_legal(aggregate.status, "fail", LEGAL)
        if aggregate.reference:
            book.release(*_reference(aggregate.source, aggregate.reference))
        yield TransactionFailed(reason=self.reason, funds_captured=self.funds_captured)


class AddNote(Command[Transaction]):
    """A note by staff. The newest is shown; the earlier ones stay in the history."""

    note: Note

    def decide(self, aggregate: Transaction, book: Book) -> Iterable[Event]:
        if book.reveal(aggregate.person, aggregate.notes) != self.note:
            yield TransactionNoted(note=self.note)


def claim_reference(book: Book, id: UUID, source: str | None, reference: str | None) -> None:
    """A reference of one provider stands for one transaction, unless that failed."""
    if reference:
        taken = f"The reference {reference} of {source} belongs to another transaction."
        book.claim(*_reference(source, reference), id, Refused("reference-taken", taken))


def _reference(source: str | None, reference: str) -> tuple[str, str]:
    return "payment-reference", msgspec.json.encode([source, reference]).decode()


def _require_own_life(transaction: Transaction) -> None:
    words = f"{transaction.transaction_id} is the top-up of a loan and moves with that loan only."
    require(not transaction.disburses, "follows-loan", words)


def _completed(shared: RepaymentAllocated, reference: str | None = None) -> TransactionCompleted:
    return TransactionCompleted(reference=reference, parts=shared.parts, unallocated=shared.credit)
