"""Messages to people: the port that every provider of SMS and e-mail stands behind."""

from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from rim_ledger.core import Unavailable


class Channel(StrEnum):
    """The way a message takes."""

    SMS = "sms"
    EMAIL = "email"


class Message(Struct, frozen=True):
    """One message to one person, under a reference of its own; an SMS has no subject."""

    channel: Channel
    to: str
    subject: str | None
    body: str
    reference: str
    html: bool = False


class Heard(StrEnum):
    """What a provider knows of a reference."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    NEVER = "never"
    """It never came there, and it will not."""
    UNKNOWN = "unknown"
    """The provider does not tell."""


class Unclear(Unavailable):
    """A message was being handed over when the provider fell silent: it may have gone."""

    def __init__(self) -> None:
        super().__init__("not-sent", "Nobody knows whether the message went.")


class Sender(Protocol):
    """Hands messages over to whoever delivers them."""

    def require(self, channel: Channel) -> None:
        """Refuse (`no-sender`) where messages of this kind cannot go out at all, so that nothing
        is decided that only a message would complete."""

    async def send(self, message: Message) -> None:
        """Hand one message over.

        Raises Refused (`no-sender`), Unavailable (`not-sent`) when it certainly did not go, and
        Unclear when nobody knows.
        """

    async def ask(self, channel: Channel, reference: str) -> Heard:
        """What became of a message, as far as the provider tells. Sends nothing; may raise."""
