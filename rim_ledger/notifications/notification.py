"""A notification: one message to one person on one channel, and its outcome.

Log-in codes and tokens are no notifications: they are sent and forgotten, so that no row holds
them.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final, Self, assert_never
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.delivery.port import Lane
from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, FrozenMeta, Personal, Stamp
from rim_ledger.engine.command import Creation
from rim_ledger.engine.refusals import require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.system.integration import under_way as through
from rim_ledger.values import Id, derived_id


def waiting(channel: str) -> str:
    """Return the list of waiting messages."""
    return f"notifications-{channel}"


def in_flight(channel: str) -> str:
    """Return the list of messages being delivered, also by a process that died."""
    return f"notifications-{channel}-in-hand"


def place(channel: str, since: datetime, id: UUID, *, taken: bool) -> tuple[str, str]:
    """Return the list that a message is on, and its entry there."""
    kind = in_flight if taken else waiting
    return kind(channel), f"{since:%Y%m%dT%H%M%S.%f}/{id}"


class NotificationType(StrEnum):
    """What it is sent for."""

    ALERT = "alert"
    BROADCAST = "broadcast"
    SCHEDULED = "scheduled"


class NotificationChannel(StrEnum):
    """Its channel. The dashboard is the row itself."""

    EMAIL = "email"
    SMS = "sms"
    DASHBOARD = "dashboard"


class RecipientType(StrEnum):
    """Whom it is for."""

    USER = "user"
    ADMIN = "admin"


class NotificationStatus(StrEnum):
    """Its outcome, as far as is known."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    PENDING = "pending"


class HandOver(StrEnum):
    """Progress of its delivery to the provider."""

    WAITING = "waiting"
    UNDER_WAY = "under-way"
    DONE = "done"
    UNKNOWN = "unknown"
    """It may have been sent, and the provider does not tell: it is never sent again."""


LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    NotificationStatus.PENDING: ("mark-failed", "mark-sent"),
    NotificationStatus.SENT: ("mark-delivered", "mark-failed"),
    NotificationStatus.DELIVERED: (),
    NotificationStatus.FAILED: ("retry",),
}


class Notice(Struct, metaclass=FrozenMeta, omit_defaults=True, rename="camel"):
    """The type, channel, recipient and cause of a message."""

    type: NotificationType
    channel: NotificationChannel
    recipient: UUID
    recipient_type: RecipientType
    cause: UUID
    """The event or object that it follows from: it is sent once per cause."""
    broadcast_id: UUID | None = None
    parent_id: UUID | None = None
    """The failed notification that this one retries."""
    alert_id: UUID | None = None
    loan_id: UUID | None = None
    """The loan that it is about, for a due notice."""
    otherwise: NotificationChannel | None = None
    """The channel to use instead if this one certainly fails."""
    html: bool = False
    metadata: dict[str, Any] = {}

    @property
    def alone(self) -> bool:
        """Whether it is delivered singly, not with a chunk of a broadcast."""
        return self.broadcast_id is None or self.parent_id is not None


class NotificationQueued(Event):
    """`taken`: delivery is in progress, perhaps through an integration; `to`: a former address."""

    notice: Notice
    title: Personal
    message: Personal
    to: Personal = None
    taken: bool = False
    integration: UUID | None = None


class NotificationTaken(Event):
    """Its delivery is in progress. If nothing follows, the outcome is unknown."""

    integration: UUID | None = None


class NotificationSent(Event):
    """The provider accepted it."""


class NotificationDelivered(Event):
    pass


class NotificationFailed(Event):
    """It certainly did not arrive. The reason is ours: a provider's text may name a person."""

    reason: str


class NotificationWithheld(Event):
    """It was not sent: its recipient or its cause is gone."""

    reason: str


class NotificationOutcomeUnknown(Event):
    """It may have been sent or not, and the provider does not tell."""


class NotificationContradicted(Event):
    """The provider reported the opposite of the known outcome. The status stays."""

    status: NotificationStatus


