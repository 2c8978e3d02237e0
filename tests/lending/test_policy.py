"""score-v1 and limit-v1."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rim_ledger.lending.policy import IN_FORCE, ScoreInputs, limit_for, next_limit, score

COUNT = st.integers(0, 200)


@pytest.mark.parametrize(
    ("inputs", "points"),
    [
        (ScoreInputs(), 500),
        (ScoreInputs(on_time_completions=3, months_registered=4), 610),
        (ScoreInputs(on_time_completions=40, months_registered=40), 900),
        (ScoreInputs(late_completions=2, days_past_due=10), 430),
        (ScoreInputs(defaults_last_year=1, days_past_due=400), 30),
        (ScoreInputs(defaults_last_year=9), 0),
    ],
)
def test_score_v1(inputs: ScoreInputs, points: int) -> None:
    assert score(inputs) == points


@pytest.mark.parametrize(
    ("points", "naira"),
    [(0, 0), (299, 0), (300, 500), (449, 500), (450, 1000), (549, 1000), (550, 2000), (649, 2000)]
    + [(650, 5000), (749, 5000), (750, 10000), (1000, 10000)],
)
def test_limit_v1_steps(points: int, naira: int) -> None:
    assert limit_for(points) == naira


@given(COUNT, COUNT, COUNT, COUNT, COUNT)
def test_a_score_stays_between_0_and_1000(a: int, b: int, c: int, d: int, e: int) -> None:
    inputs = ScoreInputs(
        on_time_completions=a,
        late_completions=b,
        defaults_last_year=c,
        days_past_due=d,
        months_registered=e,
    )
    assert 0 <= score(inputs) <= 1000


@given(st.decimals(0, 20000, places=2), st.integers(0, 1000), st.booleans())
def test_a_limit_rises_one_step_for_a_completed_loan_and_not_otherwise(
    current: Decimal, points: int, completed: bool
) -> None:
    after = next_limit(current, points, completed=completed)
    steps = [Decimal(step) for step in (0, 500, 1000, 2000, 5000, 10000)]
    if after > current:
        assert completed
        assert after == min(step for step in steps if step > current)
    assert after <= max(current, IN_FORCE.highest)
    if limit_for(points) <= current:
        assert after == limit_for(points)


def test_who_has_the_highest_limit_keeps_it_after_another_loan() -> None:
    assert next_limit(IN_FORCE.highest, 1000, completed=True) == IN_FORCE.highest
