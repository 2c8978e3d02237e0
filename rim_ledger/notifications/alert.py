"""An alert: a watched value, its threshold, whom to notify, and when it fires again."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Self, assert_never
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, Stamp
from rim_ledger.engine.refusals import require
from rim_ledger.notifications.notification import NotificationChannel
from rim_ledger.values import derived_id

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


WATCHED: Final = "watched-alerts"
"""The list of enabled alerts, by type."""


class AlertType(StrEnum):
    """The watched value."""

    OVERDUE_LOANS = "overdue_loans"
    API_FAILURE = "api_failure"
    PAYMENT_GATEWAY = "payment_gateway"
    USER_ISSUE = "user_issue"
    SYSTEM_ERROR = "system_error"


class AlertCreated(Event):
    name: str
    type: AlertType
    threshold: Decimal
    channel: tuple[NotificationChannel, ...]
    recipients: tuple[str, ...]
    enabled: bool = True


class AlertChanged(Event):
    """Holds changed fields only."""

    name: str | None = None
    threshold: Decimal | None = None
    channel: tuple[NotificationChannel, ...] | None = None
    recipients: tuple[str, ...] | None = None


class AlertEnabled(Event):
    pass


class AlertDisabled(Event):
    pass


class AlertArchived(Event):
    """The alert is kept for the record, and disabled."""


class AlertTriggered(Event):
    """An episode has begun. The notifications of its recipients are in the same commit."""

    value: Decimal


class AlertStateChanged(Event):
    """The state changed without firing. A missing value means that there was no data."""

    state: AlertState
    value: Decimal | None = None


class AlertAcknowledged(Event):
    """An admin takes care of it."""


AlertEvent = (
    AlertChanged
    | AlertEnabled
    | AlertDisabled
    | AlertArchived
    | AlertTriggered
    | AlertStateChanged
    | AlertAcknowledged
)


class SystemAlert(Aggregate):
    name: str
    type: AlertType
    threshold: Decimal
    channel: tuple[NotificationChannel, ...]
    recipients: tuple[str, ...]
    enabled: bool
    created_at: datetime
    state_since: datetime
    state: AlertState = AlertState.UNKNOWN
    last_value: Decimal | None = None
    last_triggered: datetime | None = None
    trigger_count: int = 0
    acknowledged_at: datetime | None = None
    acknowledged_by: UUID | None = None
    archived: bool = False

    @property
    def watch(self) -> AlertWatch:
        """The state of the evaluation."""
        return AlertWatch(self.state, self.state_since, self.last_triggered)

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        return frozenset([(WATCHED, f"{self.type} {self.id}")]) if self.enabled else NOWHERE

    @property
    def cause(self) -> UUID:
        """The cause of the last episode's messages: each is sent once per cause."""
        return derived_id("episode", self.id, self.trigger_count)

    def lasts(self, cause: UUID) -> bool:
        """Return whether the episode of a message still goes on."""
        return self.state in EPISODE and self.cause == cause

    def require_present(self) -> None:
        require(not self.archived, "already-done", "The alert is archived.")

    @classmethod
    def begin(cls, id: UUID, event: AlertCreated, stamp: Stamp) -> Self:
        return cls.made(id, event, created_at=stamp.at, state_since=stamp.at)

    def evolve(self, event: AlertEvent, stamp: Stamp) -> Self:  # noqa: PLR0911 - a line an event
        match event:
            case AlertChanged():
                return self.but(**event.changes)
            case AlertEnabled():
                return self.but(enabled=True)
            case AlertDisabled():
                return self._unwatched(stamp)
            case AlertArchived():
                return self._unwatched(stamp).but(archived=True)
            case AlertTriggered():
                return self.but(
                    state=AlertState.FIRING,
                    state_since=stamp.at,
                    last_value=event.value,
                    last_triggered=stamp.at,
                    trigger_count=self.trigger_count + 1,
                    acknowledged_at=None,
                    acknowledged_by=None,
                )
            case AlertStateChanged():
                return self.but(state=event.state, state_since=stamp.at, last_value=event.value)
            case AlertAcknowledged():
                return self.but(acknowledged_at=stamp.at, acknowledged_by=stamp.admin)
            case _:
                assert_never(event)

    def _unwatched(self, stamp: Stamp) -> Self:
        """Without evaluation the state is unknown."""
        return self.but(
            enabled=False, state=AlertState.UNKNOWN, state_since=stamp.at, last_value=None
        )
