"""A loan: requested, approved, disbursed, repaid. Its user's side moves in the same commit."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Final, Self, assert_never
from uuid import UUID

from rim_ledger.core import Aggregate, Stamp
from rim_ledger.holding import NOWHERE
from rim_ledger.lending.attempt import IN_FLIGHT, Airtime, Attempt, Disbursement, after, begun
from rim_ledger.lending.loan_events import (
    Decision,
    LoanApprovalRevoked,
    LoanApproved,
    LoanBecameOverdue,
    LoanCompleted,
    LoanDefaulted,
    LoanDefaultReversed,
    LoanDisbursed,
    LoanDisbursementAnswered,
    LoanDisbursementDisputed,
    LoanDisbursementFailed,
    LoanDisbursementRequested,
    LoanDisbursementReversed,
    LoanDisbursementSettled,
    LoanDisbursementUnknown,
    LoanDisputeResolved,
    LoanEvent,
    LoanMetadataSet,
    LoanRejected,
    LoanRepaid,
    LoanRepaymentReversed,
    LoanRequested,
)
from rim_ledger.lending.shares import Shares, is_late, received, taken_back
from rim_ledger.system.integration import under_way
from rim_ledger.values import ZERO, Network


class LoanStatus(StrEnum):
    """Where a loan stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    DISBURSED = "disbursed"
    REPAYING = "repaying"
    COMPLETED = "completed"
    DEFAULTED = "defaulted"


LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    LoanStatus.PENDING: ("approve", "reject"),
    LoanStatus.APPROVED: ("revoke-approval", "disburse", "settle"),
    LoanStatus.REJECTED: (),
    LoanStatus.DISBURSED: ("default", "reverse-disbursement"),
    LoanStatus.REPAYING: ("default", "reverse-disbursement"),
    LoanStatus.COMPLETED: ("reverse-disbursement",),
    LoanStatus.DEFAULTED: ("reverse-default",),
}

