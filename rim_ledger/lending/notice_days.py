"""On which days a borrower is sent a due notice: so many days before or after the due day."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID

from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.loan import OPEN, Loan
from rim_ledger.system.config import setting
from rim_ledger.values import LAGOS, lagos_day

DUE_NOTICE: Final = "due-notice"
"""The reminder of a loan's next notice."""
MORNING, EVENING = time(8), time(20)
"""Notices are sent between these times in Lagos."""


def next_notice(
    days: Iterable[int], due_date: datetime, after: datetime, last: date | None
) -> tuple[int, datetime] | None:
    """Return the next of some notice days that is not over at a time, and when it begins (UTC);
    none is at or before the Lagos day of the last notice. None if there is no more."""
    for day in sorted(days):
        on = lagos_day(due_date) + timedelta(days=day)
        if after < evening_of(on) and (last is None or on > last):
            return day, datetime.combine(on, MORNING, LAGOS)
    return None


def evening_of(day: date) -> datetime:
    """Return until when notices are sent on a Lagos day."""
    return datetime.combine(day, EVENING, LAGOS)


def is_owing(loan: Loan) -> bool:
    """Return whether a borrower is told of a loan: it is owed, neither written off nor brought in
    from the past."""
    return loan.status in OPEN and loan.written_off_at is None and not loan.historical


def look_for_notices(uow: UnitOfWork, loan: UUID) -> None:
    """Have the clock find out when the next notice of a loan is due, unless notices are off."""
    if setting(uow, "lending", "dueNotices"):
        uow.remind(DUE_NOTICE, loan, uow.now)
