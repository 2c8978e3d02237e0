"""Whether a loan was repaid in time follows from when its money came in, and from nothing else."""

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.aggregate import SYSTEM, Event, Stamp
from rim_ledger.engine.entry import Entry
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.lateness import AFTER_MAX, MarkDefaulted, check_default, check_overdue
from rim_ledger.lending.loan import Loan, LoanCompleted
from rim_ledger.lending.user import CreditScoreRecomputed, User
from rim_ledger.payments.payment_commands import CompleteTransaction
from rim_ledger.payments.reversal import ReverseDisbursement, ReverseTransaction
from rim_ledger.payments.statement_matching import settle
from rim_ledger.payments.transaction import PaymentMethod, Transaction
from tests.lending.desk import Desk, refused
from tests.lending.test_shadow import STEPS, walked
from tests.payments.test_payment import record
from tests.payments.test_payment_callback import Counter
from tests.payments.test_statement import line, started
from tests.spec import START, names

DUE = datetime.fromisoformat("2026-01-08T22:59:59Z")
"""When a loan of three days that was lent at the start is due."""
LAST = DUE + timedelta(microseconds=999_999)
NEXT = DUE + timedelta(seconds=1)
BANK = PaymentMethod.BANK_TRANSFER


class Borrower(Desk):
    """A loan of 500 at 0 % for three days, lent at the start; now it is three weeks later."""

    def __init__(self) -> None:
        super().__init__()
        self.lent = self.disbursed(500, repayment_period=3, interest_rate=0)
        self.environment.pass_days(21)

    def at(self, moment: datetime | None) -> None:
        self.stamp = moment and Stamp(at=moment, actor=SYSTEM)

    def receive(self, amount: float, moment: datetime) -> UUID:
        """Cash that came in at a time, recorded now."""
        self.at(moment)
        payment = self.pay(amount)
        self.at(None)
        return payment

    def wait_for(self, amount: float, moment: datetime, **more: Any) -> UUID:
        """A payment of a time that is still to be settled."""
        self.at(moment)
        payment = record(self, amount, method=BANK, **more)
        self.at(None)
        return payment

    def settle(self, payment: UUID) -> None:
        self.perform(Transaction, payment, CompleteTransaction())

    def undo(self, payment: UUID) -> None:
        self.perform(Transaction, payment, ReverseTransaction(reason="a chargeback"))

    @property
    def ends(self) -> tuple[int, int]:
        return self.user.completed_on_time, self.user.completed_late

    def ended(self, moment: datetime, *, late: bool) -> bool:
        """Whether loan and user agree about when it was repaid, and on the score of that."""
        loan = self.loan(self.lent)
        assert loan.status == "completed"
        assert self.ends == (not late, late)
        assert self.user.credit_score == (480 if late else 530)
        return (loan.completed_at, loan.late) == (moment, late)


def day(number: float) -> datetime:
    """So many days after the loan was lent."""
    return START + timedelta(days=number)


@pytest.mark.parametrize("order", [*permutations([(300, 19), (150, 2), (50, 1)])])
def test_a_loan_ends_with_its_latest_money_whichever_was_recorded_last(
    order: tuple[tuple[int, int], ...],
) -> None:
    desk = Borrower()
    for amount, when in order:
        desk.receive(amount, day(when))
    assert desk.ended(day(19), late=True)
    (completed,) = (each.event for each in desk.log if isinstance(each.event, LoanCompleted))
    assert completed.paid_at == day(19)
    scored = [each.event for each in desk.log if isinstance(each.event, CreditScoreRecomputed)]
    assert [(each.score, each.policy) for each in scored] == [(480, "score-v2")]


@given(
    st.permutations([100, 150, 250]),
    st.lists(st.floats(-2, 20), min_size=3, max_size=3),
    st.permutations(range(3)),
)
def test_neither_recording_nor_settling_has_a_say_in_it(
    amounts: list[int], days: list[float], order: list[int]
) -> None:
    desk = Borrower()
    payments = [desk.wait_for(a, day(d)) for a, d in zip(amounts, days, strict=True)]
    for each in order:
        desk.settle(payments[each])
    latest = max(START, *map(day, days))
    assert desk.ended(latest, late=latest >= NEXT)


