"""Messages to people: the port that every provider of SMS and e-mail stands behind."""

from datetime import timedelta
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.engine.unit_of_work import UnitOfWork

BATCH_MAX: Final = 100
"""Messages that are in hand at once: so many may be in doubt when a process dies."""
SHARE: Final = 4
"""A batch is no more than what may go out in such a part of a second."""


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
    """It did not come there, and will not if it is no longer on its way."""
    UNKNOWN = "unknown"
    """The provider does not tell."""


class Unclear(Unavailable):
    """A message was being handed over when the provider fell silent: it may have gone."""

    def __init__(self) -> None:
        super().__init__("not-sent", "Nobody knows whether the message went.")


class Provider(Protocol):
    """Delivers messages of one channel. Ends by itself, within half a minute from its turn, or
    three times as long where it tries three times."""

    async def send(self, message: Message) -> None:
        """Hand one message over.

        Raises Unavailable (`not-sent`) when it certainly did not go, and Unclear when nobody knows.
        """

    async def ask(self, reference: str) -> Heard:
        """What became of a message, as far as the provider tells. Sends nothing; Unavailable
        without an answer."""


class Lane(Struct, frozen=True, kw_only=True):
    """The way that messages of a channel take: through whom, and how many in a second."""

    name: str
    """All processes keep to the rate together, under this name."""
    rate: int
    provider: Provider | None
    integration: UUID | None = None
    """The integration that the provider is, if it is one."""
    closed: Refused | Unavailable | None = None
    """Why nothing may be handed over now, if so. Questions may still be asked…"""
    given_up: bool = False
    """… but who does not answer them will not be asked again."""
    on_the_way: timedelta = timedelta(0)
    """For so long a message may still reach a provider that has not heard of it."""

    @property
    def batch(self) -> int:
        """How many go out at once; those after them wait for their time."""
        return max(1, min(BATCH_MAX, self.rate // SHARE))


class Providers(Protocol):
    """Who delivers messages, as a decision finds it."""

    def lane(self, channel: Channel, uow: UnitOfWork) -> Lane:
        """The lane of a channel now."""

    def former(self, channel: Channel, integration: UUID | None, uow: UnitOfWork) -> Lane:
        """The lane that a message took, whatever has become of it since."""


class Sender(Protocol):
    """Sends messages one by one, to people who wait for them."""

    def require(self, channel: Channel, uow: UnitOfWork) -> None:
        """Refuse (`no-sender`) where messages of this kind cannot go out at all, so that nothing
        is decided that only a message would complete."""

    async def send(self, message: Message) -> None:
        """Hand one message over.

        Raises Refused (`no-sender`), Unavailable (`not-sent`) when it certainly did not go, and
        Unclear when nobody knows.
        """
