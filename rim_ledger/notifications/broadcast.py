"""A broadcast: one message to many users, from its draft until all messages were sent."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final, Self, assert_never
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, Stamp
from rim_ledger.notifications.contact import Purpose, is_quiet
from rim_ledger.notifications.notification import NotificationChannel
from rim_ledger.values import derived_id


class BroadcastType(StrEnum):
    """Its channels."""

    SMS = "sms"
    EMAIL = "email"
    BOTH = "both"


class TargetAudience(StrEnum):
    """Its audience."""

    ALL = "all"
    ACTIVE_USERS = "active_users"
    INACTIVE_USERS = "inactive_users"
    OVERDUE_USERS = "overdue_users"
    CUSTOM = "custom"


class BroadcastDrafted(Event):
    title: str
    message: str
    type: BroadcastType
    target_audience: TargetAudience
    purpose: Purpose
    custom_user_ids: tuple[UUID, ...] = ()


class BroadcastEdited(Event):
    """Holds changed fields only."""

    title: str | None = None
    message: str | None = None
    type: BroadcastType | None = None
    target_audience: TargetAudience | None = None
    purpose: Purpose | None = None
    custom_user_ids: tuple[UUID, ...] | None = None


class BroadcastScheduled(Event):
    scheduled_for: datetime


class BroadcastUnscheduled(Event):
    pass


class BroadcastStarted(Event):
    """The audience is frozen: `size` users, as of this position of the log."""

    position: int
    size: int
    chunks: int


class BroadcastProgressed(Event):
    """Outcomes of some messages; `excluded` users may not be contacted any more. `sent` is negative
    if messages that had been accepted have failed."""

    sent: int = 0
    failed: int = 0
    unknown: int = 0
    excluded: int = 0
    chunks: int = 0
    """Chunks that were finished."""


class BroadcastPaused(Event):
    """By hand, or because too many messages failed."""

    too_many_failed: bool = False


class BroadcastResumed(Event):
    """Earlier failures no longer pause it."""


class BroadcastSent(Event):
    """All messages were sent, and at least one was accepted."""


class BroadcastFailed(Event):
    """It is over, and no message was accepted."""

    reason: str


class BroadcastCancelled(Event):
    """No further message is sent."""


BroadcastEvent = (
    BroadcastEdited
    | BroadcastScheduled
    | BroadcastUnscheduled
    | BroadcastStarted
    | BroadcastProgressed
    | BroadcastPaused
    | BroadcastResumed
    | BroadcastSent
    | BroadcastFailed
    | BroadcastCancelled
)


class ChunkFrozen(Event):
    """A part of a frozen audience."""

    broadcast_id: UUID
    number: int
    user_ids: tuple[UUID, ...]


class ChunkAdvanced(Event):
    """The first `settled` users are done; messages to those up to `taken` are in progress. If
    nothing follows, their outcome is unknown."""

    settled: int
    taken: int


BroadcastChunkEvent = ChunkAdvanced


GOING_OUT: Final = "broadcasts"
"""The list of scheduled and sending broadcasts, the earliest first."""
CHUNK: Final = 1000
"""Users per chunk; one worker at a time sends a chunk."""


class BroadcastStatus(StrEnum):
    """Public status. The last two are final."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENT = "sent"
    FAILED = "failed"


