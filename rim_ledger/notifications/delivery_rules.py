"""Decisions around the delivery of messages: which are taken, in what form, with what outcome.

A message is marked as taken before its provider is called. So after a crash it is known which
messages are in doubt.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.delivery.kill_switch import is_open
from rim_ledger.delivery.port import Channel, Lane, Message, Outcome, Verdict
from rim_ledger.delivery.providers import Providers
from rim_ledger.delivery.worker import Delivery
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.lending.user import User
from rim_ledger.notifications.alert import SystemAlert
from rim_ledger.notifications.broadcast import (
    BroadcastChunk,
    BroadcastFailed,
    BroadcastMessage,
    BroadcastPaused,
    BroadcastProgressed,
    BroadcastSent,
    ChunkAdvanced,
    Phase,
)
from rim_ledger.notifications.contact import GONE, Purpose, address, wants
from rim_ledger.notifications.due_notice import notice_over
from rim_ledger.notifications.notification import (
    HandOver,
    Notice,
    NotificationDelivered,
    NotificationFailed,
    NotificationHistory,
    NotificationOutcomeUnknown,
    NotificationSent,
    NotificationStatus,
    NotificationTaken,
    NotificationType,
    NotificationWithheld,
    RecipientType,
    in_clear,
    mark,
    notification_id,
    queue,
)
from rim_ledger.notifications.sms_text import on_one_line
from rim_ledger.notifications.template_text import substitute

OVER: Final = "The alert was over before this could be sent."
CANCELLED: Final = "The broadcast was cancelled before this could be sent."
UNWANTED: Final = "The recipient opted out of marketing before this could be sent."


class Intake(Struct):
    """What a decision returns to the delivery worker."""

    lanes: Providers
    deliveries: list[Delivery] = []
    """To be sent, or withheld."""
    doubts: list[Delivery] = []
    """Taken by a process that died: the provider is queried about them."""
    seen: tuple[int, int] = (0, 0)
    """The chunk's `settled` and `taken`."""

    def open(self) -> None:
        """Reset, since a decision may run more than once."""
        self.deliveries, self.doubts = [], []

    def lane(self, known: NotificationHistory, uow: UnitOfWork) -> Lane:
        """Return the present lane of a message."""
        return self.lanes.lane(Channel(known.notice.channel), uow)

    def doubt(self, known: NotificationHistory, uow: UnitOfWork) -> None:
        """Add a message to the doubts, with the lane through which it was sent."""
        lane = self.lanes.former(Channel(known.notice.channel), known.integration, uow)
        self.doubts.append(_delivery(known, lane))


def delivery_of(uow: UnitOfWork, known: NotificationHistory, lane: Lane) -> Delivery:
    """Return a message as it is to be sent now, or withheld."""
    notice, delivery = known.notice, _delivery(known, lane)
    title, message = in_clear(uow, known)
    withheld = _withheld(notice, known.created_at, uow)
    if known.to is None:
        reached = address(uow, notice.recipient_type, notice.recipient, notice.channel)
    else:
        reached = uow.reveal(known.person, known.to)
    if withheld or reached is None:
        return replace(delivery, withheld=Outcome(Verdict.ABSENT, withheld or GONE))
    channel = Channel(notice.channel)
    order = Message(
        channel=channel,
        to=reached,
        subject=(title or "") if channel is Channel.EMAIL else None,
        body=message or "",
        reference=delivery.reference,
        html=notice.html,
    )
    return replace(delivery, order=order)


def _delivery(known: NotificationHistory, lane: Lane) -> Delivery:
    taken_at = known.taken_at or known.created_at
    return Delivery(id=known.id, reference=str(known.id), lane=lane, taken_at=taken_at)


