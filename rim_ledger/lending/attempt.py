"""One top-up of a loan, and what became of its airtime."""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace


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

    @property
    def delivered(self) -> bool:
        """Whether its airtime came, whatever became of it since."""
        return self.airtime is not Airtime.NOT_COME


def changed(attempts: tuple[Attempt, ...], reference: str, **news: Any) -> tuple[Attempt, ...]:
    """The attempts, with news of the one that a reference stands for."""
    return tuple(
        replace(each, **news) if each.reference == reference else each for each in attempts
    )
