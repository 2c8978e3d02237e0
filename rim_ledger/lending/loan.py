"""A loan: requested, approved, disbursed, repaid. Its user's side changes in the same commit."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Final, Self, assert_never
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.aggregate import (
    NOWHERE,
    Aggregate,
    Event,
    Personal,
    PersonalMap,
    Stamp,
    shared,
)
from rim_ledger.lending.attempt import (
    IN_FLIGHT,
    Airtime,
    Attempt,
    Disbursement,
    LoanDisbursed,
    LoanDisbursementAnswered,
    LoanDisbursementDisputed,
    LoanDisbursementFailed,
    LoanDisbursementRequested,
    LoanDisbursementReversed,
    LoanDisbursementSettled,
    LoanDisbursementUnknown,
    LoanDisputeResolved,
    attempts_after,
)
from rim_ledger.lending.fees import FeeMode
from rim_ledger.lending.owed import Charges
from rim_ledger.lending.repayment_shares import Shares, is_late, received, share_of, taken_back
from rim_ledger.lending.restatement import (
    LoanChargesWaived,
    LoanFeeCharged,
    LoanRescheduled,
    LoanWriteOffUndone,
    LoanWrittenOff,
)
from rim_ledger.system.integration import under_way
from rim_ledger.values import ZERO, Network, lagos_day

POLICY_VERSION: Final = "decision-v1"


class Decision(Struct, frozen=True, rename="camel", gc=False):
    """The figures, the policy version and the reasons of a decision on a request."""

    credit_score: int
    previous_loans: int
    available: Decimal
    reasons: tuple[str, ...] = ()
    policy: str = POLICY_VERSION


class LoanRequested(Event):
    loan_id: str
    user_id: UUID
    amount: Decimal
    network: Network
    interest_rate: Decimal
    amount_due: Decimal
    repayment_period: int
    decision: Decision
    historical: bool = False
    metadata: PersonalMap = {}
    fee_mode: FeeMode = FeeMode.ADDON
    upfront_fee: Decimal = ZERO
    product_id: UUID | None = None
    product_version: int | None = None


class LoanApproved(Event):
    automatic: bool = False


class LoanRejected(Event):
    reason: Personal


class LoanApprovalRevoked(Event):
    reason: Personal


class LoanMetadataSet(Event):
    metadata: PersonalMap


class LoanRepaid(Event):
    """Money reached the loan: from a transaction, or from the user's credit if that is null. It had
    come in at `paidAt`."""

    amount: Decimal
    principal: Decimal
    interest: Decimal
    transaction_id: UUID | None = None
    paid_at: datetime | None = None
    fee: Decimal = ZERO


class LoanCompleted(Event):
    """Nothing is owed any more since `paidAt`: the latest time of the money that paid the loan, or
    that of its disbursement, if later."""

    COMPLETES: ClassVar[bool] = True

    paid_at: datetime | None = None


class LoanRepaymentReversed(Event):
    """Money that had reached the loan does not count: from a transaction, or from credit."""

    amount: Decimal
    principal: Decimal
    interest: Decimal
    transaction_id: UUID | None = None
    fee: Decimal = ZERO


class LoanBecameOverdue(Event):
    """The due day is over. `lateFeeAt` is when the automatic late fee is charged, if any."""

    late_fee_at: datetime | None = None


class DueNoticeSent(Event):
    """The borrower was sent a notice, so many days after the due day, or before it if below
    zero."""

    day: int


class LoanDefaulted(Event):
    """Automatically, or by hand with a reason."""

    reason: Personal = None


class LoanDefaultReversed(Event):
    reason: Personal


LoanEvent = (
    LoanApproved
    | LoanRejected
    | LoanApprovalRevoked
    | LoanMetadataSet
    | LoanDisbursementRequested
    | LoanDisbursementUnknown
    | LoanDisbursementSettled
    | LoanDisbursementAnswered
    | LoanDisbursementFailed
    | LoanDisbursed
    | LoanDisbursementDisputed
    | LoanDisputeResolved
    | LoanRepaid
    | LoanCompleted
    | LoanRepaymentReversed
    | LoanDisbursementReversed
    | LoanBecameOverdue
    | LoanFeeCharged
    | LoanChargesWaived
    | LoanWrittenOff
    | LoanWriteOffUndone
    | LoanRescheduled
    | LoanDefaulted
    | LoanDefaultReversed
    | DueNoticeSent
)


class LoanStatus(StrEnum):
    """The state of a loan."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    DISBURSED = "disbursed"
    REPAYING = "repaying"
    COMPLETED = "completed"
    DEFAULTED = "defaulted"


