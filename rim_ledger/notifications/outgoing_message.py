"""Messages being delivered: text and address in the clear, and the lane of each."""

from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.delivery.port import Channel, Lane, Lanes, Message, Outcome, Verdict
from rim_ledger.delivery.worker import Delivery
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.notifications.alert_recipients import episode_ended
from rim_ledger.notifications.broadcast import BroadcastMessage
from rim_ledger.notifications.contact import GONE, Purpose, address
from rim_ledger.notifications.due_notice import notice_over
from rim_ledger.notifications.notification import Notice, NotificationHistory, in_clear

OVER: Final = "The alert was over before this could be sent."
CANCELLED: Final = "The broadcast was cancelled before this could be sent."
UNWANTED: Final = "The recipient opted out of marketing before this could be sent."


class Intake(Struct):
    """What a decision returns to the delivery worker."""

    lanes: Lanes
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
    retry may be sent, except for unwanted marketing."""
    if notice.loan_id:
        return notice_over(uow, notice.loan_id, queued_at)
    if notice.broadcast_id is None:
        return OVER if episode_ended(notice, uow) else None
    broadcast = uow.read(BroadcastMessage, notice.broadcast_id)
    if broadcast.over and not notice.alone:
        return CANCELLED
    user = uow.read(User, notice.recipient)
    return UNWANTED if broadcast.purpose is Purpose.MARKETING and user.opted_out else None