def _withheld(notice: Notice, queued_at: datetime, uow: UnitOfWork) -> str | None:
    """Return why a message may not be sent any more, whatever its recipient; None if it may. A
    retry may be sent, except for unwanted marketing and due notices."""
    if notice.loan_id:
        return notice_over(uow, notice.loan_id, queued_at)
    if notice.broadcast_id is None:
        if notice.alert_id is None or notice.parent_id:
            return None
        return None if uow.read(SystemAlert, notice.alert_id).lasts(notice.cause) else OVER
    broadcast = uow.read(BroadcastMessage, notice.broadcast_id)
    if broadcast.over and not notice.alone:
        return CANCELLED
    user = uow.read(User, notice.recipient)
    return UNWANTED if broadcast.purpose is Purpose.MARKETING and user.opted_out else None


TRIED_MIN, FAILED_MAX = 20, 0.05
"""Outcomes needed before failures pause a broadcast, and the share that may fail."""

NO_MESSAGE: Final = "No message was accepted."


@decision
def take_waiting(uow: UnitOfWork, ids: Sequence[UUID], intake: Intake) -> None:
    """Take a batch of a channel's waiting messages, and collect those that a dead process had
    taken. The caller holds the channel's lock."""
    intake.open()
    if not is_open(uow):
        return
    found = _found(uow, ids)
    for each in found:
        if each.hand_over is HandOver.UNDER_WAY:
            intake.doubt(each, uow)
    if fresh := [each for each in found if each.hand_over is HandOver.WAITING]:
        lane = intake.lane(fresh[0], uow)
        uow.look_ahead(partial(delivery_of, uow, each, lane) for each in fresh[: lane.batch])
        for each in fresh[: lane.batch]:
            _take_one(uow, delivery_of(uow, each, lane), intake)


@decision
def retake(uow: UnitOfWork, ids: Sequence[UUID], intake: Intake) -> None:
    """Take messages again that certainly never reached the provider, if they may still be sent.
    Those of a broadcast that is held stay taken, so none is lost."""
    intake.open()
    found = _found(uow, ids)
    uow.look_ahead(partial(delivery_of, uow, each, intake.lane(each, uow)) for each in found)
    for each in found:
        lane = intake.lane(each, uow)
        delivery = delivery_of(uow, each, lane)
        if each.hand_over is not HandOver.UNDER_WAY:
            continue  # Another process has recorded the outcome.
        if delivery.withheld:
            intake.deliveries.append(delivery)
        elif not _must_wait(uow, each, lane):
            _take_one(uow, delivery, intake)


def _found(uow: UnitOfWork, ids: Sequence[UUID]) -> list[NotificationHistory]:
    uow.look_ahead(partial(uow.version, each) for each in ids)
    return [uow.read(NotificationHistory, each) for each in ids]


def _take_one(uow: UnitOfWork, delivery: Delivery, intake: Intake) -> None:
    taken = NotificationTaken(integration=delivery.lane.integration)
    uow.append(NotificationHistory, delivery.id, [taken])
    intake.deliveries.append(delivery)


def _must_wait(uow: UnitOfWork, known: NotificationHistory, lane: Lane) -> bool:
    """Return whether a taken message is not to be sent now, but perhaps later."""
    if known.notice.alone or known.notice.broadcast_id is None:
        return not is_open(uow)
    return _is_held(uow.read(BroadcastMessage, known.notice.broadcast_id), [lane], uow)


def _is_held(broadcast: BroadcastMessage, lanes: Iterable[Lane], uow: UnitOfWork) -> bool:
    """Return whether sending is held: paused, at night, or because a provider is out of use."""
    waits = broadcast.phase is not Phase.SENDING or broadcast.waits(uow.now)
    return waits or any(lane.closed for lane in lanes) or not is_open(uow)


@decision
def settle(uow: UnitOfWork, outcomes: Mapping[UUID, Outcome]) -> None:
    """Record outcomes of single messages."""
    for id_, outcome in outcomes.items():
        change = record(uow, _events({id_: outcome}, uow))
        broadcast = uow.read(NotificationHistory, id_).notice.broadcast_id
        if broadcast and change:
            progress(uow, broadcast, change)


