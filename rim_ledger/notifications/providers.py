"""Who delivers messages: the integration that is active for a channel."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import Final
from uuid import UUID

from rim_ledger.delivery.messages import Channel, Lane, Provider
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.mail import AT_ONCE, Mail
from rim_ledger.notifications.sms_gateway import SmsGateway
from rim_ledger.system.breaker import Breaker
from rim_ledger.system.config import setting
from rim_ledger.system.egress import Outside
from rim_ledger.system.endpoint import line_to
from rim_ledger.system.integration import SERVES, ApiIntegration, IntegrationStatus

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
        self,
        outside: Outside,
        breaker: Breaker,
        environment: Environment,
        otherwise: Provider | None,
    ) -> None:
        self._outside, self._breaker, self._world = outside, breaker, environment
        self.otherwise = otherwise
        self._conversations = defaultdict[UUID, asyncio.Semaphore](
            lambda: asyncio.Semaphore(AT_ONCE)
        )

    def lane(self, channel: Channel, uow: UnitOfWork) -> Lane:
        """The lane through the channel's integration, closed while that is in error."""
        return self.former(channel, uow.holder(SERVES, channel), uow)

    def former(self, channel: Channel, integration: UUID | None, uow: UnitOfWork) -> Lane:
        """The lane through an integration, closed unless that is active."""
        usual = setting(uow, "notifications", RATES[channel])
        if integration is None:
            none = Refused("no-sender", f"No provider of {channel} messages is connected.")
            closed = None if self.otherwise else none
            return Lane(name=channel, rate=usual, provider=self.otherwise, closed=closed)
        known = uow.read(ApiIntegration, integration)
        words = f"The provider of {channel} messages is out of use."
        active = known.status is IntegrationStatus.ACTIVE
        return Lane(
            name=str(integration),
            rate=known.per_second or usual,
            provider=self._provider(known, uow),
            integration=integration,
            closed=None if active else Unavailable("sender-out-of-use", words),
            given_up=known.status is IntegrationStatus.INACTIVE,
            on_the_way=ON_THE_WAY,
        )

    def _provider(self, known: ApiIntegration, uow: UnitOfWork) -> Provider:
        line = line_to(uow, known)
        if Channel(known.type) is Channel.EMAIL:
            own = self._conversations[known.id]
            return Mail(line, self._outside, self._breaker, self._world, own)
        return SmsGateway(line, self._outside, self._breaker, self._world)
