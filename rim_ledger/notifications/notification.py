"""A notification: one message to one person on one channel, and what became of it.

Codes and tokens of the log-in are none: they are sent and forgotten, so that no row holds them.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self, assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.delivery.port import Lane
from rim_ledger.engine.aggregate import Aggregate, Event, Personal, Stamp
from rim_ledger.engine.frozen import FrozenMeta
from rim_ledger.engine.holding import NOWHERE
from rim_ledger.engine.refusals import require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.queues import place
from rim_ledger.system.integration import under_way as through
from rim_ledger.values import derived_id


class NotificationType(StrEnum):
    """What it is sent for."""

    ALERT = "alert"
    BROADCAST = "broadcast"
    SCHEDULED = "scheduled"


class NotificationChannel(StrEnum):
    """The way it takes. The dashboard is the row itself."""

    EMAIL = "email"
    SMS = "sms"
    DASHBOARD = "dashboard"


class RecipientType(StrEnum):
    """Whom it is for."""

    USER = "user"
    ADMIN = "admin"


class NotificationStatus(StrEnum):
    """What became of it, as far as is known."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    PENDING = "pending"


class HandOver(StrEnum):
    """How far it is on its way to the provider."""

    WAITING = "waiting"
    UNDER_WAY = "under-way"
    DONE = "done"
    UNKNOWN = "unknown"
    """It may have gone, and the provider does not tell: it is never sent again."""


LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    NotificationStatus.PENDING: ("mark-failed", "mark-sent"),
    NotificationStatus.SENT: ("mark-delivered", "mark-failed"),
    NotificationStatus.DELIVERED: (),
    NotificationStatus.FAILED: ("retry",),
}


class Notice(Struct, metaclass=FrozenMeta, omit_defaults=True, rename="camel"):
    """What is to be told, to whom, how, and because of what."""

    type: NotificationType
    channel: NotificationChannel
    recipient: UUID
    recipient_type: RecipientType
    cause: UUID
    """The event, or the object, that it follows from: it is told once because of that."""
    broadcast_id: UUID | None = None
    parent_id: UUID | None = None
    """The one that failed, which this one repeats."""
    alert_id: UUID | None = None
    otherwise: NotificationChannel | None = None
    """The channel that stands in where this one certainly fails."""
    html: bool = False
    metadata: dict[str, Any] = {}

    @property
    def alone(self) -> bool:
        """Whether it is handed over one by one, not with a part of a broadcast."""
        return self.broadcast_id is None or self.parent_id is not None


# Events: what can happen to a notification.


class NotificationQueued(Event):
    """`taken`: it is being handed over, perhaps through an integration; `to`: a former address."""

    notice: Notice
    title: Personal
    message: Personal
    to: Personal = None
    taken: bool = False
    integration: UUID | None = None


class NotificationTaken(Event):
    """It is being handed over. Should nothing follow, nobody knows whether it went."""

    integration: UUID | None = None


class NotificationSent(Event):
    """The provider took it."""


class NotificationDelivered(Event):
    pass


class NotificationFailed(Event):
    """It certainly did not arrive. The reason is ours: a provider's words may name a person."""

    reason: str


class NotificationWithheld(Event):
    """It was not sent: whom or what it was for is no more."""

    reason: str


class NotificationOutcomeUnknown(Event):
    """It may have gone or not, and the provider does not tell."""


class NotificationContradicted(Event):
    """The provider afterwards said the opposite of what had become of it. The status stays."""

    status: NotificationStatus


class NotificationRetried(Event):
    """Another one repeats it."""

    child: UUID


NotificationEvent = (
    NotificationTaken
    | NotificationSent
    | NotificationDelivered
    | NotificationFailed
    | NotificationWithheld
    | NotificationOutcomeUnknown
    | NotificationContradicted
    | NotificationRetried
)


# The aggregate: what those events add up to.


