"""When an alert fires: once an episode, never by trembling, never for want of data."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Self

from hypothesis import given as drawn
from hypothesis import strategies as st

from rim_ledger.notifications.alert import EPISODE, AlertState, AlertWatch
from tests.spec import START

THRESHOLD = Decimal(10)


class given:  # noqa: N801 - it reads as a sentence
    """An alert at ten that has seen some values, a minute from one to the next."""

    def __init__(self, *values: float | None, minutes: float = 1) -> None:
        self.watch, self.time = AlertWatch(AlertState.UNKNOWN, START), START
        self.fired: list[int] = []
        self.step, self.seen = timedelta(minutes=minutes), 0
        self.when(*values)

    def when(self, *values: float | None) -> Self:
        for value in values:
            self.time, self.seen = self.time + self.step, self.seen + 1
            exact = None if value is None else Decimal(str(value))
            state = self.watch.next(exact, THRESHOLD, self.time)
            if state is not self.watch.state:
                fires = state is AlertState.FIRING and self.watch.state not in EPISODE
                at = self.time if fires else self.watch.fired_at
                self.fired += [self.seen] if fires else []
                self.watch = AlertWatch(state, self.time, at)
        return self

    def then(self, state: str, *fired: int) -> None:
        """It stands so, and has fired at the first, the seventh … value."""
        assert self.watch.state == state
        assert self.fired == [*fired]


def test_it_fires_at_the_threshold_and_not_below() -> None:
    given(9.99).then("normal")
    given(10).then("firing", 1)
    given(0, 11).then("firing", 2)


def test_it_fires_once_however_long_it_lasts() -> None:
    given(*[12] * 500).then("firing", 1)


def test_it_does_not_flap_on_the_threshold() -> None:
    given(*[10, 9.99, 9, 10] * 100).then("firing", 1)


def test_it_is_over_after_ten_minutes_below_nine_tenths() -> None:
    given(10, *[8.99] * 10).then("easing", 1)
    given(10, *[8.99] * 11).then("normal", 1)
    given(10, *[9] * 60).then("firing", 1)


def test_who_comes_up_again_starts_the_ten_minutes_anew() -> None:
    given(10, *[8] * 9, 9.5, *[8] * 10).then("easing", 1)
    given(10, *[8] * 9, 9.5, *[8] * 11).then("normal", 1)


def test_a_new_episode_waits_until_fifteen_minutes_after_the_last() -> None:
    over = given(10, *[0] * 11)
    over.when(20, 20, 20).then("normal", 1)
    over.when(20).then("firing", 1, 16)


def test_no_data_is_unknown_and_not_fine() -> None:
    given(None).then("unknown")
    given(5, None).then("unknown")
    given(5, None, 10).then("firing", 3)


def test_no_data_ends_no_episode() -> None:
    given(10, *[None] * 60).then("firing", 1)
    given(10, *[8] * 9, None, *[8] * 10).then("easing", 1)


@drawn(st.lists(st.one_of(st.none(), st.floats(0, 20)), max_size=200))
def test_whatever_the_values_two_times_are_fifteen_minutes_apart_and_calm_between(
    values: list[float | None],
) -> None:
    fired = given(*values).fired
    for earlier, later in pairwise(fired):
        assert later - earlier >= 15
        between = values[earlier : later - 1]
        calm = [value is not None and value < 9 for value in between]
        assert any(all(calm[n : n + 11]) for n in range(len(calm) - 10))
