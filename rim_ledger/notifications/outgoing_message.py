"""Messages in hand: their words and addresses in the clear, and the way that each takes."""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.delivery.port import Channel, Lane, Lanes, Message, Outcome, Verdict
from rim_ledger.delivery.worker import InHand
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.notifications.alert_recipients import is_over
from rim_ledger.notifications.broadcast import BroadcastMessage
from rim_ledger.notifications.contact import GONE, Purpose, address
from rim_ledger.notifications.notification import Notice, NotificationHistory, in_clear

OVER: Final = "The alert was over before this could be sent."
CANCELLED: Final = "The broadcast was cancelled before this could be sent."
UNWANTED: Final = "The recipient opted out of marketing before this could be sent."


class Hand(Struct):
    """What a decision leaves with whoever asked for it."""

    lanes: Lanes
    parcels: list[InHand] = []
    """To be handed over, or withheld."""
    doubts: list[InHand] = []
    """Somebody who died had them in hand: the provider is asked about them."""
    seen: tuple[int, int] = (0, 0)
    """How far the chunk was settled and taken."""

    def open(self) -> None:
        """Begin anew: a decision may be made more than once."""
        self.parcels, self.doubts = [], []

    def lane(self, known: NotificationHistory, uow: UnitOfWork) -> Lane:
        """The way that a message takes now."""
        return self.lanes.lane(Channel(known.notice.channel), uow)

    def doubt(self, known: NotificationHistory, uow: UnitOfWork) -> None:
        """Have a message asked about where it went."""
        lane = self.lanes.former(Channel(known.notice.channel), known.integration, uow)
        self.doubts.append(_in_hand(known, lane))


def parcel_of(uow: UnitOfWork, known: NotificationHistory, lane: Lane) -> InHand:
    """A message as it is handed over now, or is withheld."""
    notice, parcel = known.notice, _in_hand(known, lane)
    title, message = in_clear(uow, known)
    withheld = _withheld(notice, uow)
    if known.to is None:
        reached = address(uow, notice.recipient_type, notice.recipient, notice.channel)
    else:
        reached = uow.reveal(known.person, known.to)
    if withheld or reached is None:
        return replace(parcel, withheld=Outcome(Verdict.ABSENT, withheld or GONE))
    channel = Channel(notice.channel)
    order = Message(
        channel=channel,
        to=reached,
        subject=(title or "") if channel is Channel.EMAIL else None,
        body=message or "",
        reference=parcel.reference,
        html=notice.html,
    )
    return replace(parcel, order=order)


def _in_hand(known: NotificationHistory, lane: Lane) -> InHand:
    taken_at = known.taken_at or known.created_at
    return InHand(id=known.id, reference=str(known.id), lane=lane, taken_at=taken_at)


def _withheld(notice: Notice, uow: UnitOfWork) -> str | None:
    """Why a message may not be sent any more, whoever it is for. What a person repeats may, but
    for marketing that is not wanted."""
    if notice.broadcast_id is None:
        return OVER if is_over(notice, uow) else None
    broadcast = uow.read(BroadcastMessage, notice.broadcast_id)
    if broadcast.over and not notice.alone:
        return CANCELLED
    user = uow.read(User, notice.recipient)
    return UNWANTED if broadcast.purpose is Purpose.MARKETING and user.opted_out else None