@pytest.mark.parametrize(("moment", "late"), [(DUE, False), (LAST, False), (NEXT, True)])
def test_the_due_day_ends_when_the_next_begins(moment: datetime, late: bool) -> None:
    desk = Borrower()
    desk.receive(500, moment)
    assert desk.ended(moment, late=late)


@pytest.mark.parametrize(("moment", "over"), [(DUE, False), (LAST, False), (NEXT, True)])
def test_the_clock_ends_the_day_at_the_same_moment(moment: datetime, over: bool) -> None:
    desk = Borrower()
    desk.environment.time = moment
    assert bool(names(desk.run(check_overdue(desk.lent)))) is over
    assert desk.loan(desk.lent).overdue is over
    if over:
        assert refused(lambda: desk.request(1)) == "outstanding-debt"
        desk.environment.time = LAST + timedelta(days=30)
        assert desk.run(check_default(desk.lent)) == []
        desk.environment.time = NEXT + timedelta(days=30)
        assert "LoanDefaulted" in names(desk.run(check_default(desk.lent)))
    else:
        assert desk.reminders["overdue", desk.lent] == NEXT
        desk.request(1)


def test_money_that_came_in_time_is_in_time_whoever_settles_it_and_when() -> None:
    by_hand = Borrower()
    by_hand.settle(by_hand.wait_for(500, LAST))
    assert by_hand.ended(LAST, late=False)

    by_statement = Borrower()
    by_statement.wait_for(500, LAST, reference="R-1")
    by_statement.run(settle(started(by_statement), [line(1, "R-1", "500.00")]))
    assert by_statement.ended(LAST, late=False)


def test_a_gateway_that_tells_late_of_money_that_came_in_time() -> None:
    desk = Counter()
    loan = desk.disbursed(50, repayment_period=3, interest_rate=0)
    desk.environment.pass_days(21)
    assert "LoanCompleted" in names(desk.hear())
    assert (desk.loan(loan).completed_at, desk.user.completed_on_time) == (START, 1)


def test_a_loan_that_only_looked_overdue_is_no_late_one() -> None:
    desk = Borrower()
    payment = desk.wait_for(500, LAST)
    desk.run(check_overdue(desk.lent))
    assert desk.user.credit_score < 500
    desk.settle(payment)
    assert desk.ended(LAST, late=False)
    assert desk.loan(desk.lent).overdue is False
    desk.undo(payment)
    assert desk.ends == (0, 0)
    assert names(desk.run(check_overdue(desk.lent))) == [
        "LoanBecameOverdue",
        "DebtBecameOverdue",
        "CreditScoreRecomputed",
    ]


def test_a_default_stays_one_though_the_money_had_come_in_time() -> None:
    desk = Borrower()
    payment = desk.wait_for(500, LAST)
    desk.perform(Loan, desk.lent, MarkDefaulted(reason="cannot be found"))
    desk.settle(payment)
    loan = desk.loan(desk.lent)
    assert (loan.completed_at, loan.late, loan.defaulted_at) == (LAST, False, day(21))
    assert desk.ends == (1, 0)


def test_what_was_reversed_has_no_say_any_more() -> None:
    desk = Borrower()
    late, early = desk.receive(200, day(10)), desk.receive(300, day(1))
    assert desk.ended(day(10), late=True)
    desk.undo(late)
    assert desk.ends == (0, 0)
    desk.receive(200, day(2))
    assert desk.ended(day(2), late=False)
    desk.undo(early)
    desk.receive(300, day(12))
    assert desk.ended(day(12), late=True)


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 9)), max_size=30))
def test_a_user_counts_what_the_loans_say(steps: list[tuple[str, int]]) -> None:
    desk = walked(steps)
    loans = [each.aggregate for each in desk.streams.values() if isinstance(each.aggregate, Loan)]
    late = [each.late for each in loans if each.status == "completed"]
    assert (desk.user.completed_on_time, desk.user.completed_late) == (
        late.count(False),
        late.count(True),
    )


