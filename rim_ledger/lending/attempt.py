"""The top-ups of a loan: their events, and the state of the airtime of each."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.engine.aggregate import Event, Personal, Stamp
from rim_ledger.values import ZERO


class Disbursement(StrEnum):
    """Progress of the airtime. Unknown is neither delivered nor failed, and is queried."""

    NONE = "none"
    REQUESTED = "requested"
    UNKNOWN = "unknown"
    FAILED = "failed"
    DELIVERED = "delivered"


IN_FLIGHT: Final = (Disbursement.REQUESTED, Disbursement.UNKNOWN)


class Airtime(StrEnum):
    """The state of a top-up's airtime. The lender bears what is lost."""

    NOT_COME = "not-come"
    OWED = "owed"
    DISPUTED = "disputed"
    """Delivered unexpectedly, and owed by no one."""
    RETURNED = "returned"
    LOST = "lost"


class DisputeOutcome(StrEnum):
    """What became of airtime in dispute, if nobody is to owe it: the telco took it back, or the
    lender bears it."""

    RETURNED = "returned"
    LOST = "lost"


class Attempt(Struct, frozen=True, gc=False):
    """One top-up, requested under a reference of its own."""

    reference: str
    transaction_id: UUID
    asked_at: datetime
    integration: UUID | None
    """The integration it was requested from, which may report on it; None for the installation's
    telco."""
    airtime: Airtime = Airtime.NOT_COME
    telco_reference: str | None = None
    """The telco's own reference of the delivery."""
    return_reference: str | None = None
    """The telco's own reference of the return, as entered by staff."""
    requested_by: UUID | None = None
    """The admin who had it sent: who disbursed; else, for an automatic disbursement, who approved
    the loan; else, for an automatic approval, who requested it. None if no admin did any of that.
    """
    taken_up_by: UUID | None = None
    """The admin who made it a debt after it was in dispute."""
    given_up_by: UUID | None = None
    """The admin who last recorded that it failed, was returned or is lost."""
    reserved: Decimal = ZERO
    """Airtime of a tracked float (naira) that is in transit for it."""
    earlier: bool = False
    """Whether its airtime was bought before the float was tracked."""
    unconfirmed: bool = False
    """Whether staff settled or reversed it without a definite answer of the telco since."""

    @property
    def delivered(self) -> bool:
        """Whether its airtime was delivered, whatever happened to it since."""
        return self.airtime is not Airtime.NOT_COME


class LoanDisbursementRequested(Event):
    """The telco is about to be called, under this reference; through which integration, if any.
    `reserved` is in transit from a tracked float; of a loan of the past on a tracked network, the
    airtime was bought `earlier` than that."""

    transaction_id: UUID
    reference: str
    attempt: int
    asked_at: datetime
    integration: UUID | None = None
    reserved: Decimal = ZERO
    earlier: bool = False


class LoanDisbursementUnknown(Event):
    """The telco gave no usable answer: it is queried about the same reference until it does."""

    reference: str


class LoanDisbursementSettled(Event):
    """Staff found out what the telco left open; the outcome follows."""

    reference: str
    evidence: Personal


class LoanDisbursementAnswered(Event):
    """The telco, queried about what staff had settled or reversed, gave a definite answer that
    changes nothing: it agrees, or reports that airtime which is owed was never delivered."""

    reference: str
    delivered: bool


class LoanDisbursementFailed(Event):
    reference: str
    reason: str


class LoanDisbursed(Event):
    """The airtime of this top-up is owed: it was delivered now, or was in dispute until now. `vat`
    is contained in the agreed fee."""

    reference: str
    transaction_id: UUID
    telco_reference: str | None
    due_date: datetime
    vat: Decimal = ZERO
    vat_rate: Decimal = ZERO


class LoanDisbursementDisputed(Event):
    """A top-up that seemed to have failed was delivered after all, after another attempt or once
    the loan was no longer approved: airtime that is no debt."""

    reference: str
    telco_reference: str | None


class LoanDisputeResolved(Event):
    """Airtime in dispute is not owed: the telco took it back, or the lender bears it."""

    reference: str
    outcome: DisputeOutcome
    reason: Personal
    telco_reference: str | None = None


class LoanDisbursementReversed(Event):
    """The airtime was returned: the loan is approved again."""

    reference: str
    reason: Personal
    telco_reference: str


AttemptEvent = (
    LoanDisbursementSettled
    | LoanDisbursementFailed
    | LoanDisbursed
    | LoanDisbursementDisputed
    | LoanDisputeResolved
    | LoanDisbursementReversed
    | LoanDisbursementAnswered
)


def attempts_after(
    attempts: tuple[Attempt, ...], event: AttemptEvent, stamp: Stamp
) -> tuple[Attempt, ...]:
    """Return the attempts after one more event. An event without an admin in its stamp is the
    telco's answer, or automatic."""
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
        case LoanDisbursementFailed():
            return {"reserved": ZERO} | (gone if stamp.admin else {"unconfirmed": False})
        case LoanDisbursed():
            return {
                "airtime": Airtime.OWED,
                "reserved": ZERO,
                "transaction_id": event.transaction_id,
                "telco_reference": event.telco_reference or attempt.telco_reference,
                "taken_up_by": stamp.admin if attempt.airtime is Airtime.DISPUTED else None,
                "unconfirmed": attempt.unconfirmed and stamp.admin is not None,
            }
        case LoanDisbursementDisputed():
            told = event.telco_reference or attempt.telco_reference
            news = {"airtime": Airtime.DISPUTED, "reserved": ZERO, "unconfirmed": False}
            return news | {"telco_reference": told}
        case LoanDisputeResolved():
            told = event.telco_reference or attempt.return_reference
            return gone | {"airtime": Airtime(event.outcome), "return_reference": told}
        case LoanDisbursementReversed():
            news = {"return_reference": event.telco_reference, "unconfirmed": True}
            return gone | news | {"airtime": Airtime.RETURNED}
    return {"unconfirmed": False}
