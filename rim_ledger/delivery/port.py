"""The port of all providers, and the verdict on each delivery."""

import logging
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Protocol
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.refusals import Refused, Unavailable

log = logging.getLogger(__name__)

BATCH_MAX: Final = 100
"""Messages in progress at once: so many may be in doubt after a crash."""
SHARE: Final = 4
"""A batch is at most what the rate allows in this fraction of a second."""


class Channel(StrEnum):
    """The channel of a message."""

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
    """What is known of a delivery."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It certainly did not arrive."""
    ABSENT = "absent"
    """The provider does not know the reference: failed, unless the request is still on its way."""
    ACCEPTED = "accepted"
    """The provider accepted it, and has not reported its outcome."""
    UNKNOWN = "unknown"
    """No reply, a server error, or an unknown answer: it may have been sent, and is never sent
    again."""


class Outcome(Struct, frozen=True):
    """A verdict, with our reason of a failure or the provider's own reference."""

    verdict: Verdict
    reason: str = ""
    reference: str | None = None
    times: int = 1
    """How often the provider says it delivered."""


UNKNOWN: Final = Outcome(Verdict.UNKNOWN)


class Provider(Protocol):
    """Delivers one kind of order, such as an e-mail or airtime. Each call ends by itself within
    half a minute, or three times as long with three attempts."""

    name: str

    async def send(self, order: Any) -> Outcome:
        """Send an order under its `reference`, which is used once. Never raises for the provider's
        answer or silence."""

    async def query(self, reference: str) -> Outcome | None:
        """Return the outcome of a reference, as far as the provider tells; None without an answer.
        Sends nothing."""


class Lane(Struct, frozen=True, kw_only=True):
    """The route to a provider as of a decision, and its rate per second."""

    name: str
    provider: Provider | None
    rate: int = 1
    integration: UUID | None = None
    """The integration of the provider, if it has one."""
    closed: Refused | Unavailable | None = None
    """Why nothing may be sent now, if so. Queries are still allowed…"""
    given_up: bool = False
    """… but if they stay unanswered, they are not repeated."""
    on_the_way: timedelta = timedelta(0)
    """How long a request may still be on its way to a provider that does not know it."""

    @property
    def key(self) -> str:
        """Identifies the lane: all processes share its rate."""
        return str(self.integration or self.name)

    @property
    def batch(self) -> int:
        """How many orders are sent at once."""
        return max(1, min(BATCH_MAX, self.rate // SHARE))

    async def send(self, order: Any) -> Outcome:
        """Send an order once, unless the lane is closed."""
        if self.closed or not self.provider:
            return Outcome(Verdict.FAILED, str(self.closed))
        try:
            return await self.provider.send(order)
        except Exception as error:
            log.warning("what was handed over may have gone or not: %s", type(error).__name__)
            return UNKNOWN

    async def query(self, reference: str, sent_at: datetime, now: datetime) -> Outcome | None:
        """Return the outcome of what was sent at a time; None while an answer may come."""
        if not self.provider:
            return UNKNOWN
        outcome = await self.provider.query(reference)
        if outcome is None:
            return UNKNOWN if self.given_up else None
        late = outcome.verdict is Verdict.ABSENT and now < sent_at + self.on_the_way
        return None if late else outcome
