"""One top-up of a loan, and the state of its airtime."""

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from msgspec import Struct


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
    unconfirmed: bool = False
    """Whether staff settled or reversed it without a definite answer of the telco since."""

    @property
    def delivered(self) -> bool:
        """Whether its airtime was delivered, whatever happened to it since."""
        return self.airtime is not Airtime.NOT_COME
