"""Daily quotas per person at the support desk: low for borrowers, high for staff."""

import math
from typing import Final

from msgspec import Struct

from rim_ledger.engine.refusals import QuotaExceeded
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.engine.view import Count
from rim_ledger.system.config import setting
from rim_ledger.values import day_after, lagos_day

SIDES: Final = {"user": "borrower", "admin": "staff"}
"""Actors with quotas, and the prefix of their settings. The system has none."""


class Quota(Struct, frozen=True):
    """A limited quantity: suffix of its settings, its words, and how many are one unit of the
    setting."""

    name: str
    words: str
    unit: int = 1


FILES: Final = Quota("FilesPerDay", "Files in a day")
BYTES: Final = Quota("MebibytesPerDay", "MiB of files in a day", 1024 * 1024)
TICKETS: Final = Quota("TicketsPerDay", "Tickets in a day")
MESSAGES: Final = Quota("MessagesPerTicketPerDay", "Messages on one ticket in a day")


def spend(uow: UnitOfWork, quota: Quota, amount: int = 1) -> None:
    """Count what the caller adds today (Lagos). Raises QuotaExceeded beyond the quota."""
    require_left(uow, quota, amount)
    if count := _count(uow, quota):
        uow.counts[count] = uow.counted(count) + amount


def require_left(uow: UnitOfWork, quota: Quota, amount: int = 1, spent: int | None = None) -> None:
    """Raise QuotaExceeded if `amount` more exceeds today's quota, given what is `spent` or, if that
    is None, what was counted."""
    if (count := _count(uow, quota)) is None:
        return
    most = setting(uow, "quotas", SIDES[uow.stamp.actor.type] + quota.name)
    if (uow.counted(count) if spent is None else spent) + amount > most * quota.unit:
        words = f"{quota.words}: {most:,} from one person. A day begins at midnight in Lagos."
        raise QuotaExceeded(words, math.ceil((day_after(uow.now) - uow.now).total_seconds()))


def _count(uow: UnitOfWork, quota: Quota) -> Count | None:
    """Return the caller's counter; None for the system."""
    actor = uow.stamp.actor
    if actor.type not in SIDES or actor.id is None:
        return None
    return lagos_day(uow.now), actor.id, quota.name
