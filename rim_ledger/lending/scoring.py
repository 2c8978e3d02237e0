"""Assessment of a user by the credit policy: score and limit, after each relevant change."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.policy import (
    IN_FORCE,
    LIMIT_VERSION,
    SCORE_VERSION,
    CreditPolicy,
    ScoreInputs,
    next_limit,
    score,
)
from rim_ledger.lending.user import CreditLimitAdjusted, CreditScoreRecomputed, User
from rim_ledger.values import ZERO

YEAR = timedelta(days=365)


class Assessment(Struct, frozen=True):
    """A user's score and limit at a moment, with inputs and reason."""

    inputs: ScoreInputs
    score: int
    limit: Decimal
    reason: str


def judge(
    user: User,
    at: datetime,
    policy: CreditPolicy = IN_FORCE,
    *,
    completed: bool = False,
    defaulted: bool = False,
) -> Assessment:
    """Return the score, and the limit if automatic, at a moment of the policy (domain §1)."""
    inputs = score_inputs(user, at)
    points = score(inputs, policy)
    late = any(debt.overdue or debt.defaulted for debt in user.debts.values())
    limit, reason = user.credit_limit, "the score changed"
    if user.auto_limit_enabled and defaulted:
        limit, reason = ZERO, "a loan defaulted"
    elif user.auto_limit_enabled and not late:
        limit = next_limit(user.credit_limit, points, policy, completed=completed)
        reason = "a loan was completed" if completed else reason
    return Assessment(inputs, points, limit, reason)


def judge_again(
    uow: UnitOfWork,
    user_id: UUID,
    effective_at: datetime,
    *,
    completed: bool = False,
    defaulted: bool = False,
) -> None:
    """Record the user's present assessment, as far as it changed; `effective_at` is the business
    time of its cause."""
    user = uow.read(User, user_id)
    found = judge(user, uow.stamp.at, completed=completed, defaulted=defaulted)
    if found.score != user.credit_score:
        event = CreditScoreRecomputed(
            score=found.score,
            policy=SCORE_VERSION,
            inputs=found.inputs,
            effective_at=effective_at,
        )
        uow.append(User, user_id, [event])
    if found.limit != user.credit_limit:
        adjusted = CreditLimitAdjusted.of(found, policy=LIMIT_VERSION, effective_at=effective_at)
        uow.append(User, user_id, [adjusted])


def score_inputs(user: User, at: datetime) -> ScoreInputs:
    """Return the inputs of the score, as of a business time."""
    late = [(at - debt.due_at).days for debt in user.debts.values() if debt.overdue]
    return ScoreInputs(
        on_time_completions=user.completed_on_time,
        late_completions=user.completed_late,
        defaults_last_year=sum(at - YEAR < when <= at for when in user.defaults.values()),
        days_past_due=max(0, *late, 0),
        months_registered=max(0, _months(user.created_at, at)),
    )


def _months(start: datetime, end: datetime) -> int:
    begin, finish = start.astimezone(UTC), end.astimezone(UTC)
    months = (finish.year - begin.year) * 12 + finish.month - begin.month
    return months - ((finish.day, finish.time()) < (begin.day, begin.time()))
