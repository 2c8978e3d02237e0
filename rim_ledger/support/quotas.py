"""How much one person may add to the support desk in a day: a borrower little, staff much."""

import math
from typing import Final

from msgspec import Struct

from rim_ledger.book import Book
from rim_ledger.counts import Count, QuotaExceeded
from rim_ledger.system.config import setting
from rim_ledger.values import day_after, lagos_day

SIDES: Final = {"user": "borrower", "admin": "staff"}
"""Who has quotas, and what their settings begin with. The service itself has none."""


class Quota(Struct, frozen=True):
    """What is limited: the end of its settings' names, its words, and how many are one unit of the
    setting."""

    name: str
    words: str
    unit: int = 1


FILES: Final = Quota("FilesPerDay", "Files in a day")
BYTES: Final = Quota("MebibytesPerDay", "MiB of files in a day", 1024 * 1024)
TICKETS: Final = Quota("TicketsPerDay", "Tickets in a day")
MESSAGES: Final = Quota("MessagesPerTicketPerDay", "Messages on one ticket in a day")


def spend(book: Book, quota: Quota, amount: int = 1) -> None:
    """Count what the caller adds today in Lagos. Raises QuotaExceeded for more than they may."""
    require_left(book, quota, amount)
    if count := _count(book, quota):
        book.counts[count] = book.counted(count) + amount


def require_left(book: Book, quota: Quota, amount: int = 1, spent: int | None = None) -> None:
    """Raise QuotaExceeded when so much more would be too much today, after what is `spent` or,
    when that is left out, what was counted."""
    if (count := _count(book, quota)) is None:
        return
    most = setting(book, "quotas", SIDES[book.stamp.actor.type] + quota.name)
    if (book.counted(count) if spent is None else spent) + amount > most * quota.unit:
        words = f"{quota.words}: {most:,} from one person. A day begins at midnight in Lagos."
        raise QuotaExceeded(words, math.ceil((day_after(book.now) - book.now).total_seconds()))


def _count(book: Book, quota: Quota) -> Count | None:
    """What counts the caller; None for the service itself."""
    actor = book.stamp.actor
    if actor.type not in SIDES or actor.id is None:
        return None
    return lagos_day(book.now), actor.id, quota.name
