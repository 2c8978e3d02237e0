"""Messages in hand: their words and addresses in the clear, and the way that each takes."""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.delivery.messages import Channel, Heard, Lane, Providers
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.notifications.alert_recipients import is_over
from rim_ledger.notifications.broadcast import BroadcastMessage
from rim_ledger.notifications.contact import GONE, Purpose, address
from rim_ledger.notifications.notification import Notice, NotificationHistory, in_clear

OVER: Final = "The alert was over before this could be sent."
CANCELLED: Final = "The broadcast was cancelled before this could be sent."
UNWANTED: Final = "The recipient opted out of marketing before this could be sent."


class Parcel(Struct, frozen=True, kw_only=True):
    """A message in hand, its words and its address in the clear. Without one it is withheld."""

    id: UUID
    channel: Channel
    lane: Lane
    to: str | None
    withheld: str
    """Why it is not sent, where there is no address."""
    subject: str
    body: str
    html: bool = False


class Doubt(Struct, frozen=True):
    """A message that somebody who died had in hand: the provider is asked about it."""

    id: UUID
    lane: Lane
    until: datetime
    """Until then it may still be on its way there."""


class Outcome(Struct, frozen=True):
    """What became of a message in hand."""

    id: UUID
    heard: Heard
    reason: str = ""


class Hand(Struct):
    """What a decision leaves with whoever asked for it."""

    providers: Providers
    parcels: list[Parcel] = []
    doubts: list[Doubt] = []
    seen: tuple[int, int] = (0, 0)
    """How far the chunk was settled and taken."""

    def open(self) -> None:
        """Begin anew: a decision may be made more than once."""
        self.parcels, self.doubts = [], []

    def lane(self, known: NotificationHistory, uow: UnitOfWork) -> Lane:
        """The way that a message takes now."""
        return self.providers.lane(Channel(known.notice.channel), uow)

    def doubt(self, known: NotificationHistory, uow: UnitOfWork) -> None:
        """Have a message asked about where it went."""
        lane = self.providers.former(Channel(known.notice.channel), known.integration, uow)
        taken = known.taken_at or known.created_at
        self.doubts.append(Doubt(known.id, lane, taken + lane.on_the_way))


def parcel_of(uow: UnitOfWork, known: NotificationHistory, lane: Lane) -> Parcel:
    """A message as it is handed over now, or is not."""
    notice = known.notice
    title, message = in_clear(uow, known)
    withheld = _withheld(notice, uow)
    if known.to is None:
        reached = address(uow, notice.recipient_type, notice.recipient, notice.channel)
    else:
        reached = uow.reveal(known.person, known.to)
    return Parcel(
        id=known.id,
        channel=Channel(notice.channel),
        lane=lane,
        to=None if withheld else reached,
        withheld=withheld or GONE,
        subject=title or "",
        body=message or "",
        html=notice.html,
    )


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
