"""The money that a loan was paid with, and when it came in."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from rim_ledger.lending.loan_events import LoanRepaid, LoanRepaymentReversed
from rim_ledger.values import ZERO, is_past


class Receipt(Struct, frozen=True, gc=False):
    """What a loan has of one payment, in naira, and when that money came in (UTC)."""

    amount: Decimal
    at: datetime


Receipts = Mapping[UUID | None, Receipt]
"""By payment; what credit has paid stands under None."""


def received(receipts: Receipts, event: LoanRepaid, recorded_at: datetime) -> Receipts:
    """The receipts with some more of a payment. Events of score-v1 say only when it was recorded
    that the money came in."""
    at = event.paid_at or recorded_at
    before = receipts.get(event.transaction_id, Receipt(ZERO, at))
    more = Receipt(before.amount + event.amount, max(before.at, at))
    return {**receipts, event.transaction_id: more}


def taken_back(receipts: Receipts, event: LoanRepaymentReversed) -> Receipts:
    """The receipts with so much less of a payment; what has nothing left in the loan is gone."""
    rest = {**receipts}
    before = rest.pop(event.transaction_id, None)
    if before and (left := before.amount - event.amount):
        rest[event.transaction_id] = Receipt(left, before.at)
    return rest


def is_late(due_at: datetime, paid_at: datetime | None, recorded_at: datetime) -> bool:
    """Whether a loan was repaid late: the latest of its money came in when the day was over on
    which the loan was due. Events of score-v1 name no such time; by them it was late if the last of
    its money was recorded after 23:59:59 of that day."""
    return is_past(due_at, paid_at) if paid_at else recorded_at > due_at
