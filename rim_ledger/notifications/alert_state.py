"""When an alert fires and when it may again: once an episode, however the value trembles."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct

CALM: Final = Decimal("0.9")
"""Below this share of the threshold an episode begins to end…"""
CALM_FOR: Final = timedelta(minutes=10)
"""… and when it has stayed there for so long, it is over."""
COOLDOWN: Final = timedelta(minutes=15)
"""From one time that an alert fires to the next, at least."""


class AlertState(StrEnum):
    """How an alert stands. Without data nobody knows, which is not the same as normal."""

    UNKNOWN = "unknown"
    NORMAL = "normal"
    FIRING = "firing"
    EASING = "easing"


EPISODE: Final = (AlertState.FIRING, AlertState.EASING)


class AlertWatch(Struct, frozen=True):
    """What was seen of a value so far: how it stands, since when, and when it fired last."""

    state: AlertState
    since: datetime
    fired_at: datetime | None = None

    def next(self, value: Decimal | None, threshold: Decimal, at: datetime) -> AlertState:
        """How it stands with a value, or without one, at a time. From outside of an episode to
        firing means that it fires."""
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
