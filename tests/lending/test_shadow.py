"""A shadow under the policy in force is the user; under another, only score and limit differ."""

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from itertools import count, zip_longest
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from rim_ledger.engine.aggregate import SYSTEM, Actor, Stamp
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.lateness import MarkDefaulted, ReverseDefault, check_overdue
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.policy import IN_FORCE, CreditPolicy
from rim_ledger.lending.reschedule import RescheduleLoan
from rim_ledger.lending.shadow import Shadow
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import EnableAutoLimit, SetCreditLimit, SetCreditScore
from rim_ledger.payments.reversal import ReverseTransaction
from rim_ledger.payments.transaction import Transaction
from rim_ledger.values import lagos_day
from tests.lending.desk import Desk

TO_LOANS = ("lend", "pay", "overpay", "reverse", "late", "default", "pardon", "defer")
STEPS = (*TO_LOANS, "score", "limit", "auto")


class Requests(Desk):
    """A desk that hears each decision as a request of its own."""

    numbers = count()

    def uow(self, actor: Actor = SYSTEM) -> UnitOfWork:
        self.stamp = Stamp(
            at=self.environment.now(), actor=actor, request_id=str(next(self.numbers))
        )
        return super().uow(actor)


def walked(steps: list[tuple[str, int]]) -> Requests:
    """A desk after these steps, as far as the rules let them be made."""
    desk = Requests(limit=None)
    desk.configure("maxRescheduleDays", value=90)
    loans, payments = list[UUID](), list[UUID]()
    for step, size in steps:
        desk.environment.pass_days(size)
        with suppress(Refused, IndexError):
            _walk(desk, step, size, loans, payments)
    return desk


def _walk(desk: Desk, step: str, size: int, loans: list[UUID], payments: list[UUID]) -> None:
    match step:
        case "lend":
            loans.append(desk.disbursed(50 * size))
        case "pay" | "overpay":
            payments.append(desk.pay(60 * size if step == "pay" else 5000))
        case "reverse":
            last = payments.pop()
            desk.perform(Transaction, last, ReverseTransaction(reason="a chargeback"))
        case "late":
            desk.environment.pass_days(40)
            desk.run(check_overdue(loans[-1]))
        case "default":
            desk.perform(Loan, loans[-1], MarkDefaulted(reason="gone"))
        case "pardon":
            desk.perform(Loan, loans[-1], ReverseDefault(reason="found"))
        case "defer":
            day = lagos_day(desk.environment.time) + timedelta(days=size)
            desk.perform(Loan, loans[-1], RescheduleLoan(due_date=day, reason="a talk"))
        case "score":
            desk.perform(User, desk.ada, SetCreditScore(score=100 * size, reason="a talk"))
        case "limit":
            limit = SetCreditLimit(limit=Decimal(700 * size), reason="a talk", keep_auto=True)
            desk.perform(User, desk.ada, limit)
        case _:
            desk.perform(User, desk.ada, EnableAutoLimit())


def shadowed(desk: Desk, policy: CreditPolicy | None) -> Any:
    """The user after each decision, as it was and as the shadow has it."""
    own = [each for each in desk.log if each.originator_id == desk.ada]
    first, *rest = own
    user = User.begin(desk.ada, first.event, first.stamp)  # type: ignore[arg-type]
    shadow = Shadow(desk.ada, first.event, first.stamp, policy)  # type: ignore[arg-type]
    for each, following in zip_longest(rest, rest[1:]):
        user = user.evolve(each.event, each.stamp)  # type: ignore[arg-type]
        shadow.follow(each.event, each.stamp)  # type: ignore[arg-type]
        if following is None or following.stamp != each.stamp:
            yield user, shadow.user


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 9)), max_size=30))
def test_under_the_policy_in_force_a_shadow_is_the_user(steps: list[tuple[str, int]]) -> None:
    desk = walked(steps)
    for policy in (None, IN_FORCE):
        assert all(user == shadow for user, shadow in shadowed(desk, policy))


def test_the_walks_come_to_every_moment_of_the_policy() -> None:
    steps = [("lend", 5), ("overpay", 1), ("reverse", 1), ("late", 1), ("default", 1)]
    steps += [("pardon", 1), ("defer", 1), ("overpay", 2), ("limit", 3), ("score", 4), ("lend", 6)]
    found = {type(each.event).__name__ for each in walked(steps).log}
    assert found > {
        "CreditScoreRecomputed",
        "CreditLimitAdjusted",
        "RepaymentReversed",
        "DebtReopened",
        "DebtBecameOverdue",
        "DebtDefaulted",
        "DebtDefaultReversed",
        "DebtRescheduled",
        "CreditApplied",
    }


@pytest.mark.parametrize(
    ("policy", "score", "limit"),
    [
        (IN_FORCE, 560, 2000),
        (replace(IN_FORCE, on_time=150), 800, 5000),
        (replace(IN_FORCE, at_start=300), 360, 500),
        (replace(IN_FORCE, steps=((501, Decimal(10)), (550, Decimal(20)))), 560, 10_000),
    ],
)
def test_another_policy_scores_and_limits_by_its_own_parameters(
    policy: CreditPolicy, score: int, limit: int
) -> None:
    desk = walked([("lend", 5), ("overpay", 1), ("lend", 1), ("overpay", 1)])
    *_, (user, shadow) = shadowed(desk, policy)
    assert user.completed_on_time == shadow.completed_on_time == 2
    assert (shadow.credit_score, shadow.credit_limit) == (score, limit)
    assert user == shadow.but(credit_score=user.credit_score, credit_limit=user.credit_limit)


@pytest.mark.parametrize(("given_score", "begins_at"), [(IN_FORCE.at_start, 300), (700, 700)])
def test_only_who_began_at_the_usual_score_begins_at_that_of_the_other_policy(
    given_score: int, begins_at: int
) -> None:
    desk = Desk(limit=None)
    first: Any = desk.log[0]
    began = replace(first.event, credit_score=given_score)
    shadow = Shadow(desk.ada, began, first.stamp, replace(IN_FORCE, at_start=300))
    assert shadow.user.credit_score == begins_at


def test_a_shadow_that_is_only_asked_at_the_end_has_judged_each_decision_at_its_time() -> None:
    desk = walked([("lend", 5), ("overpay", 1), ("reverse", 1), ("limit", 3), ("score", 4)])
    first, *rest = [each for each in desk.log if each.originator_id == desk.ada]
    shadow = Shadow(desk.ada, first.event, first.stamp, IN_FORCE)  # type: ignore[arg-type]
    for each in rest:
        shadow.follow(each.event, each.stamp)  # type: ignore[arg-type]
    assert shadow.user == desk.user
