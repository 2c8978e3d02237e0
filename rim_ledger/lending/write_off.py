"""Write-off of a defaulted loan, by hand or automatic, and its undoing. The debt remains owed."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from rim_ledger.admin.same_person import is_caller
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import Forbidden, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.lending.debt import undo_write_off, write_off
from rim_ledger.lending.lateness import over, plan_write_off
from rim_ledger.lending.loan import LEGAL, Loan, LoanStatus
from rim_ledger.lending.separation import BorrowerCommand
from rim_ledger.lending.user import User
from rim_ledger.system.config import setting
from rim_ledger.values import Note


class WriteOffLoan(BorrowerCommand[Loan]):
    """Write off the outstanding amount of a defaulted loan, for a reason; not by the admin who
    approved the loan. The borrower still owes it, and later payments are recoveries."""

    reason: Note

    def naira(self, aggregate: Loan, uow: UnitOfWork) -> Decimal:
        return aggregate.outstanding_amount

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        user = uow.read(User, aggregate.user_id)
        require_legal(aggregate.status, "write-off", LEGAL)
        _require_another_than_approver(uow, aggregate)
        done = "The loan is written off."
        require(aggregate.written_off_at is None, "already-done", done)
        write_off(uow, aggregate, user.words(self.reason))
        return ()


class UndoWriteOff(BorrowerCommand[Loan]):
    """Undo a write-off, for a reason, while nothing was paid since; not by the admin who approved
    the loan. The loan is not written off automatically again."""

    reason: Note

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        user = uow.read(User, aggregate.user_id)
        require_legal(aggregate.status, "undo-write-off", LEGAL)
        _require_another_than_approver(uow, aggregate)
        open_ = "The loan is not written off."
        require(aggregate.written_off_at is not None, "not-written-off", open_)
        came = "Money has come since the write-off; it was a recovery."
        require(not aggregate.recovered, "recovered-since", came)
        undo_write_off(uow, aggregate, user.words(self.reason))
        return ()


@decision
def check_write_off(uow: UnitOfWork, id: UUID) -> None:
    """Run the reminder for the automatic write-off of a defaulted loan."""
    uow.act_upon(id)
    loan = uow.read(Loan, id)
    uow.forget("write-off", id)
    if may_be_written_off(loan):
        days = setting(uow, "lending", "writeOffAfterDays")
        if days and uow.stamp.at >= over(loan) + timedelta(days=days):
            with uow.dated(id):
                write_off(uow, loan, None)
        else:
            plan_write_off(uow, loan)


def may_be_written_off(loan: Loan) -> bool:
    """Whether a loan can be written off automatically."""
    defaulted = loan.status is LoanStatus.DEFAULTED and loan.written_off_at is None
    return defaulted and not (loan.historical or loan.write_off_undone)


def _require_another_than_approver(uow: UnitOfWork, loan: Loan) -> None:
    if is_caller(uow, loan.approved_by):
        raise Forbidden("self-approval", "You approved this loan; another person decides on that.")
