"""Messages in hand: their words and addresses in the clear, and the way that each takes."""

from datetime import datetime
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.book import Book
from rim_ledger.delivery.port import Channel, Lane, Lanes
from rim_ledger.lending.user import User
from rim_ledger.notifications.broadcast import BroadcastMessage
from rim_ledger.notifications.contact import GONE, Purpose, address
from rim_ledger.notifications.notification import Notice, NotificationHistory, in_clear
from rim_ledger.notifications.telling import is_over

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
    taken_at: datetime


class Hand(Struct):
    """What a decision leaves with whoever asked for it."""

    lanes: Lanes
    parcels: list[Parcel] = []
    doubts: list[Doubt] = []
    seen: tuple[int, int] = (0, 0)
    """How far the chunk was settled and taken."""

    def open(self) -> None:
        """Begin anew: a decision may be made more than once."""
        self.parcels, self.doubts = [], []

    def lane(self, known: NotificationHistory, book: Book) -> Lane:
        """The way that a message takes now."""
        return self.lanes.lane(Channel(known.notice.channel), book)

    def doubt(self, known: NotificationHistory, book: Book) -> None:
        """Have a message asked about where it went."""
        lane = self.lanes.former(Channel(known.notice.channel), known.integration, book)
        self.doubts.append(Doubt(known.id, lane, known.taken_at or known.created_at))


def parcel_of(book: Book, known: NotificationHistory, lane: Lane) -> Parcel:
    """A message as it is handed over now, or is not."""
    notice = known.notice
    title, message = in_clear(book, known)
    withheld = _withheld(notice, book)
    if known.to is None:
        reached = address(book, notice.recipient_type, notice.recipient, notice.channel)
    else:
        reached = book.reveal(known.person, known.to)
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


def _withheld(notice: Notice, book: Book) -> str | None:
    """Why a message may not be sent any more, whoever it is for. What a person repeats may, but
    for marketing that is not wanted."""
    if notice.broadcast_id is None:
        return OVER if is_over(notice, book) else None
    broadcast = book.read(BroadcastMessage, notice.broadcast_id)
    if broadcast.over and not notice.alone:
        return CANCELLED
    user = book.read(User, notice.recipient)
    return UNWANTED if broadcast.purpose is Purpose.MARKETING and user.opted_out else None
