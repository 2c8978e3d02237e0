"""Sending a loan's airtime: requested first, then asked of the telco, then recorded.

The reference is durable before the telco hears of it. What the telco left open is asked about
again under the same reference, and never sent again.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final, Literal
from uuid import UUID

from rim_ledger.book import Book, Work
from rim_ledger.core import Command, Event, require, require_legal
from rim_ledger.lending.attempt import Attempt, Disbursement
from rim_ledger.lending.debt import incur
from rim_ledger.lending.decision import require_active, require_no_late_debt
from rim_ledger.lending.loan import LEGAL, Loan, LoanStatus
from rim_ledger.lending.loan_events import (
    LoanDisbursed,
    LoanDisbursementDisputed,
    LoanDisbursementFailed,
    LoanDisbursementRequested,
    LoanDisbursementSettled,
    LoanDisbursementUnknown,
)
from rim_ledger.lending.request import require_grounded, require_no_conflict
from rim_ledger.lending.separation import require_may_lend
from rim_ledger.lending.telco import Answer, Reply
from rim_ledger.lending.user import User
from rim_ledger.payments.transaction import (
    Transaction,
    TransactionCompleted,
    TransactionFailed,
    TransactionRecorded,
    TransactionStatus,
    TransactionType,
)
from rim_ledger.system.config import setting
from rim_ledger.system.integration import SERVES
from rim_ledger.system.outbound import require_open
from rim_ledger.values import Note, Reference, day_after, due_date

PREFIX: Final = "DSB-"
"""What a reference begins with; the loan's own id follows, and the number of the attempt."""
FIRST_QUERY: Final = timedelta(seconds=5)
LAST_WAIT: Final = timedelta(hours=1)


class DisburseLoan(Command[Loan]):
    """Send the airtime of an approved loan. After a definite failure it may be tried again. If
    airtime of the loan is in dispute, nothing is sent: the oldest of it is owed from now on."""

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "disburse", LEGAL)
        require_grounded(aggregate)
        user = book.read(User, aggregate.user_id)
        require_no_conflict(book, user)
        require_may_lend(book, aggregate, user)
        if aggregate.disputed:
            book.forget("disburse", aggregate.id)
            came = aggregate.in_dispute[0]
            yield from _deliver(aggregate.id, came.reference, came.telco_reference, book)
            return
        require_active(user)
        require_no_late_debt(user, book.now)
        room = f"Loans of {user.exposure} naira exceed the limit of {user.credit_limit} naira."
        require(user.exposure <= user.credit_limit, "credit-limit-exceeded", room)
        most = setting(book, "lending", "maxOpenLoans")
        full = f"The user has {user.unfinished} unfinished loans; {most} are allowed."
        require(user.unfinished <= most, "too-many-open-loans", full)
        if not aggregate.historical:
            require_open(book)
        yield (requested := _request(aggregate, book))
        if aggregate.historical:
            yield from _deliver(aggregate.id, requested.reference, None, book)


class SettleDisbursement(Command[Loan]):
    """Say what became of a top-up that the telco leaves open, on evidence from elsewhere, such as
    the telco's portal. It counts as much as the telco's own word."""

    outcome: Literal["delivered", "failed"]
    evidence: Note
    telco_reference: Reference | None = None

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "settle", LEGAL)
        require_no_conflict(book, book.read(User, aggregate.user_id))
        unknown = aggregate.disbursement is Disbursement.UNKNOWN
        words = f"The disbursement is {aggregate.disbursement}; only an unknown one is settled."
        require(unknown, "disbursement-not-unknown", words)
        reference = aggregate.reference
        assert reference, "what is unknown was asked for"
        yield LoanDisbursementSettled(reference=reference, evidence=self.evidence)
        reply = Reply(Answer(self.outcome), self.telco_reference, "Staff found that it failed.")
        yield from _outcome(aggregate, reference, reply, book)