def test_credit_is_as_old_as_the_latest_of_its_money() -> None:
    desk = Borrower()
    first, _ = desk.receive(500, day(1)), desk.receive(500, day(2))
    assert desk.user.credit_at == day(2)
    desk.undo(first)
    assert desk.user.credit_at is None
    assert desk.ended(day(2), late=False)


def test_credit_is_as_old_as_its_money_whenever_that_was_settled() -> None:
    desk = Borrower()
    desk.settle(desk.wait_for(700, day(2)))
    assert desk.user.credit_at == day(2)


def test_credit_ends_no_loan_before_it_was_lent() -> None:
    desk = Borrower()
    desk.receive(700, day(1))
    other = desk.disbursed(200, repayment_period=3, interest_rate=0)
    assert desk.loan(other).completed_at == desk.environment.time
    assert desk.ends == (2, 0)


def test_credit_that_is_taken_back_keeps_the_age_of_its_money() -> None:
    desk, terms = Desk(), {"repayment_period": 3, "interest_rate": 0}
    first, second = desk.disbursed(500, **terms), desk.disbursed(200, **terms)
    paid = desk.pay(200, second)
    desk.environment.pass_days(1)
    desk.pay(700, first)
    desk.environment.pass_days(1)
    third = desk.disbursed(200, **terms)
    assert (desk.loan(third).completed_at, desk.user.credit_at) == (day(2), None)
    desk.environment.pass_days(8)
    wish = ReverseDisbursement(reason="returned", telco_reference="T-2")
    desk.perform(Loan, third, wish)
    assert (desk.user.credit_balance, desk.user.credit_at) == (200, day(1))
    desk.perform(Transaction, paid, ReverseTransaction(reason="a chargeback"))
    assert {desk.loan(each).completed_at for each in (first, second)} == {day(1)}
    assert (desk.user.completed_on_time, desk.user.completed_late) == (2, 0)


def older(event: Event) -> Event:
    """An event as it was written under score-v1: without the times of money."""
    new = {"paid_at": None, "completed": ()}
    return replace(event, **{f.name: new[f.name] for f in fields(event) if f.name in new})


def test_events_without_the_time_of_their_money_fold_as_they_did() -> None:
    desk = Borrower()
    desk.receive(300, day(19))
    desk.receive(200, day(2))
    streams: dict[UUID, Entry] = {}
    for each in desk.log:
        before = streams.get(each.originator_id, Entry())
        old = replace(each, event=older(each.event))
        streams[each.originator_id] = before.after(ENTITY_OF[type(each.event)], old)
    loan, user = streams[desk.lent].aggregate, streams[desk.ada].aggregate
    assert isinstance(loan, Loan)
    assert isinstance(user, User)
    assert (loan.completed_at, loan.late, user.completed_on_time) == (day(2), False, 1)


@pytest.mark.parametrize(("moment", "late"), [(DUE, False), (LAST, True)])
def test_under_score_v1_a_loan_was_late_from_the_second_it_was_due(
    moment: datetime, late: bool
) -> None:
    desk = Borrower()
    desk.receive(500, moment)
    for kind, stream in ((Loan, desk.lent), (User, desk.ada)):
        entry = Entry()
        for each in (each for each in desk.log if each.originator_id == stream):
            entry = entry.after(kind, replace(each, event=older(each.event)))
        aggregate = entry.aggregate
        if isinstance(aggregate, Loan):
            assert aggregate.late is late
        else:
            assert isinstance(aggregate, User)
            assert aggregate.completed_late == late


@pytest.mark.parametrize("key", ["defaultAfterDays", "writeOffAfterDays"])
def test_no_setting_puts_a_reminder_further_off_than_the_longest_wait(key: str) -> None:
    desk = Desk()
    desk.configure(key, AFTER_MAX.days)
    with pytest.raises(Refused):
        desk.configure(key, AFTER_MAX.days + 1)
