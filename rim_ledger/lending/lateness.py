"""Overdue loans and defaults: automatic, or by hand with a reason."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork, Work
from rim_ledger.lending.debt import default, fall_overdue, patience, reverse_default
from rim_ledger.lending.loan import LEGAL, Loan, LoanDefaulted, LoanDefaultReversed, LoanStatus
from rim_ledger.lending.loan_requests import require_no_conflict
from rim_ledger.lending.scoring import judge_again
from rim_ledger.lending.user import CreditDefaulted, User
from rim_ledger.system.config import setting
from rim_ledger.values import Note, day_after

PAYING: Final = (LoanStatus.DISBURSED, LoanStatus.REPAYING)


class MarkDefaulted(Command[Loan]):
    """Default a loan before it does automatically, for a reason."""

    reason: Note

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        require_no_conflict(uow, uow.read(User, aggregate.user_id))
        require_legal(aggregate.status, "default", LEGAL)
        default(uow, aggregate, LoanDefaulted(reason=self.reason))
        return ()


class ReverseDefault(Command[Loan]):
    """Reverse a default made by mistake. The loan no longer defaults automatically."""

    reason: Note

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        require_no_conflict(uow, uow.read(User, aggregate.user_id))
        require_legal(aggregate.status, "reverse-default", LEGAL)
        reverse_default(uow, aggregate, LoanDefaultReversed(reason=self.reason))
        return ()


def check_overdue(id: UUID) -> Work:
    """Return the decision of the reminder at the due date. A loan that was repaid in time is
    skipped."""

    def work(uow: UnitOfWork) -> UUID:
        uow.act_upon(id)
        loan = uow.read(Loan, id)
        uow.forget("overdue", id)
        if loan.status in PAYING and not loan.overdue:
            over = _over(loan)
            if uow.stamp.at >= over:
                late_fee_at = _late_fee_at(uow, loan, over)
                fall_overdue(uow, loan, late_fee_at)
                uow.remind("default", id, over + patience(uow))
                if late_fee_at:
                    uow.remind("late-fee", id, late_fee_at)
            else:
                uow.remind("overdue", id, over)
        return id

    return work


def check_default(id: UUID) -> Work:
    """Return the decision of the reminder for the configured number of days after the due date."""

    def work(uow: UnitOfWork) -> UUID:
        uow.act_upon(id)
        loan = uow.read(Loan, id)
        uow.forget("default", id)
        if loan.status in PAYING and not loan.left_alone:
            if uow.stamp.at >= (last := _over(loan) + patience(uow)):
                default(uow, loan, LoanDefaulted())
            else:
                uow.remind("default", id, last)
        return id

    return work


def check_credit_default(id: UUID) -> Work:
    """Return the decision of the reminder for negative credit, after the same number of days."""

    def work(uow: UnitOfWork) -> UUID:
        uow.act_upon(id)
        uow.forget("credit-default", id)
        if since := uow.read(User, id).may_default_since:
            if uow.stamp.at >= (last := since + patience(uow)):
                uow.append(User, id, [CreditDefaulted()])
                judge_again(uow, id, uow.stamp.at, defaulted=True)
            else:
                uow.remind("credit-default", id, last)
        return id

    return work


def _late_fee_at(uow: UnitOfWork, loan: Loan, over: datetime) -> datetime | None:
    """When a late fee is charged to a loan that was due when the day was `over`, if one is set."""
    if loan.late_fee_charged or not setting(uow, "lending", "lateFee"):
        return None
    return over + timedelta(days=setting(uow, "lending", "lateFeeGraceDays"))


def _over(loan: Loan) -> datetime:
    """Return the end of the due day."""
    assert loan.due_date is not None, "a loan that was disbursed is due some day"
    return day_after(loan.due_date)
