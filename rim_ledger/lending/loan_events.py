"""What can happen to a loan."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.core import Event, Personal, PersonalMap
from rim_ledger.values import Network

POLICY_VERSION: Final = "decision-v1"


class DisputeOutcome(StrEnum):
    """What became of airtime in dispute, if nobody is to owe it: the telco took it back, or the
    lender bears it."""

    RETURNED = "returned"
    LOST = "lost"


class Decision(Struct, frozen=True, rename="camel", gc=False):
    """What a request was decided on, by which version of the policy, and why so."""

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


class LoanApproved(Event):
    automatic: bool = False


class LoanRejected(Event):
    reason: Personal


class LoanApprovalRevoked(Event):
    reason: Personal


class LoanMetadataSet(Event):
    metadata: PersonalMap


class LoanDisbursementRequested(Event):
    """The telco is about to be asked, under this reference; through which integration, if any."""

    transaction_id: UUID
    reference: str
    attempt: int
    asked_at: datetime
    integration: UUID | None = None


class LoanDisbursementUnknown(Event):
    """The telco gave no usable answer: it is asked about the same reference until it does."""

    reference: str


class LoanDisbursementSettled(Event):
    """Staff found out what the telco left open; the outcome follows."""

    reference: str
    evidence: Personal


class LoanDisbursementAnswered(Event):
    """The telco, asked on about what staff had settled or reversed, gave a definite answer that
    moves nothing: it agrees, or says that airtime which is owed never came."""

    reference: str
    delivered: bool


class LoanDisbursementFailed(Event):
    reference: str
    reason: str


class LoanDisbursed(Event):
    """The airtime of this top-up is owed: it came just now, or was in dispute until now."""

    reference: str
    transaction_id: UUID
    telco_reference: str | None
    due_date: datetime


class LoanDisbursementDisputed(Event):
    """A top-up that was thought to have failed was delivered after all, after another attempt or
    once the loan was not approved any more: airtime that is nobody's debt."""

    reference: str
    telco_reference: str | None


class LoanDisputeResolved(Event):
    """Airtime in dispute is not to be owed: the telco took it back, or the lender bears it."""

    reference: str
    outcome: DisputeOutcome
    reason: Personal
    telco_reference: str | None = None


class LoanRepaid(Event):
    """Money reached the loan: from a transaction, or from the user's credit when that is null. It
    had come in at `paidAt`."""

    amount: Decimal
    principal: Decimal
    interest: Decimal
    transaction_id: UUID | None = None
    paid_at: datetime | None = None


class LoanCompleted(Event):
    """Nothing is owed any more since `paidAt`: the latest time of the money that paid the loan, or
    that at which it was lent, if that is later."""

    paid_at: datetime | None = None


class LoanRepaymentReversed(Event):
    """Money that had reached the loan does not count: from a transaction, or from credit."""

    amount: Decimal
    principal: Decimal
    interest: Decimal
    transaction_id: UUID | None = None


class LoanDisbursementReversed(Event):
    """The airtime came back: the loan stands approved again."""

    reference: str
    reason: Personal
    telco_reference: str


class LoanBecameOverdue(Event):
    pass


class LoanDefaulted(Event):
    """By the clock, or by hand with a reason."""

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
    | LoanDefaulted
    | LoanDefaultReversed
)