class NotificationHistory(Aggregate):
    notice: Notice
    title: str | None
    message: str | None
    created_at: datetime
    hand_over: HandOver
    to: str | None = None
    integration: UUID | None = None
    """The one that it was handed over through: only that can tell what became of it."""
    taken_at: datetime | None = None
    status: NotificationStatus = NotificationStatus.PENDING
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    error_message: str | None = None
    provider_claim: NotificationStatus | None = None
    retried_as: UUID | None = None

    @property
    def person(self) -> UUID:
        return self.notice.recipient

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        if self.hand_over not in (HandOver.WAITING, HandOver.UNDER_WAY):
            return NOWHERE
        taken = self.hand_over is HandOver.UNDER_WAY
        own = place(self.notice.channel, self.created_at, self.id, taken=taken)
        places = {own} if self.notice.alone else set()
        if self.integration:
            places.add((through(self.integration), str(self.id)))
        return frozenset(places)

    @classmethod
    def begin(cls, id: UUID, event: NotificationQueued, stamp: Stamp) -> Self:
        return cls.made(
            id,
            event,
            created_at=stamp.at,
            hand_over=HandOver.UNDER_WAY if event.taken else HandOver.WAITING,
            taken_at=stamp.at if event.taken else None,
        )

    def evolve(self, event: NotificationEvent, stamp: Stamp) -> Self:  # noqa: PLR0911 - a line an event
        match event:
            case NotificationTaken():
                return self.but(
                    hand_over=HandOver.UNDER_WAY, integration=event.integration, taken_at=stamp.at
                )
            case NotificationSent():
                return self.but(
                    status=NotificationStatus.SENT, hand_over=HandOver.DONE, sent_at=stamp.at
                )
            case NotificationDelivered():
                return self.but(status=NotificationStatus.DELIVERED, delivered_at=stamp.at)
            case NotificationFailed() | NotificationWithheld():
                return self.but(
                    status=NotificationStatus.FAILED,
                    hand_over=HandOver.DONE,
                    error_message=event.reason,
                )
            case NotificationOutcomeUnknown():
                return self.but(hand_over=HandOver.UNKNOWN)
            case NotificationContradicted():
                return self.but(provider_claim=event.status)
            case NotificationRetried():
                return self.but(retried_as=event.child)
            case _:
                assert_never(event)


def notification_id(notice: Notice) -> UUID:
    """The stream of a notice: the same cause tells a person on a channel once, whatever dies."""
    if notice.parent_id:
        return repeat_id(notice.parent_id)
    return derived_id("notification", notice.cause, notice.recipient, notice.channel)


def repeat_id(parent: UUID) -> UUID:
    """The stream of the one that repeats another."""
    return derived_id("notification-again", parent)


def queue(
    uow: UnitOfWork, notice: Notice, title: str, message: str, lane: Lane | None = None
) -> UUID:
    """Have somebody told something; its id. Said again for the same cause, it changes nothing.
    With a lane, whoever asks hands it over there."""
    stream = notification_id(notice)
    if not uow.version(stream):
        uow.open_stream(NotificationHistory, stream, queued(notice, title, message, lane))
    return stream


def queued(notice: Notice, title: str, message: str, lane: Lane | None = None) -> Iterable[Event]:
    """The first events. What the dashboard shows has arrived by being there."""
    yield NotificationQueued(
        notice=notice,
        title=title,
        message=message,
        taken=lane is not None,
        integration=lane.integration if lane else None,
    )
    if notice.channel is NotificationChannel.DASHBOARD:
        yield NotificationSent()
        yield NotificationDelivered()


def mark(uow: UnitOfWork, id: UUID, event: Event) -> None:
    """Record what became of one: sent, delivered or failed, as its status allows. Where it failed,
    the same is told on the channel that stands in, if there is one."""
    known = uow.read(NotificationHistory, id)
    match event:
        case NotificationSent():
            require_legal(known.status, "mark-sent", LEGAL)
        case NotificationDelivered():
            require_legal(known.status, "mark-delivered", LEGAL)
        case NotificationFailed() | NotificationWithheld():
            require_legal(known.status, "mark-failed", LEGAL)
    with uow.dated(id):
        uow.append(NotificationHistory, id, [event])
    if isinstance(event, NotificationFailed) and (other := known.notice.otherwise):
        title, message = in_clear(uow, known)
        if title is not None:
            queue(uow, replace(known.notice, channel=other, otherwise=None), title, message)


def in_clear(uow: UnitOfWork, known: NotificationHistory) -> tuple[Any, Any]:
    """Title and message in the clear; None once the person was erased."""
    return uow.reveal(known.person, known.title), uow.reveal(known.person, known.message)
