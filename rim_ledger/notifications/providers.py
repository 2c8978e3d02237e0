"""Who delivers messages: the integration that is active for a channel."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from rim_ledger.book import Book
from rim_ledger.core import Refused, Unavailable
from rim_ledger.notifications.mail import AT_ONCE, Mail
from rim_ledger.notifications.sms_gateway import SmsGateway
from rim_ledger.sending import Channel, Lane, Provider
from rim_ledger.system.breaker import Breaker
from rim_ledger.system.config import setting
from rim_ledger.system.integration import SERVES, ApiIntegration, IntegrationStatus
from rim_ledger.system.line import line_to
from rim_ledger.system.outside import Outside
from rim_ledger.world import World

RATES: Final[Mapping[Channel, str]] = {
    Channel.SMS: "smsPerSecond",
    Channel.EMAIL: "emailPerSecond",
}

ON_THE_WAY: Final = timedelta(minutes=2)
"""What delays a request may delay it so long; and a provider may have it before it says so."""


class Integrations:
    """The integrations of both channels; where none is active, `otherwise` delivers, if there is
    such a thing in this installation."""

    def __init__(
        self, outside: Outside, breaker: Breaker, world: World, otherwise: Provider | None
    ) -> None:
        self._outside, self._breaker, self._world = outside, breaker, world
        self.otherwise = otherwise
        self._conversations = defaultdict[UUID, asyncio.Semaphore](
            lambda: asyncio.Semaphore(AT_ONCE)
        )

    def lane(self, channel: Channel, book: Book) -> Lane:
        """The lane through the channel's integration, closed while that is in error."""
        return self.former(channel, book.holder(SERVES, channel), book)

    def former(self, channel: Channel, integration: UUID | None, book: Book) -> Lane:
        """The lane through an integration, closed unless that is active."""
        usual = setting(book, "notifications", RATES[channel])
        if integration is None:
            none = Refused("no-sender", f"No provider of {channel} messages is connected.")
            closed = None if self.otherwise else none
            return Lane(name=channel, rate=usual, provider=self.otherwise, closed=closed)
        known = book.read(ApiIntegration, integration)
        words = f"The provider of {channel} messages is out of use."
        active = known.status is IntegrationStatus.ACTIVE
        return Lane(
            name=str(integration),
            rate=known.per_second or usual,
            provider=self._provider(known, book),
            integration=integration,
            closed=None if active else Unavailable("sender-out-of-use", words),
            given_up=known.status is IntegrationStatus.INACTIVE,
            on_the_way=ON_THE_WAY,
        )

    def _provider(self, known: ApiIntegration, book: Book) -> Provider:
        line = line_to(book, known)
        if Channel(known.type) is Channel.EMAIL:
            own = self._conversations[known.id]
            return Mail(line, self._outside, self._breaker, self._world, own)
        return SmsGateway(line, self._outside, self._breaker, self._world)
