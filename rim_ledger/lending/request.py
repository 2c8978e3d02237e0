"""Asking for a loan and deciding on it, within the user's limit."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from rim_ledger.book import Book
from rim_ledger.core import (
    Command,
    Creation,
    Event,
    Forbidden,
    Invalid,
    Refused,
    require,
    require_legal,
)
from rim_ledger.lending.loan import (
    IN_FLIGHT,
    LEGAL,
    Decision,
    Loan,
    LoanApprovalRevoked,
    LoanApproved,
    LoanMetadataSet,
    LoanRejected,
    LoanRequested,
)
from rim_ledger.lending.user import User, UserStatus
from rim_ledger.lending.user_events import CreditReleased, CreditReserved
from rim_ledger.system.config import setting
from rim_ledger.values import AnyId, Metadata, Money, Network, Note, Rate, interest

HISTORICAL_AFTER: Final = timedelta(days=7)


class RequestLoan(Creation[Loan]):
    """Ask for airtime on credit. Terms that are left out are the configured ones; borrowers, who
    ask for themselves, name none."""

    user_id: AnyId
    amount: Money
    network: Annotated[Network, Field(strict=False)]
    repayment_period: Annotated[int, Field(ge=1, le=365)] | None = None
    interest_rate: Rate | None = None
    metadata: Metadata = {}

    def begin(self, id: UUID, book: Book) -> Iterable[Event]:
        self._require_right_to_terms(book)
        user = book.known(User, self.user_id)
        require_no_conflict(book, user)
        require_active(user)
        room = f"{self.amount} naira is more than the {user.available} naira that the limit leaves."
        require(self.amount <= user.available, "credit-limit-exceeded", room)
        require_no_late_debt(book, user)
        most = setting(book, "lending", "maxOpenLoans")
        full = f"The user has {user.unfinished} unfinished loans; {most} are allowed."
        require(user.unfinished < most, "too-many-open-loans", full)
        rate = setting(book, "lending", "interestRate")
        rate = rate if self.interest_rate is None else self.interest_rate
        automatic, reasons = _judge(user, self.amount, book)
        decision = Decision(user.credit_score, user.total_loans, user.available, reasons)
        book.append(User, user.id, [CreditReserved(loan_id=id, amount=self.amount)])
        yield LoanRequested(
            loan_id=book.number("LOAN"),
            user_id=user.id,
            amount=self.amount,
            network=self.network,
            interest_rate=rate,
            amount_due=self.amount + interest(self.amount, rate),
            repayment_period=self.repayment_period or setting(book, "lending", "repaymentPeriod"),
            decision=decision,
            historical=book.stamp.at < book.now - HISTORICAL_AFTER,
            metadata=self.metadata,
        )
        if automatic:
            _remind_to_disburse(book, id)
            yield LoanApproved(automatic=True)

    def _require_right_to_terms(self, book: Book) -> None:
        own = self.interest_rate is not None or self.repayment_period or self.metadata
        if own and not book.may("history.import", "write"):
            book.need("loans.approval", "write")


class ApproveLoan(Command[Loan]):
    """Approve a pending loan that somebody else requested."""

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "approve", LEGAL)
        require_not_before(aggregate.created_at, self.occurred_at)
        actor = book.stamp.actor.id
        if actor is not None and actor == aggregate.requested_by:
            raise Forbidden("self-approval", "Whoever requested a loan does not approve it.")
        user = book.read(User, aggregate.user_id)
        require_no_conflict(book, user)
        require_active(user)
        _remind_to_disburse(book, aggregate.id)
        yield LoanApproved()


class RejectLoan(Command[Loan]):
    """Turn a pending loan down, for a reason."""

    reason: Note

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "reject", LEGAL)
        require_not_before(aggregate.created_at, self.occurred_at)
        book.append(User, aggregate.user_id, [CreditReleased(loan_id=aggregate.id)])
        yield LoanRejected(reason=self.reason)


class RevokeApproval(Command[Loan]):
    """Take an approval back, for a reason; the loan is pending again."""

    reason: Note

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "revoke-approval", LEGAL)
        require_grounded(aggregate)
        yield LoanApprovalRevoked(reason=self.reason)


class SetLoanMetadata(Command[Loan]):
    """Replace the free fields of a loan."""

    metadata: Metadata

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        if book.reveal(aggregate.person, aggregate.notes) != self.metadata:
            yield LoanMetadataSet(metadata=self.metadata)


def require_active(user: User) -> None:
    """Only an active user borrows."""
    status = f"The user is {user.status}; only an active user borrows."
    require(user.status is UserStatus.ACTIVE, "user-not-active", status)


def require_no_late_debt(book: Book, user: User) -> None:
    """Nobody borrows while a loan is past due or defaulted. By the actual time, not the stated."""
    late = any(debt.defaulted or debt.due_at < book.now for debt in user.debts.values())
    require(not late, "outstanding-debt", "The user has a loan that is past due or defaulted.")


def require_no_conflict(book: Book, user: User) -> None:
    """Nobody decides about their own money: a caller with the borrower's phone or e-mail."""
    if {user.phone_hash, user.email_hash} & book.contacts:
        raise Forbidden("conflict-of-interest", "This borrower has your own phone or e-mail.")


def require_not_before(earlier: datetime | None, occurred_at: datetime | None) -> None:
    """What is said to have happened lies after what it follows from."""
    if earlier and occurred_at and occurred_at < earlier:
        words = f"This follows from what happened at {earlier:%Y-%m-%dT%H:%M:%SZ}."
        raise Invalid("occurred-too-early", words, "/occurredAt")


def require_grounded(loan: Loan) -> None:
    """No airtime is on its way: what is not known to have failed may still arrive."""
    if loan.disbursement in IN_FLIGHT:
        raise Refused(
            "disbursement-in-flight",
            f"The disbursement {loan.reference} is {loan.disbursement}; wait for its outcome.",
        )


def _remind_to_disburse(book: Book, loan: UUID) -> None:
    if setting(book, "lending", "autoDisburse"):
        book.remind("disburse", loan, book.now)


def _judge(user: User, amount: Decimal, book: Book) -> tuple[bool, tuple[str, ...]]:
    """Whether a request is approved at once, and every reason why not (domain §2)."""
    reasons = []
    if not setting(book, "lending", "autoApprove"):
        reasons.append("automatic approval is off")
    if user.credit_score < (least := setting(book, "lending", "autoApproveMinScore")):
        reasons.append(f"the score {user.credit_score} is below {least}")
    if amount > (most := setting(book, "lending", "autoApproveMaxAmount")):
        reasons.append(f"the amount {amount} is above {most}")
    return not reasons, tuple(reasons)