OPEN: Final = (LoanStatus.DISBURSED, LoanStatus.REPAYING, LoanStatus.DEFAULTED)


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
    historical: bool
    status: LoanStatus = LoanStatus.PENDING
    disbursement: Disbursement = Disbursement.NONE
    amount_paid: Decimal = ZERO
    auto_approved: bool = False
    approved_at: datetime | None = None
    approved_by: UUID | None = None
    rejected_at: datetime | None = None
    rejected_by: UUID | None = None
    rejection_reason: str | None = None
    attempts: tuple[Attempt, ...] = ()
    telco_reference: str | None = None
    disbursed_at: datetime | None = None
    due_date: datetime | None = None
    overdue: bool = False
    shares: Shares = {}
    completed_at: datetime | None = None
    late: bool = False
    """Whether it was repaid after the day on which it was due."""
    defaulted_at: datetime | None = None
    left_alone: bool = False
    notes: dict[str, Any] = {}

    @property
    def person(self) -> UUID:
        return self.user_id

    @property
    def last(self) -> Attempt | None:
        """The newest attempt to send the airtime."""
        return self.attempts[-1] if self.attempts else None

    @property
    def reference(self) -> str | None:
        return self.last.reference if self.last else None

    @property
    def transaction_id(self) -> UUID | None:
        return self.last.transaction_id if self.last else None

    @property
    def asked_at(self) -> datetime | None:
        return self.last.asked_at if self.last else None

    @property
    def integration(self) -> UUID | None:
        return self.last.integration if self.last else None

    def attempt(self, reference: str) -> Attempt | None:
        """The attempt that a reference stands for."""
        return next((each for each in self.attempts if each.reference == reference), None)

    @property
    def owed(self) -> Attempt | None:
        """The attempt whose airtime the loan stands for."""
        return next((each for each in self.attempts if each.airtime is Airtime.OWED), None)

    @property
    def in_dispute(self) -> tuple[Attempt, ...]:
        """The attempts whose airtime came and is nobody's debt, the oldest first."""
        return tuple(each for each in self.attempts if each.airtime is Airtime.DISPUTED)

    @property
    def disputed(self) -> bool:
        return bool(self.in_dispute)

    @property
    def disputes(self) -> list[str]:
        """The references of what is in dispute."""
        return [each.reference for each in self.in_dispute]

    @property
    def in_flight(self) -> bool:
        """Whether nobody knows yet what became of the last attempt."""
        return self.disbursement in IN_FLIGHT

    @property
    def to_ask(self) -> tuple[Attempt, ...]:
        """The attempts that the telco is asked about until its answer is definite: the one in
        flight, and what staff settled or reversed."""
        if self.historical:
            return ()
        flying = self.last if self.in_flight else None
        return tuple(each for each in self.attempts if each.unconfirmed or each is flying)

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        if not (asked := self.to_ask):
            return NOWHERE
        telcos = (each.integration for each in asked)
        return frozenset((under_way(each), str(self.id)) for each in telcos if each)

    @property
    def outstanding_amount(self) -> Decimal:
        """Naira still to be paid."""
        return self.amount_due - self.amount_paid

    def paid_up(self, at: datetime) -> datetime:
        """When the loan counts as repaid, if money that came in at a time is what it lacks: with
        the latest of its money, whichever was recorded last, but not before it was lent."""
        return max(at, self.disbursed_at or at, *(each.at for each in self.shares.values()))

    @property
    def metadata(self) -> dict[str, Any]:
        """What the decision was made on, beside the free fields (whose values are sealed)."""
        return self.notes | {
            "creditScore": self.decision.credit_score,
            "previousLoans": self.decision.previous_loans,
            "autoApproved": self.auto_approved,
            "policy": self.decision.policy,
            "reasons": list(self.decision.reasons),
        }

    @classmethod
    def begin(cls, id: UUID, event: LoanRequested, stamp: Stamp) -> Self:
        by, at = stamp.actor.id, stamp.at
        return cls.made(id, event, requested_by=by, created_at=at, notes=event.metadata)

    def evolve(self, event: LoanEvent, stamp: Stamp) -> Self:  # noqa: C901, PLR0911, PLR0912 - a line an event
        match event:
            case LoanApproved():
                return self.but(
                    status=LoanStatus.APPROVED,
                    auto_approved=event.automatic,
                    approved_at=stamp.at,
                    approved_by=None if event.automatic else stamp.admin,
                )
            case LoanRejected():
                return self.but(
                    status=LoanStatus.REJECTED,
                    rejected_at=stamp.at,
                    rejected_by=stamp.admin,
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
            case LoanDisbursementRequested():
                fresh = begun(event, stamp.admin or self.approved_by or self.requested_by)
                attempts = (*self.attempts, fresh)
                return self.but(disbursement=Disbursement.REQUESTED, attempts=attempts)
            case LoanDisbursementUnknown():
                return self.but(disbursement=Disbursement.UNKNOWN)
            case LoanDisbursementFailed():
                attempts = after(self.attempts, event, stamp)
                return self.but(disbursement=Disbursement.FAILED, attempts=attempts)
            case LoanDisbursed():
                return self.but(
                    status=LoanStatus.DISBURSED,
                    disbursement=Disbursement.DELIVERED,
                    attempts=after(self.attempts, event, stamp),
                    telco_reference=event.telco_reference,
                    disbursed_at=stamp.at,
                    due_date=event.due_date,
                )
            case (
                LoanDisbursementSettled()
                | LoanDisbursementAnswered()
                | LoanDisbursementDisputed()
                | LoanDisputeResolved()
            ):
                return self.but(attempts=after(self.attempts, event, stamp))
            case LoanRepaid():
                defaulted = self.status is LoanStatus.DEFAULTED
                return self.but(
                    status=self.status if defaulted else LoanStatus.REPAYING,
                    amount_paid=self.amount_paid + event.amount,
                    shares=received(self.shares, event, stamp.at),
                )
            case LoanCompleted():
                done = event.paid_at or max(stamp.at, self.disbursed_at or stamp.at)
                late = is_late(self.due_date or done, event.paid_at, done)
                return self.but(
                    status=LoanStatus.COMPLETED,
                    completed_at=done,
                    late=late,
                    overdue=self.overdue and (late or event.paid_at is None),
                )
            case LoanRepaymentReversed():
                left = self.amount_paid - event.amount
                open_ = LoanStatus.REPAYING if left else LoanStatus.DISBURSED
                return self.but(
                    status=LoanStatus.DEFAULTED if self.defaulted_at else open_,
                    amount_paid=left,
                    shares=taken_back(self.shares, event),
                    completed_at=None,
                    late=False,
                )
            case LoanDisbursementReversed():
                return self.but(
                    status=LoanStatus.APPROVED,
                    disbursement=Disbursement.NONE,
                    attempts=after(self.attempts, event, stamp),
                    telco_reference=event.telco_reference,
                    disbursed_at=None,
                    due_date=None,
                    overdue=False,
                )
            case LoanBecameOverdue():
                return self.but(overdue=True)
            case LoanDefaulted():
                return self.but(status=LoanStatus.DEFAULTED, defaulted_at=stamp.at)
            case LoanDefaultReversed():
                back = LoanStatus.REPAYING if self.amount_paid else LoanStatus.DISBURSED
                return self.but(status=back, defaulted_at=None, left_alone=True)
            case _:
                assert_never(event)
