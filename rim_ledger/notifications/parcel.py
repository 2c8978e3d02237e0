"""Messages in hand: their words and addresses in the clear, and the way that each takes."""

from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.book import Book
from rim_ledger.notifications.contact import GONE, address
from rim_ledger.notifications.notification import HandOver, NotificationHistory, in_clear
from rim_ledger.notifications.telling import is_over
from rim_ledger.sending import Channel, Heard, Lane, Providers

OVER: Final = "The alert was over before this could be sent."


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
    again: bool = False
    """Whether somebody who died had it in hand: the provider is asked about it first."""


class Outcome(Struct, frozen=True):
    """What became of a parcel."""

    id: UUID
    heard: Heard
    reason: str = ""


class Hand(Struct):
    """What a decision leaves with whoever asked for it."""

    providers: Providers
    parcels: list[Parcel] = []
    seen: tuple[int, int] = (0, 0)
    """How far the chunk was settled and taken."""

    def open(self) -> None:
        """Begin anew: a decision may be made more than once."""
        self.parcels = []

    def lane(self, known: NotificationHistory, book: Book) -> Lane:
        """The way of a message: the one it has taken already, if it has."""
        channel = Channel(known.notice.channel)
        if known.hand_over is HandOver.UNDER_WAY:
            return self.providers.former(channel, known.integration, book)
        return self.providers.lane(channel, book)


def parcel_of(
    book: Book, known: NotificationHistory, lane: Lane, *, again: bool | None = None
) -> Parcel:
    notice = known.notice
    title, message = in_clear(book, known)
    over = is_over(notice, book)
    under_way = known.hand_over is HandOver.UNDER_WAY
    return Parcel(
        id=known.id,
        channel=Channel(notice.channel),
        lane=lane,
        to=None if over else address(book, notice.recipient_type, notice.recipient, notice.channel),
        withheld=OVER if over else GONE,
        subject=title or "",
        body=message or "",
        html=notice.html,
        again=under_way if again is None else again,
    )