class NotificationRetried(Event):
    """Another notification retries it."""

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


class NotificationHistory(Aggregate):
    notice: Notice
    title: str | None
    message: str | None
    created_at: datetime
    hand_over: HandOver
    to: str | None = None
    integration: UUID | None = None
    """The integration through which it was sent: only that one can tell its outcome."""
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
    """Return the stream id of a notice, derived from cause, recipient and channel, so that it is
    sent once."""
    if notice.parent_id:
        return repeat_id(notice.parent_id)
    return derived_id("notification", notice.cause, notice.recipient, notice.channel)


def repeat_id(parent: UUID) -> UUID:
    """Return the stream id of a retry."""
    return derived_id("notification-again", parent)


def queue(
    uow: UnitOfWork, notice: Notice, title: str, message: str, lane: Lane | None = None
) -> UUID:
    """Queue a notification, once per cause; return its id. With a lane, the caller delivers it
    there."""
    stream = notification_id(notice)
    if not uow.version(stream):
        uow.open_stream(NotificationHistory, stream, queued(notice, title, message, lane))
    return stream


def queued(notice: Notice, title: str, message: str, lane: Lane | None = None) -> Iterable[Event]:
    """Yield the first events. A notification of the dashboard is delivered at once."""
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
    """Record the outcome of a notification: sent, delivered or failed, as its status allows. After
    a failure it is queued on the alternative channel, if there is one."""
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
    """Return title and message in the clear; None once the person was erased."""
    return uow.reveal(known.person, known.title), uow.reveal(known.person, known.message)


class RetryNotification(Creation[NotificationHistory]):
    """Send a failed notification once more, as a new one that names the failed one. Each is retried
    once; if the retry fails too, retry that one."""

    parent: Id

    @property
    def stream(self) -> UUID:
        return repeat_id(self.parent)

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        failed = uow.read(NotificationHistory, self.parent)
        require_legal(failed.status, "retry", LEGAL)
        arrived = failed.provider_claim is NotificationStatus.DELIVERED
        words = "The provider has said since that it arrived: nothing is sent again."
        require(not arrived, "delivered-since", words)
        words = "It was sent once more already, as retriedAs tells; should that fail, repeat that."
        require(failed.retried_as is None, "already-done", words)
        title, message = in_clear(uow, failed)
        require(title is not None, "erased", "This person was erased; nothing is sent to them.")
        uow.append(NotificationHistory, failed.id, [NotificationRetried(child=id)])
        notice = replace(failed.notice, parent_id=failed.id, cause=failed.id, otherwise=None)
        first, *rest = queued(notice, title, message)
        return [replace(first, to=uow.reveal(failed.person, failed.to)), *rest]


CHANNELS: Final = (NotificationChannel.EMAIL, NotificationChannel.DASHBOARD)


def alert_admins(
    uow: UnitOfWork,
    to: Iterable[UUID],
    title: str,
    message: str,
    cause: UUID | None = None,
    *,
    by: str | None = None,
) -> None:
    """Queue a message to each of these admins by e-mail and dashboard, once per `cause` if one is
    given. It names who acts: the caller or, outside the ledger, `by`. Actions of the system alert
    no one."""
    if uow.stamp.admin is None and by is None:
        return
    admins = sorted(to)
    uow.look_ahead(partial(uow.reveal, each, None) for each in admins)  # Loads their keys.
    notices = [
        Notice(
            type=NotificationType.ALERT,
            channel=channel,
            recipient=admin,
            recipient_type=RecipientType.ADMIN,
            cause=cause or uow.new_id(),
        )
        for admin in admins
        for channel in CHANNELS
    ]
    words = f"{by or uow.stamp.actor.name} {message}"
    if cause is None:
        for notice in notices:  # The id is new, so no stream is looked up.
            uow.open_stream(NotificationHistory, uow.new_id(), queued(notice, title, words))
        return
    uow.look_ahead(partial(uow.version, notification_id(each)) for each in notices)
    for notice in notices:
        queue(uow, notice, title, words)
