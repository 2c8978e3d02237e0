"""One top-up of a loan, and what became of its airtime."""

from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from msgspec import Struct


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


class DisputeOutcome(StrEnum):
    """What became of airtime in dispute, if nobody is to owe it: the telco took it back, or the
    lender bears it."""

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
