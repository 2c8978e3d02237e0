"""One top-up of a loan, and what became of its airtime."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.engine.core import Stamp
from rim_ledger.lending.loan_events import (
    LoanDisbursed,
    LoanDisbursementAnswered,
    LoanDisbursementDisputed,
    LoanDisbursementFailed,
    LoanDisbursementRequested,
    LoanDisbursementReversed,
    LoanDisbursementSettled,
    LoanDisputeResolved,
)


class Disbursement(StrEnum):
    """How far the airtime got. Unknown is neither delivered nor failed, and is asked about."""

    NONE = "none"
    REQUESTED = "requested"
    UNKNOWN = "unknown"
    FAILED = "failed"
    DELIVERED = "delivered"


IN_FLIGHT: Final = (Disbursement.REQUESTED, Disbursement.UNKNOWN)


class Airtime(StrEnum):
    """Where the airtime of a top-up is. Lost is what the lender bears."""

    NOT_COME = "not-come"
    OWED = "owed"
    DISPUTED = "disputed"
    """It came when nobody expected it any more, and nobody owes it."""
    RETURNED = "returned"
    LOST = "lost"


class Attempt(Struct, frozen=True, gc=False):
    """One top-up, asked for under a reference of its own."""

    reference: str
    transaction_id: UUID
    asked_at: datetime
    integration: UUID | None
    """Whom it was asked of, and who may speak of it; None for the telco of this installation."""
    airtime: Airtime = Airtime.NOT_COME
    telco_reference: str | None = None
    """The telco's own reference of the delivery."""
    return_reference: str | None = None
    """The telco's own reference of the return, as staff named it."""
    requested_by: UUID | None = None
    """The admin who had it sent: who disbursed or, where the clock did, who approved the loan or,
    where the policy did, who requested it; None when no admin did any of that."""
    taken_up_by: UUID | None = None
    """The admin who made it a debt after it was in dispute."""
    given_up_by: UUID | None = None
    """The admin who last said that it failed, came back or is lost."""
    unconfirmed: bool = False
    """Whether staff settled or reversed it, and the telco has given no definite answer since."""

    @property
    def delivered(self) -> bool:
        """Whether its airtime came, whatever became of it since."""
        return self.airtime is not Airtime.NOT_COME


AttemptEvent = (
    LoanDisbursementSettled
    | LoanDisbursementFailed
    | LoanDisbursed
    | LoanDisbursementDisputed
    | LoanDisputeResolved
    | LoanDisbursementReversed
    | LoanDisbursementAnswered
)


def begun(event: LoanDisbursementRequested, sender: UUID | None) -> Attempt:
    """A top-up that was just asked for; `sender` is the admin who had it sent, if one did."""
    return Attempt(
        event.reference,
        event.transaction_id,
        event.asked_at,
        event.integration,
        requested_by=sender,
    )


def after(attempts: tuple[Attempt, ...], event: AttemptEvent, stamp: Stamp) -> tuple[Attempt, ...]:
    """The attempts of a loan after one more event. An event with no admin in its stamp is the
    telco's word, or the clock's."""
    return tuple(
        replace(each, **_news(each, event, stamp)) if each.reference == event.reference else each
        for each in attempts
    )


def _news(  # noqa: PLR0911 - a line an event
    attempt: Attempt, event: AttemptEvent, stamp: Stamp
) -> dict[str, Any]:
    gone = {"given_up_by": stamp.admin}
    match event:
        case LoanDisbursementSettled():
            return {"unconfirmed": True}
        case LoanDisbursementFailed() if stamp.admin:
            return gone
        case LoanDisbursed():
            return {
                "airtime": Airtime.OWED,
                "transaction_id": event.transaction_id,
                "telco_reference": event.telco_reference or attempt.telco_reference,
                "taken_up_by": stamp.admin if attempt.airtime is Airtime.DISPUTED else None,
                "unconfirmed": attempt.unconfirmed and stamp.admin is not None,
            }
        case LoanDisbursementDisputed():
            told = event.telco_reference or attempt.telco_reference
            return {"airtime": Airtime.DISPUTED, "telco_reference": told, "unconfirmed": False}
        case LoanDisputeResolved():
            told = event.telco_reference or attempt.return_reference
            return gone | {"airtime": Airtime(event.outcome), "return_reference": told}
        case LoanDisbursementReversed():
            news = {"return_reference": event.telco_reference, "unconfirmed": True}
            return gone | news | {"airtime": Airtime.RETURNED}
    return {"unconfirmed": False}