@decision
def check_chunk(uow: UnitOfWork, id: UUID, intake: Intake) -> None:
    """Read a chunk's progress, and collect what a dead process had taken."""
    intake.open()
    chunk = uow.read(BroadcastChunk, id)
    intake.seen = chunk.settled, chunk.taken
    broadcast = uow.read(BroadcastMessage, chunk.broadcast_id)
    users = chunk.user_ids[chunk.settled : chunk.taken]
    streams = [notification_id(notice) for notice in _notices(broadcast, users)]
    uow.look_ahead(partial(uow.version, each) for each in streams)
    for each in streams:
        known = uow.find(NotificationHistory, each)
        if known and known.hand_over is HandOver.UNDER_WAY:
            intake.doubt(known, uow)


@decision
def advance(
    uow: UnitOfWork,
    id: UUID,
    outcomes: Mapping[UUID, Outcome],
    intake: Intake,
    seen: tuple[int, int],
) -> None:
    """Record the outcomes of the current batch and take the next, unless the broadcast is held. If
    another worker went on with the chunk since it was `seen`, only the outcomes count."""
    intake.open()
    chunk = uow.read(BroadcastChunk, id)
    uow.act_upon(chunk.broadcast_id)
    uow.look_ahead(partial(uow.version, each) for each in outcomes)
    change = record(uow, _events(outcomes, uow))
    own = (chunk.settled, chunk.taken) == seen
    over = uow.read(BroadcastMessage, chunk.broadcast_id).over
    settled = len(chunk.user_ids) if over else chunk.taken
    done = own and chunk.settled < settled == len(chunk.user_ids)
    if change or done:
        change = change or BroadcastProgressed()
        progress(uow, chunk.broadcast_id, change, done=done)
    if not own:
        intake.seen = chunk.settled, chunk.settled
        return
    taken = _take(uow, chunk, settled, intake)
    intake.seen = settled, taken
    if intake.seen != seen:
        uow.append(BroadcastChunk, id, [ChunkAdvanced(settled=settled, taken=taken)])


def _take(uow: UnitOfWork, chunk: BroadcastChunk, settled: int, intake: Intake) -> int:
    """Queue the messages of the next batch as taken; return how many users of the chunk are taken
    then. While a provider is out of use, the broadcast is held, so no user is skipped."""
    broadcast = uow.read(BroadcastMessage, chunk.broadcast_id)
    lanes = {each: intake.lanes.lane(Channel(each), uow) for each in broadcast.channels}
    if _is_held(broadcast, lanes.values(), uow):
        return settled
    size = min(lane.batch for lane in lanes.values())
    batch = chunk.user_ids[settled : settled + size]
    _preload(uow, broadcast, batch)
    welcome = [each for each in batch if wants(uow.read(User, each), broadcast.purpose)]
    for notice in _notices(broadcast, welcome):
        if not uow.version(notification_id(notice)):
            lane = lanes[notice.channel]
            name = uow.reveal(notice.recipient, uow.read(User, notice.recipient).name) or ""
            own = {"name": on_one_line(name)}
            title, message = substitute(broadcast.title, own), substitute(broadcast.message, own)
            stream = queue(uow, notice, title, message, lane)
            known = uow.read(NotificationHistory, stream)
            intake.deliveries.append(delivery_of(uow, known, lane))
    if excluded := len(batch) - len(welcome):
        progressed = BroadcastProgressed(excluded=excluded)
        uow.append(BroadcastMessage, broadcast.id, [progressed])
    return settled + len(batch)


