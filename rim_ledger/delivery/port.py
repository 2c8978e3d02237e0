"""The port that every provider stands behind, and the one verdict on what was handed to it."""

import logging
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.engine.unit_of_work import UnitOfWork

log = logging.getLogger(__name__)

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


class Verdict(StrEnum):
    """What is known of what was handed over: delivered, failed, or not known (yet)."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It certainly did not arrive."""
    ABSENT = "absent"
    """The provider has not heard of the reference: failed, if it is no longer on its way."""
    ACCEPTED = "accepted"
    """The provider took it, and has not said what became of it."""
    UNKNOWN = "unknown"
    """No reply, a server error, or words that mean nothing: it may have gone, and is never sent
    again."""


class Outcome(Struct, frozen=True):
    """A verdict, with our reason of a failure or the provider's own reference."""

    verdict: Verdict
    reason: str = ""
    reference: str | None = None
    times: int = 1
    """How often the provider says so."""


UNKNOWN: Final = Outcome(Verdict.UNKNOWN)


class Provider(Protocol):
    """Delivers one kind of thing, such as an e-mail or airtime. Each call ends by itself: within
    half a minute from its turn, or three times as long where it tries three times."""

    name: str

    async def send(self, order: Any) -> Outcome:
        """Hand over what has a `reference` of its own, which is used once. Never raises for what
        the provider did or did not say."""

    async def query(self, reference: str) -> Outcome | None:
        """What became of a reference, as far as the provider tells; None without an answer. Sends
        nothing."""


class Lane(Struct, frozen=True, kw_only=True):
    """The way to a provider, as a decision finds it, and how many may go out in a second."""

    name: str
    provider: Provider | None
    rate: int = 1
    integration: UUID | None = None
    """The integration that the provider is, if it is one."""
    closed: Refused | Unavailable | None = None
    """Why nothing may be handed over now, if so. Questions may still be asked…"""
    given_up: bool = False
    """… but who does not answer them will not be asked again."""
    on_the_way: timedelta = timedelta(0)
    """For so long it may still reach a provider that has not heard of it."""

    @property
    def key(self) -> str:
        """What tells it from all others: the processes keep to its rate together."""
        return str(self.integration or self.name)

    @property
    def batch(self) -> int:
        """How many go out at once; those after them wait for their time."""
        return max(1, min(BATCH_MAX, self.rate // SHARE))

    async def send(self, order: Any) -> Outcome:
        """Hand something over, once, unless the lane is closed."""
        if self.closed or not self.provider:
            return Outcome(Verdict.FAILED, str(self.closed))
        try:
            return await self.provider.send(order)
        except Exception as error:
            log.warning("what was handed over may have gone or not: %s", type(error).__name__)
            return UNKNOWN

    async def query(self, reference: str, sent_at: datetime, now: datetime) -> Outcome | None:
        """What became of what was in hand at a time; None while an answer may come."""
        if not self.provider:
            return UNKNOWN
        outcome = await self.provider.query(reference)
        if outcome is None:
            return UNKNOWN if self.given_up else None
        late = outcome.verdict is Verdict.ABSENT and now < sent_at + self.on_the_way
        return None if late else outcome


class Lanes(Protocol):
    """The lanes to providers of messages, as a decision finds them."""

    def lane(self, channel: Channel, uow: UnitOfWork) -> Lane:
        """The lane of a channel now."""

    def former(self, channel: Channel, integration: UUID | None, uow: UnitOfWork) -> Lane:
        """The lane that a message took, whatever has become of it since."""
