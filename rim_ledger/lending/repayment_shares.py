"""A loan's shares in payments, and when their money came in."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from rim_ledger.values import ZERO, is_past


class Share(Struct, frozen=True, gc=False):
    """A loan's share in one payment, in naira, and when that money came in (UTC)."""

    amount: Decimal
    at: datetime


Shares = Mapping[UUID | None, Share]
"""By payment; the share of credit is under None."""


def share_of(shares: Shares, payment: UUID | None) -> Decimal:
    """Return the share of a payment in naira."""
    share = shares.get(payment)
    return share.amount if share else ZERO


def received(shares: Shares, payment: UUID | None, amount: Decimal, at: datetime) -> Shares:
    """Return the shares with an amount of a payment added."""
    before = shares.get(payment, Share(ZERO, at))
    return {**shares, payment: Share(before.amount + amount, max(before.at, at))}


def taken_back(shares: Shares, payment: UUID | None, amount: Decimal) -> Shares:
    """Return the shares with an amount of a payment subtracted; empty shares are dropped."""
    rest = {**shares}
    before = rest.pop(payment, None)
    if before and (left := before.amount - amount):
        rest[payment] = Share(left, before.at)
    return rest


def is_late(due_at: datetime, paid_at: datetime | None, settled_at: datetime) -> bool:
    """Return whether a loan was repaid late: the latest of its money came in after the due day.
    Events of score-v1 lack that time; by them it is late if settled after 23:59:59 of that day."""
    return is_past(due_at, paid_at) if paid_at else settled_at > due_at
