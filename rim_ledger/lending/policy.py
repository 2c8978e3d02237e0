"""The policies for score and credit limit. Versioned; their inputs are stored."""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from rim_ledger.values import ZERO

SCORE_VERSION: Final = "score-v2"
"""The weights of score-v1. A loan is late by when its money came in, not by when it was settled.
"""
LIMIT_VERSION: Final = "limit-v1"


class ScoreInputs(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The inputs of the score. Counts are of loans; times are whole days and months."""

    on_time_completions: int = 0
    late_completions: int = 0
    defaults_last_year: int = 0
    days_past_due: int = 0
    months_registered: int = 0


class CreditPolicy(Struct, frozen=True, kw_only=True):
    """The parameters of score-v2 and limit-v1, in points and naira; the defaults are those in
    force.

    `steps` map scores below a bound to limits; `highest` is the limit beyond them.
    """

    at_start: int = 500
    on_time: int = 30
    on_time_most: int = 10
    late: int = 20
    default: int = 200
    day_past_due: int = 3
    days_past_due_most: int = 90
    month: int = 5
    months_most: int = 20
    steps: tuple[tuple[int, Decimal], ...] = (
        (300, ZERO),
        (450, Decimal("500.00")),
        (550, Decimal("1000.00")),
        (650, Decimal("2000.00")),
        (750, Decimal("5000.00")),
    )
    highest: Decimal = Decimal("10000.00")


IN_FORCE: Final = CreditPolicy()


def score(inputs: ScoreInputs, policy: CreditPolicy = IN_FORCE) -> int:
    """Return score-v2 (domain §1): 0 to 1000."""
    points = (
        policy.at_start
        + policy.on_time * min(policy.on_time_most, inputs.on_time_completions)
        - policy.late * inputs.late_completions
        - policy.default * inputs.defaults_last_year
        - policy.day_past_due * min(policy.days_past_due_most, inputs.days_past_due)
        + policy.month * min(policy.months_most, inputs.months_registered)
    )
    return max(0, min(1000, points))


def limit_for(score: int, policy: CreditPolicy = IN_FORCE) -> Decimal:
    """Return the limit of a score by limit-v1 (domain §1), in naira."""
    return next((limit for below, limit in policy.steps if score < below), policy.highest)


def next_limit(
    current: Decimal, score: int, policy: CreditPolicy = IN_FORCE, *, completed: bool
) -> Decimal:
    """Return the next limit by limit-v1: down at once, up one step per completed loan."""
    target = limit_for(score, policy)
    if target <= current:
        return target
    if not completed:
        return current
    steps = [limit for _, limit in policy.steps] + [policy.highest]
    return min(target, next(step for step in steps if step > current))
