"""The policies that score a borrower and set the credit limit. Versioned: their inputs are kept."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct

from rim_ledger.values import ZERO

SCORE_VERSION: Final = "score-v1"
LIMIT_VERSION: Final = "limit-v1"

SCORE_AT_START: Final = 500
LIMITS: Final[Sequence[tuple[int, Decimal]]] = (
    (300, ZERO),
    (450, Decimal("500.00")),
    (550, Decimal("1000.00")),
    (650, Decimal("2000.00")),
    (750, Decimal("5000.00")),
)
"""Below this score, this limit in naira."""
LIMIT_MAX: Final = Decimal("10000.00")


class ScoreInputs(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What score-v1 looks at. Counts are of loans; times are whole days and months."""

    on_time_completions: int = 0
    late_completions: int = 0
    defaults_last_year: int = 0
    days_past_due: int = 0
    months_registered: int = 0


def score(inputs: ScoreInputs) -> int:
    """score-v1 (domain §1): 0 to 1000."""
    points = (
        SCORE_AT_START
        + 30 * min(10, inputs.on_time_completions)
        - 20 * inputs.late_completions
        - 200 * inputs.defaults_last_year
        - 3 * min(90, inputs.days_past_due)
        + 5 * min(20, inputs.months_registered)
    )
    return max(0, min(1000, points))


def limit_for(score: int) -> Decimal:
    """limit-v1 (domain §1): the limit in naira that a score stands for."""
    return next((limit for below, limit in LIMITS if score < below), LIMIT_MAX)


def next_limit(current: Decimal, score: int, *, completed: bool) -> Decimal:
    """limit-v1 from one moment to the next: down at once, up one step for a completed loan."""
    target = limit_for(score)
    if target <= current:
        return target
    if not completed:
        return current
    steps = [limit for _, limit in LIMITS] + [LIMIT_MAX]
    return min(target, next(step for step in steps if step > current))
