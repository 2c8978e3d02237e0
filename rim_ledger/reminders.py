"""The reminders that a stream's state requires, so that lost ones can be restored."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from rim_ledger.approvals.proposal import REMINDER as PROPOSAL
from rim_ledger.approvals.proposal import Proposal, ProposalStatus
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.unit_of_work import Reminder, UnitOfWork, decision
from rim_ledger.lending.airtime_float import OPENING, AirtimeFloat
from rim_ledger.lending.charges import LATER
from rim_ledger.lending.disbursement import LAST_WAIT
from rim_ledger.lending.lateness import AFTER_MAX, PAYING
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.user import User
from rim_ledger.lending.write_off import may_be_written_off
from rim_ledger.support.deadlines import REMINDER, next_deadline
from rim_ledger.support.ticket import Ticket
from rim_ledger.system.backup_settings import SCHEDULE, SETTINGS, BackupSettings
from rim_ledger.values import day_after


class Due(NamedTuple):
    """A required reminder, and the latest time (UTC) that it may have."""

    reminder: Reminder
    latest: datetime


def expected(aggregate: Aggregate, now: datetime) -> Iterator[Due]:
    """Yield the reminders that an aggregate requires. A reminder that is too late is useless; one
    that is too early only causes a check without effect."""
    match aggregate:
        case Loan():
            yield from _of_loan(aggregate, now)
        case User():
            if since := aggregate.may_default_since:
                yield Due(("credit-default", aggregate.id), since + AFTER_MAX)
        case Ticket():
            if at := next_deadline(aggregate):
                yield Due((REMINDER, aggregate.id), at)
        case AirtimeFloat(opened=False):
            yield Due((OPENING, aggregate.id), now)
        case Proposal() if aggregate.status is ProposalStatus.PENDING:
            yield Due((PROPOSAL, aggregate.id), aggregate.expires_at)
        case BackupSettings():
            if at := aggregate.next_backup:
                yield Due((SCHEDULE, SETTINGS), max(at, now + LAST_WAIT))
        case _:
            pass


def _of_loan(loan: Loan, now: datetime) -> Iterator[Due]:
    if loan.in_flight:
        yield Due(("query-top-up", loan.id), now + LAST_WAIT)
    if loan.status in PAYING and loan.due_date and not loan.historical:
        over = day_after(loan.due_date)
        if not loan.overdue:
            yield Due(("overdue", loan.id), over)
        elif not loan.left_alone:
            yield Due(("default", loan.id), over + AFTER_MAX)
        if loan.late_fee_at and not loan.left_alone:
            yield Due(("late-fee", loan.id), max(loan.late_fee_at, now) + LATER)
    if may_be_written_off(loan):
        yield Due(("write-off", loan.id), now + AFTER_MAX)


@decision
def remind_again(uow: UnitOfWork, due: Due) -> None:
    """Restore a reminder, which then checks the stream as it is."""
    (what, stream), latest = due
    uow.remind(what, stream, min(latest, uow.now))