def record_reply(id: UUID, reference: str, reply: Reply) -> Work:
    """What the telco said of a reference of a loan. Said twice, it changes nothing."""

    def work(book: Book) -> UUID:
        book.act_upon(id)
        with book.dated(id):
            book.append(Loan, id, _outcome(book.read(Loan, id), reference, reply, book))
        return id

    return work


def find_attempt(book: Book, reference: str) -> tuple[Loan, Attempt] | None:
    """The loan that a reference was made for, and the attempt that it stands for."""
    loan = book.find(Loan, reference.removeprefix(PREFIX).rpartition("-")[0])
    attempt = loan.attempt(reference) if loan else None
    return (loan, attempt) if loan and attempt else None


def _outcome(loan: Loan, reference: str, reply: Reply, book: Book) -> Iterable[Event]:
    attempt = loan.attempt(reference)
    assert attempt, "a telco tells of what it was asked for"
    if attempt.delivered:
        return
    current = attempt == loan.last
    if reply.answer is Answer.DELIVERED:
        if current and loan.status is LoanStatus.APPROVED:
            yield from _deliver(loan.id, reference, reply.telco_reference, book)
        else:
            told = reply.telco_reference
            yield LoanDisbursementDisputed(reference=reference, telco_reference=told)
    elif not (current and loan.in_flight):
        return
    elif reply.answer is Answer.FAILED:
        book.forget("query-top-up", loan.id)
        book.append(Transaction, attempt.transaction_id, [TransactionFailed(reason=reply.reason)])
        yield LoanDisbursementFailed(reference=reference, reason=reply.reason)
    elif reply.answer is Answer.UNKNOWN:
        book.remind("query-top-up", loan.id, book.now + _next_wait(book.now - attempt.asked_at))
        if loan.disbursement is not Disbursement.UNKNOWN:
            yield LoanDisbursementUnknown(reference=reference)


def _next_wait(waited: timedelta) -> timedelta:
    """As long again as was waited so far: 5 seconds at first, an hour at most."""
    return min(max(FIRST_QUERY, waited), LAST_WAIT)


def _request(loan: Loan, book: Book) -> LoanDisbursementRequested:
    attempt = len(loan.attempts) + 1
    reference = f"{PREFIX}{loan.loan_id}-{attempt}"
    book.remind("query-top-up", loan.id, book.now + FIRST_QUERY)
    book.forget("disburse", loan.id)
    return LoanDisbursementRequested(
        transaction_id=_record(loan, reference, book),
        reference=reference,
        attempt=attempt,
        asked_at=book.now,
        integration=None if loan.historical else book.holder(SERVES, loan.network),
    )


def _deliver(id: UUID, reference: str, telco_reference: str | None, book: Book) -> Iterable[Event]:
    loan = book.read(Loan, id)
    attempt = loan.attempt(reference)
    assert attempt, "what was delivered was asked for"
    due = due_date(book.stamp.at, loan.repayment_period)
    transaction = attempt.transaction_id
    if book.read(Transaction, transaction).status is TransactionStatus.FAILED:
        transaction = _record(loan, reference, book)  # delivered after all: the failed one stays so
    book.append(Transaction, transaction, [TransactionCompleted()])
    book.forget("query-top-up", id)
    if not loan.historical:
        book.remind("overdue", id, day_after(due))
    yield LoanDisbursed(
        reference=reference,
        transaction_id=transaction,
        telco_reference=telco_reference,
        due_date=due,
    )
    incur(book, book.read(Loan, id), due)


def _record(loan: Loan, reference: str, book: Book) -> UUID:
    transaction = book.new_id()
    recorded = TransactionRecorded(
        transaction_id=book.number("TXN"),
        user_id=loan.user_id,
        type=TransactionType.AIRTIME,
        amount=loan.amount,
        reference=reference,
        network=loan.network,
        loan_id=loan.id,
    )
    book.open_stream(Transaction, transaction, [recorded])
    return transaction
