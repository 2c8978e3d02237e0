"""The shares that a loan has of payments, and when their money came in."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from rim_ledger.lending.loan_events import LoanRepaid, LoanRepaymentReversed
from rim_ledger.values import ZERO, is_past


class Share(Struct, frozen=True, gc=False):
    """What a loan has of one payment, in naira, and when that money came in (UTC)."""

    amount: Decimal
    at: datetime


Shares = Mapping[UUID | None, Share]
"""By payment; what credit has paid stands under None."""


def received(shares: Shares, event: LoanRepaid, settled_at: datetime) -> Shares:
    """The shares with some more of a payment. Events of score-v1 name only the time at which it was
    settled."""
    at = event.paid_at or settled_at
    before = shares.get(event.transaction_id, Share(ZERO, at))
    more = Share(before.amount + event.amount, max(before.at, at))
    return {**shares, event.transaction_id: more}


def taken_back(shares: Shares, event: LoanRepaymentReversed) -> Shares:
    """The shares with so much less of a payment; what has nothing left in the loan is gone."""
    rest = {**shares}
    before = rest.pop(event.transaction_id, None)
    if before and (left := before.amount - event.amount):
        rest[event.transaction_id] = Share(left, before.at)
    return rest


def is_late(due_at: datetime, paid_at: datetime | None, settled_at: datetime) -> bool:
    """Whether a loan was repaid late: the latest of its money came in when the day was over on
    which the loan was due. Events of score-v1 name no such time; by them it was late if the last of
    its money was settled after 23:59:59 of that day."""
    return is_past(due_at, paid_at) if paid_at else settled_at > due_at