class Phase(StrEnum):
    """Its phase in more detail: while it is sent, its status is still scheduled."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    SENT = "sent"
    FAILED = "failed"


LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    Phase.DRAFT: ("cancel", "edit", "schedule", "send"),
    Phase.SCHEDULED: ("cancel", "send", "unschedule"),
    Phase.SENDING: ("cancel", "pause"),
    Phase.PAUSED: ("cancel", "resume"),
    Phase.SENT: (),
    Phase.FAILED: (),
}
CANCELLED: Final = "It was cancelled."


class Target(Struct, frozen=True):
    """The users to send to."""

    audience: TargetAudience
    purpose: Purpose
    users: tuple[UUID, ...] = ()


class BroadcastMessage(Aggregate):
    title: str
    message: str
    type: BroadcastType
    target_audience: TargetAudience
    purpose: Purpose
    user_ids: tuple[UUID, ...]
    created_at: datetime
    created_by: UUID | None
    phase: Phase = Phase.DRAFT
    scheduled_for: datetime | None = None
    started_at: datetime | None = None
    sent_at: datetime | None = None
    audience_position: int | None = None
    audience_size: int | None = None
    sent_count: int = 0
    failed_count: int = 0
    unknown_count: int = 0
    excluded_count: int = 0
    chunks: int = 0
    """Unfinished chunks."""
    forgiven: tuple[int, int] = (0, 0)
    """Messages sent, and those failed, when it was last resumed."""
    reason: str | None = None

    @property
    def status(self) -> BroadcastStatus:
        sending = self.phase in (Phase.SENDING, Phase.PAUSED)
        return BroadcastStatus.SCHEDULED if sending else BroadcastStatus(self.phase)

    @property
    def custom_user_ids(self) -> list[str] | None:
        custom = self.target_audience is TargetAudience.CUSTOM
        return [str(each) for each in self.user_ids] if custom else None

    @property
    def target(self) -> Target:
        return Target(self.target_audience, self.purpose, self.user_ids)

    @property
    def channels(self) -> tuple[NotificationChannel, ...]:
        match self.type:
            case BroadcastType.SMS:
                return (NotificationChannel.SMS,)
            case BroadcastType.EMAIL:
                return (NotificationChannel.EMAIL,)
            case BroadcastType.BOTH:
                return (NotificationChannel.SMS, NotificationChannel.EMAIL)
            case _:
                assert_never(self.type)

    @property
    def over(self) -> bool:
        """Whether no further message is sent."""
        return self.phase in (Phase.SENT, Phase.FAILED)

    @property
    def due_at(self) -> datetime | None:
        """When it needs work next, if ever. A cancelled one still has chunks to close."""
        if self.phase is Phase.SENDING or (self.over and self.chunks):
            return self.started_at
        return self.scheduled_for if self.phase is Phase.SCHEDULED else None

    def waits(self, moment: datetime) -> bool:
        """Return whether it pauses at this hour: no marketing at night."""
        return self.purpose is Purpose.MARKETING and is_quiet(moment)

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        due = self.due_at
        return frozenset([(GOING_OUT, f"{due:%Y%m%dT%H%M%S.%f}/{self.id}")]) if due else NOWHERE

    @classmethod
    def begin(cls, id: UUID, event: BroadcastDrafted, stamp: Stamp) -> Self:
        ids, at = event.custom_user_ids, stamp.at
        return cls.made(id, event, user_ids=ids, created_at=at, created_by=stamp.admin)

    def evolve(self, event: BroadcastEvent, stamp: Stamp) -> Self:  # noqa: C901, PLR0911 - a line an event
        match event:
            case BroadcastEdited():
                changes = event.changes
                ids = changes.pop("custom_user_ids", self.user_ids)
                return self.but(**changes, user_ids=ids)
            case BroadcastScheduled():
                return self.but(phase=Phase.SCHEDULED, scheduled_for=event.scheduled_for)
            case BroadcastUnscheduled():
                return self.but(phase=Phase.DRAFT, scheduled_for=None)
            case BroadcastStarted():
                return self.but(
                    phase=Phase.SENDING,
                    started_at=stamp.at,
                    audience_position=event.position,
                    audience_size=event.size,
                    chunks=event.chunks,
                )
            case BroadcastProgressed():
                return self._after(event, stamp)
            case BroadcastPaused():
                words = "More than 5 % of the messages failed." if event.too_many_failed else None
                return self.but(phase=Phase.PAUSED, reason=words)
            case BroadcastResumed():
                gone = self.sent_count + self.failed_count
                forgiven = (gone, self.failed_count)
                return self.but(phase=Phase.SENDING, forgiven=forgiven, reason=None)
            case BroadcastSent():
                return self.but(phase=Phase.SENT, sent_at=stamp.at)
            case BroadcastFailed():
                return self.but(phase=Phase.FAILED, reason=event.reason)
            case BroadcastCancelled():
                if self.sent_count:
                    return self.but(phase=Phase.SENT, sent_at=stamp.at, reason=CANCELLED)
                return self.but(phase=Phase.FAILED, reason=CANCELLED)
            case _:
                assert_never(event)

    def _after(self, event: BroadcastProgressed, stamp: Stamp) -> Self:
        """Add outcomes; a message that was accepted after all turns a failed broadcast into a sent
        one."""
        after = self.but(
            sent_count=self.sent_count + event.sent,
            failed_count=self.failed_count + event.failed,
            unknown_count=self.unknown_count + event.unknown,
            excluded_count=self.excluded_count + event.excluded,
            chunks=self.chunks - event.chunks,
        )
        if self.phase is Phase.FAILED and after.sent_count:
            reason = CANCELLED if self.reason == CANCELLED else None
            return after.but(phase=Phase.SENT, sent_at=stamp.at, reason=reason)
        return after


def chunks_of(broadcast: UUID) -> str:
    """Return the list of unfinished chunks of a broadcast."""
    return f"chunks-of:{broadcast}"


def chunk_id(broadcast: UUID, number: int) -> UUID:
    """Return the stream id of a chunk."""
    return derived_id("chunk", broadcast, number)


class BroadcastChunk(Aggregate):
    broadcast_id: UUID
    number: int
    user_ids: tuple[UUID, ...]
    settled: int = 0
    taken: int = 0

    @property
    def size(self) -> int:
        return len(self.user_ids)

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        done = self.settled == len(self.user_ids)
        place = (chunks_of(self.broadcast_id), f"{self.number:06}")
        return NOWHERE if done else frozenset([place])

    @classmethod
    def begin(cls, id: UUID, event: ChunkFrozen, stamp: Stamp) -> Self:
        return cls.made(id, event)

    def evolve(self, event: BroadcastChunkEvent, stamp: Stamp) -> Self:
        match event:
            case ChunkAdvanced():
                return self.but(settled=event.settled, taken=event.taken)
            case _:
                assert_never(event)
