"""What is kept of a loan request that is refused, which leaves no event."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from rim_ledger.engine.command import perform
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.loan import POLICY_VERSION, Loan
from rim_ledger.lending.loan_requests import RequestLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import SuspendUser
from rim_ledger.values import Network
from tests.lending.desk import OFFICER, Desk


def refused(
    desk: Desk, amount: int, set_up: Callable[[UnitOfWork], None] = lambda _: None
) -> UnitOfWork:
    """The book of a decision that refuses a request of this many naira."""
    uow = desk.uow(OFFICER)
    set_up(uow)
    wish = RequestLoan(user_id=desk.ada, amount=Decimal(amount), network=Network.MTN)
    with pytest.raises(Refused):
        perform(uow, Loan, desk.environment.new_id(), wish)
    assert not uow.events
    return uow


def test_it_says_for_whom_how_much_why_and_by_which_policy() -> None:
    desk = Desk(limit=1000)
    (asked,) = refused(desk, 1001).refused_requests
    assert (asked.user_id, asked.amount, asked.network) == (desk.ada, 1001, "MTN")
    assert (asked.code, asked.policy) == ("credit-limit-exceeded", POLICY_VERSION)
    assert "1000.00 naira" in asked.reason
    stood = (asked.credit_score, asked.credit_limit, asked.available)
    assert stood == (desk.user.credit_score, 1000, 1000)
    desk.perform(User, desk.ada, SuspendUser(reason="lost"))
    (asked,) = refused(desk, 10).refused_requests
    assert asked.code == "user-not-active"


def test_what_another_rule_refuses_names_no_policy() -> None:
    desk = Desk()

    def is_ada(uow: UnitOfWork) -> None:
        uow.contacts = desk.user.contacts

    (asked,) = refused(desk, 10, is_ada).refused_requests
    assert (asked.code, asked.policy) == ("conflict-of-interest", None)
