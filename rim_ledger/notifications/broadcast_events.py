"""What can happen to a broadcast, and to each of the chunks that its audience is cut into."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from rim_ledger.engine.core import Event
from rim_ledger.notifications.contact import Purpose


class BroadcastType(StrEnum):
    """The ways it takes."""

    SMS = "sms"
    EMAIL = "email"
    BOTH = "both"


class TargetAudience(StrEnum):
    """Whom it is for."""

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
    """Only what changed is set."""

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
    """The audience is frozen: so many users, as the log had them at this position."""

    position: int
    size: int
    chunks: int


class BroadcastProgressed(Event):
    """What became of some messages; `excluded` are users who may not be written to any more. `sent`
    is below zero where messages that had been accepted have failed."""

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
    """What failed until now no longer pauses it."""


class BroadcastSent(Event):
    """Everybody was written to, and at least one message was accepted."""


class BroadcastFailed(Event):
    """It is over and no message was accepted."""

    reason: str


class BroadcastCancelled(Event):
    """Nobody else is written to."""


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
    """The first `settled` users are done with; those up to `taken` are being written to. Should
    nothing follow, nobody knows what became of their messages."""

    settled: int
    taken: int


BroadcastChunkEvent = ChunkAdvanced
