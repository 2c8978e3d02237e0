"""Separation of duties in lending: who owns, registers or rates an account does not lend to it."""

from collections.abc import Iterable
from functools import partial

from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.same_person import is_caller
from rim_ledger.engine.aggregate import A, Event
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Forbidden, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.loan import Loan, LoanStatus
from rim_ledger.lending.user import User
from rim_ledger.system.config import span


def require_no_conflict(uow: UnitOfWork, user: User) -> None:
    """Refuse a decision about one's own money: the caller has or had the borrower's phone or
    e-mail. Raises Forbidden (`conflict-of-interest`)."""
    if user.contacts & uow.contacts:
        words = "This borrower has your own phone or e-mail, or once had it."
        raise Forbidden("conflict-of-interest", words)


class BorrowerCommand(Command[A]):
    """A command about a borrower's account, loan or payment, which no one gives about their own."""

    def decided(self, aggregate: A, uow: UnitOfWork) -> Iterable[Event]:
        if not self.WHEN_GONE:
            aggregate.require_present()
        require_no_conflict(uow, uow.read(User, aggregate.person))
        return self.decide(aggregate, uow)


def require_may_lend(uow: UnitOfWork, loan: Loan, user: User) -> None:
    """Refuse to approve or disburse a loan to a caller who recently registered, changed or rated
    this borrower, or whose role's limit is lower. Imported history, which sends no airtime, is
    exempt.

    Raises Forbidden: `separation-of-duties`, `above-role-limit`.
    """
    if loan.historical:
        return
    uow.role_limits.require_amount(loan.amount)
    since = uow.now - span(uow, "security", "separationDays")
    lately = [admin for admin, at in user.made_by.items() if since < at]
    uow.look_ahead(partial(uow.find, AdminUser, admin) for admin in lately)
    if any(is_caller(uow, admin) for admin in lately):
        words = (
            "You registered this borrower, changed contact, limit or score, or imported loans,"
            f" since {since:%Y-%m-%dT%H:%M:%SZ}: somebody else must approve and disburse."
        )
        raise Forbidden("separation-of-duties", words)


def require_thawed(uow: UnitOfWork, user: User) -> None:
    """Refuse to change the contact of a borrower while a loan is approved and not delivered: its
    airtime goes to the phone that was approved."""
    uow.look_ahead(partial(uow.find, Loan, loan) for loan in user.reserved)
    loans = (uow.read(Loan, loan) for loan in user.reserved)
    waiting = ", ".join(loan.loan_id for loan in loans if loan.status is LoanStatus.APPROVED)
    words = f"Approved and not delivered yet: {waiting}. Disburse that first, or revoke it."
    require(not waiting, "contact-frozen", words)
