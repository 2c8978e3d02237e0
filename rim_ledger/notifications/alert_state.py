"""When an alert fires, and when again: once per episode, however the value fluctuates."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct

CALM: Final = Decimal("0.9")
"""Below this share of the threshold an episode begins to end…"""
CALM_FOR: Final = timedelta(minutes=10)
"""… and after so long below it, the episode is over."""
COOLDOWN: Final = timedelta(minutes=15)
"""Shortest time from one firing to the next."""


class AlertState(StrEnum):
    """State of an alert. Without data it is unknown, which is not the same as normal."""

    UNKNOWN = "unknown"
    NORMAL = "normal"
    FIRING = "firing"
    EASING = "easing"


EPISODE: Final = (AlertState.FIRING, AlertState.EASING)


class AlertWatch(Struct, frozen=True):
    """State of the evaluation: the state, since when, and when it last fired."""

    state: AlertState
    since: datetime
    fired_at: datetime | None = None

    def next(self, value: Decimal | None, threshold: Decimal, at: datetime) -> AlertState:
        """Return the next state, given the value (None without data) at a time. The alert fires if
        it enters FIRING from outside an episode."""
        calm = value is not None and value < threshold * CALM
        match self.state:
            case AlertState.FIRING:
                return AlertState.EASING if calm else AlertState.FIRING
            case AlertState.EASING if not calm:
                return AlertState.FIRING
            case AlertState.EASING:
                return AlertState.NORMAL if at - self.since >= CALM_FOR else AlertState.EASING
        if value is None:
            return AlertState.UNKNOWN
        if value < threshold:
            return AlertState.NORMAL
        cooling = self.fired_at is not None and at - self.fired_at < COOLDOWN
        return AlertState.NORMAL if cooling else AlertState.FIRING
