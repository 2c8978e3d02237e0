"""A loan: requested, then approved or rejected. Every step also moves its user's exposure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self, assert_never
from uuid import UUID

from msgspec import Struct
from pydantic import Field

from rim_ledger.book import Book
from rim_ledger.core import (
    Aggregate,
    Command,
    Creation,
    Event,
    Forbidden,
    Personal,
    PersonalMap,
    Stamp,
    require,
    require_legal,
)
from rim_ledger.lending.user import CreditReleased, CreditReserved, User, UserStatus
from rim_ledger.system.config import setting
from rim_ledger.values import Id, Money, Network, Note, Rate, Word, interest

POLICY_VERSION: Final = "decision-v1"


class LoanStatus(StrEnum):
    """Where a loan stands. Disbursement and repayment come with the next statuses."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    LoanStatus.PENDING: ("approve", "reject"),
    LoanStatus.APPROVED: ("revoke-approval",),
    LoanStatus.REJECTED: (),
}


class Decision(Struct, frozen=True, rename="camel", gc=False):
    """What a request was decided on, by which version of the policy, and why so."""

    credit_score: int
    previous_loans: int
    available: Decimal
    reasons: tuple[str, ...] = ()
    policy: str = POLICY_VERSION


# Events: what can happen to a loan.


class LoanRequested(Event):
    loan_id: str
    user_id: UUID
    amount: Decimal
    network: Network
    interest_rate: Decimal
    amount_due: Decimal
    repayment_period: int
    decision: Decision
    metadata: PersonalMap = {}


class LoanApproved(Event):
    automatic: bool = False


class LoanRejected(Event):
    reason: Personal


class LoanApprovalRevoked(Event):
    reason: Personal


class LoanMetadataSet(Event):
    metadata: PersonalMap


LoanEvent = LoanApproved | LoanRejected | LoanApprovalRevoked | LoanMetadataSet


# The aggregate: what those events add up to.


class Loan(Aggregate):
    BUSINESS_ID: ClassVar[str | None] = "loan_id"

    loan_id: str
    user_id: UUID
    amount: Decimal
    network: Network
    interest_rate: Decimal
    amount_due: Decimal
    repayment_period: int
    decision: Decision
    requested_by: UUID | None
    created_at: datetime
    status: LoanStatus = LoanStatus.PENDING
    auto_approved: bool = False
    approved_at: datetime | None = None
    approved_by: UUID | None = None
    rejected_at: datetime | None = None
    rejected_by: UUID | None = None
    rejection_reason: str | None = None
    notes: dict[str, Any] = {}

    @property
    def person(self) -> UUID:
        return self.user_id

    @classmethod
    def begin(cls, id: UUID, event: LoanRequested, stamp: Stamp) -> Self:
        return cls(
            id=id,
            loan_id=event.loan_id,
            user_id=event.user_id,
            amount=event.amount,
            network=event.network,
            interest_rate=event.interest_rate,
            amount_due=event.amount_due,
            repayment_period=event.repayment_period,
            decision=event.decision,
            requested_by=stamp.actor.id,
            created_at=stamp.at,
            notes=event.metadata,
        )

    def evolve(self, event: LoanEvent, stamp: Stamp) -> Self:
        match event:
            case LoanApproved():
                return self.but(
                    status=LoanStatus.APPROVED,
                    auto_approved=event.automatic,
                    approved_at=stamp.at,
                    approved_by=None if event.automatic else stamp.actor.id,
                )
            case LoanRejected():
                return self.but(
                    status=LoanStatus.REJECTED,
                    rejected_at=stamp.at,
                    rejected_by=stamp.actor.id,
                    rejection_reason=event.reason,
                )
            case LoanApprovalRevoked():
                return self.but(
                    status=LoanStatus.PENDING,
                    auto_approved=False,
                    approved_at=None,
                    approved_by=None,
                )
            case LoanMetadataSet():
                return self.but(notes=event.metadata)
            case _:
                assert_never(event)


# Commands: what one may ask of a loan, and the rule each must meet.


class RequestLoan(Creation[Loan]):
    """Ask for airtime on credit. Terms that are left out are the configured ones."""

    user_id: Id
    amount: Money
    network: Annotated[Network, Field(strict=False)]
    repayment_period: Annotated[int, Field(ge=1, le=365)] | None = None
    interest_rate: Rate | None = None
    metadata: dict[Word, str | int | float | bool | None] = {}

    def begin(self, id: UUID, book: Book) -> Iterable[Event]:
        user = book.read(User, self.user_id)
        _require_active(user)
        _require_room(user, self.amount, book)
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
            metadata=self.metadata,
        )
        if automatic:
            yield LoanApproved(automatic=True)


class ApproveLoan(Command[Loan]):
    """Approve a pending loan that somebody else requested."""

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "approve", LEGAL)
        actor = book.stamp.actor.id
        if actor is not None and actor == aggregate.requested_by:
            raise Forbidden("self-approval", "Whoever requested a loan does not approve it.")
        _require_active(book.read(User, aggregate.user_id))
        yield LoanApproved()


class RejectLoan(Command[Loan]):
    """Turn a pending loan down, for a reason."""

    reason: Note

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "reject", LEGAL)
        book.append(User, aggregate.user_id, [CreditReleased(loan_id=aggregate.id)])
        yield LoanRejected(reason=self.reason)


class RevokeApproval(Command[Loan]):
    """Take an approval back, for a reason; the loan is pending again."""

    reason: Note

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "revoke-approval", LEGAL)
        yield LoanApprovalRevoked(reason=self.reason)


class SetLoanMetadata(Command[Loan]):
    """Replace the free fields of a loan."""

    metadata: dict[Word, str | int | float | bool | None]

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        if book.reveal(aggregate.person, aggregate.notes) != self.metadata:
            yield LoanMetadataSet(metadata=self.metadata)


def _require_active(user: User) -> None:
    status = f"The user is {user.status}; only an active user borrows."
    require(user.status is UserStatus.ACTIVE, "user-not-active", status)


def _require_room(user: User, amount: Decimal, book: Book) -> None:
    room = f"{amount} naira is more than the {user.available} naira that the limit leaves."
    require(amount <= user.available, "credit-limit-exceeded", room)
    most = setting(book, "lending", "maxOpenLoans")
    full = f"The user has {len(user.reserved)} unfinished loans; {most} are allowed."
    require(len(user.reserved) < most, "too-many-open-loans", full)


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
