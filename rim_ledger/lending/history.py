"""Loans of the past: history that is recorded long after it happened, and sends no airtime."""

from datetime import timedelta
from typing import Final

from rim_ledger.engine.core import Stamp

HISTORICAL_AFTER: Final = timedelta(days=7)


def is_historical(stamp: Stamp) -> bool:
    """Whether a request for a loan is imported history, by its business time."""
    return stamp.at < stamp.noted_at - HISTORICAL_AFTER
