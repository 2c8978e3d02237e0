"""Facts that do not depend on each other: the order in which they are recorded changes nothing."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.fees import FeeMode
from rim_ledger.lending.lateness import MarkDefaulted
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.reschedule import RescheduleLoan
from rim_ledger.lending.write_off import WriteOffLoan
from rim_ledger.values import lagos_day
from tests.lending.desk import Desk
from tests.lending.test_charges import balances

WHY = "each on a loan of its own"


MODES = (FeeMode.ADDON, FeeMode.UPFRONT, FeeMode.ADDON, FeeMode.ADDON, FeeMode.UPFRONT)


def told(order: Sequence[int]) -> Any:
    """Loans, books and user after a fact about each of five loans, recorded in an order."""
    desk = Desk()
    desk.configure("maxOpenLoans", value=len(MODES))
    desk.configure("vatRate", value=7.5)
    loans = [desk.disbursed(100, fee_mode=mode) for mode in MODES]
    desk.perform(Loan, loans[3], MarkDefaulted(reason=WHY))
    day = lagos_day(desk.environment.time) + timedelta(days=40)
    facts: list[Callable[[], object]] = [
        lambda: desk.perform(Loan, loans[0], ChargeFee(amount=5, reason=WHY)),  # type: ignore[arg-type]
        lambda: desk.pay(40, loans[1]),
        lambda: desk.perform(Loan, loans[2], WaiveCharges(reason=WHY)),
        lambda: desk.perform(Loan, loans[3], WriteOffLoan(reason=WHY)),
        lambda: desk.perform(Loan, loans[4], RescheduleLoan(due_date=day, reason=WHY)),
    ]
    for each in order:
        facts[each]()
    known = [desk.loan(each) for each in loans]
    owed = [(each.amount_due, each.amount_paid, each.due_date) for each in known]
    return balances(desk), owed, desk.user.exposure, desk.user.credit_score


def test_the_order_of_independent_facts_does_not_change_balances() -> None:
    orders = list(permutations(range(len(MODES))))
    first = told(orders[0])
    assert all(told(order) == first for order in orders[1:])
