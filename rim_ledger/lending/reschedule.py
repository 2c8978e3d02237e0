"""Rescheduling: a loan is due on a later day."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.debt import reschedule
from rim_ledger.lending.loan import LEGAL, Loan
from rim_ledger.lending.restatement import LoanRescheduled
from rim_ledger.lending.separation import BorrowerCommand
from rim_ledger.lending.user import User
from rim_ledger.system.config import setting
from rim_ledger.values import Day, Note, end_of_day, lagos_day

POLICY_VERSION: Final = "reschedule-v1"
DAY: Final = timedelta(days=1)


class RescheduleLoan(BorrowerCommand[Loan]):
    """Move the due date of a loan that is disbursed or repaying to a later day in Lagos, for a
    reason: at most `lending.maxReschedules` times, and `lending.maxRescheduleDays` after its
    original due date. It is no longer overdue, and its deadlines count from the new day. A loan
    repaid after its original due date is late nevertheless."""

    due_date: Day
    reason: Note

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        user = uow.read(User, aggregate.user_id)
        require_legal(aggregate.status, "reschedule", LEGAL)
        times, most = aggregate.rescheduled_count, setting(uow, "lending", "maxReschedules")
        words = f"The loan was rescheduled {times} times; {most} are allowed."
        require(times < most, "too-many-reschedules", words)
        former, original = aggregate.due_date, aggregate.original_due_date
        assert former, "it was lent"
        assert original, "it was lent"
        earliest = max(lagos_day(former) + DAY, lagos_day(uow.stamp.at))
        words = f"The new due date is {earliest} or later; the present one is {lagos_day(former)}."
        require(self.due_date >= earliest, "due-date-too-early", words)
        latest = lagos_day(original) + setting(uow, "lending", "maxRescheduleDays") * DAY
        words = f"The new due date is {latest} at most; the original one is {lagos_day(original)}."
        require(self.due_date <= latest, "due-date-too-late", words)
        event = LoanRescheduled(
            due_date=end_of_day(self.due_date),
            former_due_date=former,
            policy=POLICY_VERSION,
            reason=user.words(self.reason),
        )
        reschedule(uow, aggregate, event)
        return ()