PAYING_STEPS: Final = (
    "charge-fee",
    "default",
    "reschedule",
    "reverse-disbursement",
    "waive-charges",
)
LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    LoanStatus.PENDING: ("approve", "reject"),
    LoanStatus.APPROVED: ("revoke-approval", "disburse", "settle"),
    LoanStatus.REJECTED: (),
    LoanStatus.DISBURSED: PAYING_STEPS,
    LoanStatus.REPAYING: PAYING_STEPS,
    LoanStatus.COMPLETED: ("reverse-disbursement",),
    LoanStatus.DEFAULTED: (
        "charge-fee",
        "reverse-default",
        "undo-write-off",
        "waive-charges",
        "write-off",
    ),
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
    fee_mode: FeeMode = FeeMode.ADDON
    upfront_fee: Decimal = ZERO
    """Naira of the fee that are deducted from the airtime."""
    product_id: UUID | None = None
    product_version: int | None = None
    """The version of the product that the terms come from."""
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
    original_due_date: datetime | None = None
    """The first due date, which decides whether the loan is repaid late."""
    rescheduled_count: int = 0
    overdue: bool = False
    vat: Decimal = ZERO
    """Naira of VAT in the agreed fee."""
    fees_charged: Decimal = ZERO
    waived: Charges = Charges()
    late_fee_at: datetime | None = None
    """When the automatic late fee is charged, as long as it is pending."""
    late_fee_charged: bool = False
    """Whether the automatic late fee was charged: once per loan."""
    restated_at: datetime | None = None
    """When a fee, a waiver, a write-off or a later due day last restated the debt."""
    written_off_at: datetime | None = None
    written_off_by: UUID | None = None
    written_off_amount: Decimal | None = None
    """Naira written off: outstanding at the time, and paid before it and reversed since."""
    recovered: Shares = {}
    """Of the shares, what was paid since the write-off."""
    write_off_undone: bool = False
    """Whether a write-off was undone; then none is automatic any more."""
    shares: Shares = {}
    completed_at: datetime | None = None
    late: bool = False
    """Whether it was repaid after its original due day."""
    defaulted_at: datetime | None = None
    left_alone: bool = False
    noticed_on: date | None = None
    """The Lagos day of the last due notice."""
    notes: dict[str, Any] = {}

    @property
    def person(self) -> UUID:
        return self.user_id

    @property
    def ended(self) -> bool:
        return self.status in (LoanStatus.REJECTED, LoanStatus.COMPLETED)

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
        """Return the attempt with a reference."""
        return next((each for each in self.attempts if each.reference == reference), None)

    @property
    def owed(self) -> Attempt | None:
        """The attempt whose airtime is owed."""
        return next((each for each in self.attempts if each.airtime is Airtime.OWED), None)

    @property
    def in_dispute(self) -> tuple[Attempt, ...]:
        """The attempts whose airtime was delivered and is no debt, the oldest first."""
        return tuple(each for each in self.attempts if each.airtime is Airtime.DISPUTED)

    @property
    def disputed(self) -> bool:
        return bool(self.in_dispute)

    @property
    def disputes(self) -> list[str]:
        """The references in dispute."""
        return [each.reference for each in self.in_dispute]

    @property
    def in_flight(self) -> bool:
        """Whether the outcome of the last attempt is open."""
        return self.disbursement in IN_FLIGHT

    @property
    def to_ask(self) -> tuple[Attempt, ...]:
        """The attempts that the telco is queried about until its answer is definite: the one in
        flight, and those that staff settled or reversed."""
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

    @property
    def interest(self) -> Decimal:
        """The agreed fee in naira, as far as it is owed, without later charges and waivers."""
        return self.amount_due - self.fees_charged + self.fees_waived - self.amount

    @property
    def agreed_fee(self) -> Decimal:
        """The agreed fee in naira, owed or deducted from the airtime."""
        return self.interest + self.upfront_fee

    @property
    def cost(self) -> Decimal:
        """Naira that the loan costs the borrower: the agreed fee and later ones, less waivers."""
        return self.amount_due - self.amount + self.upfront_fee

    @property
    def airtime(self) -> Decimal:
        """Naira of airtime that are delivered."""
        return self.amount - self.upfront_fee

    @property
    def fees_waived(self) -> Decimal:
        """Naira of fees and interest that were waived."""
        return self.waived.amount

    def paid_up(self, *more: datetime) -> datetime:
        """Return when the loan counts as repaid, with money that came in at some more times: the
        latest time of its money, whichever was recorded last, but not before the disbursement."""
        assert self.disbursed_at, "it was disbursed"
        return max([self.disbursed_at, *more, *(each.at for each in self.shares.values())])

    @property
    def metadata(self) -> dict[str, Any]:
        """The figures of the decision, beside the free fields (whose values are sealed)."""
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
                sender = stamp.admin or self.approved_by or self.requested_by
                fresh = Attempt(**shared(Attempt, event), requested_by=sender)
                attempts = (*self.attempts, fresh)
                return self.but(disbursement=Disbursement.REQUESTED, attempts=attempts)
            case LoanDisbursementUnknown():
                return self.but(disbursement=Disbursement.UNKNOWN)
            case LoanDisbursementFailed():
                attempts = attempts_after(self.attempts, event, stamp)
                return self.but(disbursement=Disbursement.FAILED, attempts=attempts)
            case LoanDisbursed():
                return self.but(
                    status=LoanStatus.DISBURSED,
                    disbursement=Disbursement.DELIVERED,
                    attempts=attempts_after(self.attempts, event, stamp),
                    telco_reference=event.telco_reference,
                    disbursed_at=stamp.at,
                    due_date=event.due_date,
                    original_due_date=event.due_date,
                    vat=event.vat,
                )
            case (
                LoanDisbursementSettled()
                | LoanDisbursementAnswered()
                | LoanDisbursementDisputed()
                | LoanDisputeResolved()
            ):
                return self.but(attempts=attempts_after(self.attempts, event, stamp))
            case LoanRepaid():
                defaulted = self.status is LoanStatus.DEFAULTED
                at = event.paid_at or stamp.at  # Events of score-v1 have no time of their own.
                money = event.transaction_id, event.amount, at
                lost, recovered = self.written_off_at, self.recovered
                return self.but(
                    status=self.status if defaulted else LoanStatus.REPAYING,
                    amount_paid=self.amount_paid + event.amount,
                    shares=received(self.shares, *money),
                    recovered=received(recovered, *money) if lost else recovered,
                )
            case LoanCompleted():
                done = event.paid_at or max(stamp.at, self.disbursed_at or stamp.at)
                late = is_late(self.original_due_date or done, event.paid_at, done)
                return self.but(
                    status=LoanStatus.COMPLETED,
                    completed_at=max(done, self.restated_at or done),
                    late=late,
                    overdue=self.overdue and (late or event.paid_at is None),
                )
            case LoanRepaymentReversed():
                return self._owed_again(event)
            case LoanDisbursementReversed():
                return self.but(
                    status=LoanStatus.APPROVED,
                    disbursement=Disbursement.NONE,
                    attempts=attempts_after(self.attempts, event, stamp),
                    telco_reference=event.telco_reference,
                    disbursed_at=None,
                    due_date=None,
                    original_due_date=None,
                    rescheduled_count=0,
                    vat=ZERO,
                    overdue=False,
                    amount_due=self.amount + self.interest,
                    fees_charged=ZERO,
                    waived=Charges(),
                    late_fee_at=None,
                    late_fee_charged=False,
                    restated_at=None,
                )
            case LoanBecameOverdue():
                return self.but(overdue=True, late_fee_at=event.late_fee_at)
            case LoanFeeCharged():
                return self.but(
                    amount_due=self.amount_due + event.amount,
                    fees_charged=self.fees_charged + event.amount,
                    late_fee_at=None if event.automatic else self.late_fee_at,
                    late_fee_charged=self.late_fee_charged or event.automatic,
                    restated_at=stamp.at,
                )
            case LoanChargesWaived():
                return self.but(
                    amount_due=self.amount_due - event.charges.amount,
                    waived=self.waived.plus(event.charges),
                    restated_at=stamp.at,
                )
            case LoanWrittenOff():
                return self.but(
                    written_off_at=stamp.at,
                    written_off_by=stamp.admin,
                    written_off_amount=event.principal + event.interest + event.fee,
                    restated_at=stamp.at,
                )
            case LoanWriteOffUndone():
                return self.but(
                    written_off_at=None,
                    written_off_by=None,
                    written_off_amount=None,
                    write_off_undone=True,
                    restated_at=stamp.at,
                )
            case LoanRescheduled():
                return self.but(
                    due_date=event.due_date,
                    rescheduled_count=self.rescheduled_count + 1,
                    overdue=False,
                    late_fee_at=None,
                    restated_at=stamp.at,
                )
            case DueNoticeSent():
                return self.but(noticed_on=lagos_day(stamp.at))
            case LoanDefaulted():
                return self.but(status=LoanStatus.DEFAULTED, defaulted_at=stamp.at)
            case LoanDefaultReversed():
                back = LoanStatus.REPAYING if self.amount_paid else LoanStatus.DISBURSED
                return self.but(status=back, defaulted_at=None, left_alone=True)
            case _:
                assert_never(event)

    def _owed_again(self, event: LoanRepaymentReversed) -> Self:
        payment, left = event.transaction_id, self.amount_paid - event.amount
        open_ = LoanStatus.REPAYING if left else LoanStatus.DISBURSED
        back, lost = min(event.amount, share_of(self.recovered, payment)), self.written_off_amount
        return self.but(
            status=LoanStatus.DEFAULTED if self.defaulted_at else open_,
            amount_paid=left,
            shares=taken_back(self.shares, payment, event.amount),
            recovered=taken_back(self.recovered, payment, back),
            written_off_amount=None if lost is None else lost + event.amount - back,
            completed_at=None,
            late=False,
        )
