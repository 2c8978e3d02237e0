"""Sending a loan's airtime: requested first, then asked of the telco, then recorded.

The reference is durable before the telco hears of it. What the telco left open is asked about
again under the same reference, and never sent again.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

from rim_ledger.book import Book, Work
from rim_ledger.core import Command, Event, require, require_legal
from rim_ledger.lending.debt import incur
from rim_ledger.lending.decision import require_active, require_no_late_debt
from rim_ledger.lending.loan import (
    LEGAL,
    Disbursement,
    Loan,
    LoanDisbursed,
    LoanDisbursementDisputed,
    LoanDisbursementFailed,
    LoanDisbursementRequested,
    LoanDisbursementUnknown,
    LoanStatus,
)
from rim_ledger.lending.request import (
    require_grounded,
    require_no_conflict,
    require_not_before,
)
from rim_ledger.lending.telco import Answer, Reply
from rim_ledger.lending.user import User
from rim_ledger.payments.transaction import (
    Transaction,
    TransactionCompleted,
    TransactionFailed,
    TransactionRecorded,
    TransactionType,
)
from rim_ledger.system.config import setting
from rim_ledger.system.integration import SERVES
from rim_ledger.system.outbound import require_open
from rim_ledger.values import due_date

FIRST_QUERY: Final = timedelta(seconds=5)
LAST_WAIT: Final = timedelta(hours=1)


class DisburseLoan(Command[Loan]):
    """Send the airtime of an approved loan. After a definite failure it may be tried again."""

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "disburse", LEGAL)
        require_not_before(aggregate.approved_at, self.occurred_at)
        require_grounded(aggregate)
        user = book.read(User, aggregate.user_id)
        require_no_conflict(book, user)
        require_active(user)
        require_no_late_debt(user, book.now)
        room = f"Loans of {user.exposure} naira exceed the limit of {user.credit_limit} naira."
        require(user.exposure <= user.credit_limit, "credit-limit-exceeded", room)
        most = setting(book, "lending", "maxOpenLoans")
        full = f"The user has {user.unfinished} unfinished loans; {most} are allowed."
        require(user.unfinished <= most, "too-many-open-loans", full)
        if not aggregate.historical:
            require_open(book)
        yield from _request(aggregate, book)
        if aggregate.historical:
            yield from _deliver(aggregate.id, None, book)


def record_reply(id: UUID, reference: str, reply: Reply) -> Work:
    """What the telco said of a reference of a loan. Said twice, it changes nothing."""

    def work(book: Book) -> UUID:
        book.act_upon(id)
        book.append(Loan, id, _outcome(book.read(Loan, id), reference, reply, book))
        return id

    return work


def _outcome(loan: Loan, reference: str, reply: Reply, book: Book) -> Iterable[Event]:
    current = reference == loan.reference
    waiting = current and loan.status is LoanStatus.APPROVED
    known = current and loan.disbursement is Disbursement.DELIVERED
    unsettled = waiting and loan.disbursement is not Disbursement.FAILED
    if reply.answer is Answer.DELIVERED and waiting:
        yield from _deliver(loan.id, reply.telco_reference, book)
    elif reply.answer is Answer.DELIVERED and not known:
        yield LoanDisbursementDisputed(reference=reference, telco_reference=reply.telco_reference)
    elif reply.answer is Answer.FAILED and unsettled:
        book.forget("query-top-up", loan.id)
        book.append(Transaction, _transaction(loan), [TransactionFailed(reason=reply.reason)])
        yield LoanDisbursementFailed(reference=reference, reason=reply.reason)
    elif reply.answer is Answer.UNKNOWN and unsettled:
        asked_at = loan.asked_at or book.now
        book.remind("query-top-up", loan.id, book.now + _next_wait(book.now - asked_at))
        if loan.disbursement is not Disbursement.UNKNOWN:
            yield LoanDisbursementUnknown(reference=reference)


def _next_wait(waited: timedelta) -> timedelta:
    """As long again as was waited so far: 5 seconds at first, an hour at most."""
    return min(max(FIRST_QUERY, waited), LAST_WAIT)


def _request(loan: Loan, book: Book) -> Iterable[Event]:
    attempt = loan.attempt + 1
    reference = f"DSB-{loan.loan_id}-{attempt}"
    book.remind("query-top-up", loan.id, book.now + FIRST_QUERY)
    book.forget("disburse", loan.id)
    yield LoanDisbursementRequested(
        transaction_id=_record(loan, reference, book),
        reference=reference,
        attempt=attempt,
        asked_at=book.now,
        integration=None if loan.historical else book.holder(SERVES, loan.network),
    )


def _deliver(id: UUID, telco_reference: str | None, book: Book) -> Iterable[Event]:
    loan = book.read(Loan, id)
    due = due_date(book.stamp.at, loan.repayment_period)
    transaction = _transaction(loan)
    if loan.disbursement is Disbursement.FAILED:  # delivered after all: the failed one stays so
        transaction = _record(loan, loan.reference, book)
    book.append(Transaction, transaction, [TransactionCompleted()])
    book.forget("query-top-up", id)
    if not loan.historical:
        book.remind("overdue", id, due)
    yield LoanDisbursed(transaction_id=transaction, telco_reference=telco_reference, due_date=due)
    incur(book, book.read(Loan, id), due)


def _record(loan: Loan, reference: str | None, book: Book) -> UUID:
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


def _transaction(loan: Loan) -> UUID:
    assert loan.transaction_id is not None, "a requested disbursement has its transaction"
    return loan.transaction_id