def progress(uow: UnitOfWork, id: UUID, change: BroadcastProgressed, *, done: bool = False) -> None:
    """Count outcomes of a broadcast's messages; finish or pause the broadcast if due."""
    uow.append(BroadcastMessage, id, [replace(change, chunks=int(done))])
    broadcast = uow.read(BroadcastMessage, id)
    if done and not broadcast.chunks and broadcast.phase in (Phase.SENDING, Phase.PAUSED):
        end = BroadcastSent() if broadcast.sent_count else BroadcastFailed(reason=NO_MESSAGE)
        uow.append(BroadcastMessage, id, [end])
    elif broadcast.phase is Phase.SENDING and _fails_too_often(broadcast):
        uow.append(BroadcastMessage, id, [BroadcastPaused(too_many_failed=True)])


def _fails_too_often(broadcast: BroadcastMessage) -> bool:
    gone, failed = broadcast.forgiven
    tried = broadcast.sent_count + broadcast.failed_count - gone
    return tried >= TRIED_MIN and broadcast.failed_count - failed > FAILED_MAX * tried


def record(uow: UnitOfWork, events: Mapping[UUID, Iterable[Event]]) -> BroadcastProgressed | None:
    """Record outcomes of a broadcast's messages; return the change of its counts, if any."""
    before = _tally(uow, events)
    for id_, those in events.items():
        for event in those:
            mark(uow, id_, event)
    changes = (now - then for now, then in zip(_tally(uow, events), before, strict=True))
    sent, failed, unknown = changes
    changed = BroadcastProgressed(sent=sent, failed=failed, unknown=unknown)
    return None if changed == BroadcastProgressed() else changed


def _tally(uow: UnitOfWork, ids: Iterable[UUID]) -> tuple[int, int, int]:
    """Return how many of these messages were accepted, have failed, or are unknown."""
    sent = failed = unknown = 0
    for each in ids:
        known = uow.read(NotificationHistory, each)
        sent += known.status in (NotificationStatus.SENT, NotificationStatus.DELIVERED)
        failed += known.status is NotificationStatus.FAILED
        pending = known.status is NotificationStatus.PENDING
        unknown += pending and known.hand_over is HandOver.UNKNOWN
    return sent, failed, unknown


def _events(outcomes: Mapping[UUID, Outcome], uow: UnitOfWork) -> dict[UUID, list[Event]]:
    """Return the events that record outcomes. A known outcome stays."""
    found = {}
    for id_, outcome in outcomes.items():
        known = uow.read(NotificationHistory, id_)
        pending = known.status is NotificationStatus.PENDING
        found[id_] = [*_recorded(outcome, known)] if pending else []
    return found


def _recorded(outcome: Outcome, known: NotificationHistory) -> Iterable[Event]:
    match outcome.verdict:
        case Verdict.ACCEPTED:
            yield NotificationSent()
        case Verdict.DELIVERED:
            yield NotificationSent()
            yield NotificationDelivered()
        case Verdict.FAILED:
            yield NotificationFailed(reason=outcome.reason)
        case Verdict.ABSENT:
            yield NotificationWithheld(reason=outcome.reason)
        case _:
            if known.hand_over is HandOver.UNDER_WAY:
                yield NotificationOutcomeUnknown()


def _notices(broadcast: BroadcastMessage, users: Iterable[UUID]) -> list[Notice]:
    return [
        Notice(
            type=NotificationType.BROADCAST,
            channel=channel,
            recipient=user,
            recipient_type=RecipientType.USER,
            cause=broadcast.id,
            broadcast_id=broadcast.id,
        )
        for user in users
        for channel in broadcast.channels
    ]


def _preload(uow: UnitOfWork, broadcast: BroadcastMessage, users: Sequence[UUID]) -> None:
    """Preload all that a batch reads."""
    streams = [notification_id(notice) for notice in _notices(broadcast, users)]
    uow.look_ahead(partial(uow.version, each) for each in [*users, *streams])
    phones = [(each, uow.read(User, each).phone) for each in users]
    uow.look_ahead(partial(uow.reveal, user, phone) for user, phone in phones)
