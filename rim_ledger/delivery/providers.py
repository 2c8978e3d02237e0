"""The provider of each channel or network, its test, and messages that a caller waits for."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Final
from uuid import UUID

from aiosmtplib import SMTPException

from rim_ledger.delivery.breaker import Breaker
from rim_ledger.delivery.egress import CALL_TIMEOUT_SECONDS, Egress, NoAnswer, Unreachable
from rim_ledger.delivery.endpoint import Endpoint, endpoint_of
from rim_ledger.delivery.http import HttpTelco, SmsGateway
from rim_ledger.delivery.kill_switch import require_open
from rim_ledger.delivery.port import Channel, Lane, Message, Provider, Verdict
from rim_ledger.delivery.smtp import AT_ONCE, SmtpServer, conversation
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.system.config import setting
from rim_ledger.system.integration import (
    SERVES,
    ApiIntegration,
    IntegrationStatus,
    IntegrationTested,
    IntegrationType,
    TestResult,
)

OK: Final = range(200, 300)
REDIRECTS: Final = range(300, 400)


async def probe(egress: Egress, endpoint: Endpoint) -> IntegrationTested:
    """Call a provider once; at a mail server, log in and out. Raises Blocked if its address, or one
    that it redirects to, is not public."""
    try:
        if endpoint.type is IntegrationType.EMAIL:
            async with conversation(egress, endpoint, CALL_TIMEOUT_SECONDS) as server:
                with suppress(SMTPException, OSError):
                    await server.quit()
            return IntegrationTested(result=TestResult.SUCCESS)
        answer = await egress.call("GET", endpoint.base_url, endpoint.authorization)
    except Unreachable:
        return _failed("unreachable")
    except NoAnswer as error:
        return _failed(error.reason)
    if answer.status in OK:
        return IntegrationTested(result=TestResult.SUCCESS)
    if answer.status in REDIRECTS and answer.location:
        await egress.require_public(endpoint.base_url, answer.location)
        return _failed("redirect")
    return _failed(f"status-{answer.status}")


def _failed(reason: str) -> IntegrationTested:
    return IntegrationTested(result=TestResult.FAILED, reason=reason)


RATES: Final[Mapping[Channel, str]] = {
    Channel.SMS: "smsPerSecond",
    Channel.EMAIL: "emailPerSecond",
}
ON_THE_WAY: Final = timedelta(minutes=2)
"""How long a proxy may delay a request, or a provider its knowledge of it."""


class Providers:
    """The providers of an installation. Without an active integration, messages go to `outbox` and
    airtime through `telco`, if there are such."""

    def __init__(
        self,
        url: str,
        ledger: Ledger,
        environment: Environment,
        egress: Egress,
        *,
        outbox: Provider | None = None,
        telco: Provider | None = None,
    ) -> None:
        self.egress, self.outbox, self.telco = egress, outbox, telco
        self._environment, self._breaker = environment, Breaker(url, ledger, environment)
        self._conversations = defaultdict[UUID, asyncio.Semaphore](
            partial(asyncio.Semaphore, AT_ONCE)
        )

    def lane(self, channel: Channel, uow: UnitOfWork) -> Lane:
        """Return the lane through the channel's integration, closed while that is in error."""
        return self.former(channel, uow.holder(SERVES, channel), uow)

    def former(self, channel: Channel, integration: UUID | None, uow: UnitOfWork) -> Lane:
        """Return the lane of messages through an integration, closed unless that is active."""
        usual = setting(uow, "notifications", RATES[channel])
        if integration is None:
            none = Refused("no-sender", f"No provider of {channel} messages is connected.")
            closed = None if self.outbox else none
            return Lane(name=channel, rate=usual, provider=self.outbox, closed=closed)
        words = f"The provider of {channel} messages is out of use."
        return self._through(integration, words, uow, usual)

    def airtime(self, integration: UUID | None, uow: UnitOfWork) -> Lane:
        """Return the lane of airtime through an integration, closed unless that is active."""
        if integration is None:
            name = self.telco.name if self.telco else "none"
            closed = None if self.telco else Refused("no-sender", "No telco is connected.")
            return Lane(name=name, provider=self.telco, closed=closed)
        return self._through(integration, "The network's provider is out of use.", uow)

    async def test(self, endpoint: Endpoint) -> IntegrationTested:
        """Test a provider, and report a success to the circuit breaker. Raises Blocked."""
        found = await probe(self.egress, endpoint)
        if found.result is TestResult.SUCCESS:  # A failed test does not count as a call.
            await self._breaker.note(endpoint.id, failed=False)
        return found

    def _through(self, id: UUID, out_of_use: str, uow: UnitOfWork, usual: int = 1) -> Lane:
        known = uow.read(ApiIntegration, id)
        active = known.status is IntegrationStatus.ACTIVE
        return Lane(
            name=known.name,
            rate=known.per_second or usual,
            provider=self._provider(known, uow),
            integration=id,
            closed=None if active else Unavailable("sender-out-of-use", out_of_use),
            given_up=known.status is IntegrationStatus.INACTIVE,
            on_the_way=ON_THE_WAY,
        )

    def _provider(self, known: ApiIntegration, uow: UnitOfWork) -> Provider:
        endpoint = endpoint_of(uow, known)
        if known.type is IntegrationType.EMAIL:
            own = self._conversations[known.id]
            return SmtpServer(endpoint, self.egress, self._breaker, self._environment, own)
        http = HttpTelco if known.type is IntegrationType.TELECOM else SmsGateway
        return http(endpoint, self.egress, self._breaker, self._environment)


class OutcomeUnknown(Unavailable):
    """The provider fell silent during a send: the message may have been sent."""

    def __init__(self) -> None:
        super().__init__("not-sent", "Nobody knows whether the message went.")


class Sender:
    """Checks the kill switch and the lane before each message."""

    def __init__(self, providers: Providers, ledger: Ledger) -> None:
        self.providers, self._ledger = providers, ledger

    def require(self, channel: Channel, uow: UnitOfWork) -> Lane:
        """Return the channel's lane. Raises Refused (`outbound-stopped`, `no-sender`) or
        Unavailable (`sender-out-of-use`) if it cannot send, so that nothing is decided that depends
        on a message."""
        require_open(uow)
        lane = self.providers.lane(channel, uow)
        if lane.closed:
            raise lane.closed
        return lane

    async def send(self, message: Message) -> None:
        """Send one message.

        Raises what `require` does, Unavailable (`not-sent`) if it was certainly not sent, and
        OutcomeUnknown if that is not known.
        """
        lane = await self._ledger.run(partial(self.require, message.channel))
        outcome = await lane.send(message)
        if outcome.verdict is Verdict.UNKNOWN:
            raise OutcomeUnknown
        if outcome.verdict is Verdict.FAILED:
            raise Unavailable("not-sent", outcome.reason)
