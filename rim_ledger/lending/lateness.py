"""Overdue loans and defaults: automatic, or by hand with a reason."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.lending.debt import default, fall_overdue, patience, reverse_default
from rim_ledger.lending.loan import LEGAL, Loan, LoanDefaulted, LoanDefaultReversed, LoanStatus
from rim_ledger.lending.loan_requests import require_not_written_off
from rim_ledger.lending.scoring import judge_again
from rim_ledger.lending.separation import BorrowerCommand
from rim_ledger.lending.user import CreditDefaulted, User
from rim_ledger.system.config import setting
from rim_ledger.values import Note, day_after

AFTER_MAX: Final = timedelta(days=3650)
"""The maximum of `lending.defaultAfterDays` and `lending.writeOffAfterDays`."""
PAYING: Final = (LoanStatus.DISBURSED, LoanStatus.REPAYING)


class MarkDefaulted(BorrowerCommand[Loan]):
    """Default a loan before it does automatically, for a reason."""

    reason: Note

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "default", LEGAL)
        default(uow, aggregate, LoanDefaulted(reason=self.reason))
        plan_write_off(uow, aggregate)
        return ()


class ReverseDefault(BorrowerCommand[Loan]):
    """Reverse a default made by mistake. The loan no longer defaults automatically."""

    reason: Note

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "reverse-default", LEGAL)
        require_not_written_off(aggregate)
        reverse_default(uow, aggregate, LoanDefaultReversed(reason=self.reason))
        return ()


@decision
def check_overdue(uow: UnitOfWork, id: UUID) -> None:
    """Run the reminder at the due date. A loan that was repaid in time is skipped."""
    uow.act_upon(id)
    loan = uow.read(Loan, id)
    uow.forget("overdue", id)
    if loan.status in PAYING and not loan.overdue:
        end = over(loan)
        if uow.stamp.at >= end:
            late_fee_at = _late_fee_at(uow, loan, end)
            fall_overdue(uow, loan, late_fee_at)
            uow.remind("default", id, end + patience(uow))
            if late_fee_at:
                uow.remind("late-fee", id, late_fee_at)
        else:
            uow.remind("overdue", id, end)


@decision
def check_default(uow: UnitOfWork, id: UUID) -> None:
    """Run the reminder for the configured number of days after the due date."""
    uow.act_upon(id)
    loan = uow.read(Loan, id)
    uow.forget("default", id)
    if loan.status in PAYING and not loan.left_alone:
        if uow.stamp.at >= (last := over(loan) + patience(uow)):
            default(uow, loan, LoanDefaulted())
            plan_write_off(uow, loan)
        else:
            uow.remind("default", id, last)


def plan_write_off(uow: UnitOfWork, loan: Loan) -> None:
    """Set the reminder of the automatic write-off of a defaulted loan, by the present setting.
    While that is off, the reminder is far ahead, and brought forward by another setting."""
    if not loan.historical and not loan.write_off_undone:
        days = setting(uow, "lending", "writeOffAfterDays")
        at = over(loan) + timedelta(days=days) if days else uow.now + AFTER_MAX
        uow.remind("write-off", loan.id, at)


@decision
def check_credit_default(uow: UnitOfWork, id: UUID) -> None:
    """Run the reminder for negative credit, after the same number of days."""
    uow.act_upon(id)
    uow.forget("credit-default", id)
    if since := uow.read(User, id).may_default_since:
        if uow.stamp.at >= (last := since + patience(uow)):
            uow.append(User, id, [CreditDefaulted()])
            judge_again(uow, id, uow.stamp.at, defaulted=True)
        else:
            uow.remind("credit-default", id, last)


def _late_fee_at(uow: UnitOfWork, loan: Loan, end: datetime) -> datetime | None:
    """Return when a late fee is charged to a loan whose due day ended at `end`; None if none is
    set."""
    if loan.late_fee_charged or not setting(uow, "lending", "lateFee"):
        return None
    return end + timedelta(days=setting(uow, "lending", "lateFeeGraceDays"))


def over(loan: Loan) -> datetime:
    """Return the end of the due day."""
    assert loan.due_date is not None, "a loan that was disbursed is due some day"
    return day_after(loan.due_date)
