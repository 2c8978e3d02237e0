"""A sender that hands nothing over while nothing may leave the house."""

from functools import partial

from rim_ledger.delivery.messages import Channel, Message, Provider, Providers
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.system.outbound import require_open


class GuardedSender:
    """Asks the one switch, and who delivers, before each message."""

    def __init__(self, providers: Providers, ledger: Ledger, environment: Environment) -> None:
        self.providers, self._ledger, self._world = providers, ledger, environment

    def require(self, channel: Channel, uow: UnitOfWork) -> None:
        """Refuse (`outbound-stopped`, `no-sender`), or Unavailable (`not-sent`), when a message
        would not go."""
        self._provider(channel, uow)

    async def send(self, message: Message) -> None:
        """Raises what `require` does, and what the provider does."""
        look = partial(self._provider, message.channel)
        provider = await self._ledger.read(look, Stamp(at=self._world.now(), actor=SYSTEM))
        await provider.send(message)

    def _provider(self, channel: Channel, uow: UnitOfWork) -> Provider:
        require_open(uow)
        lane = self.providers.lane(channel, uow)
        if lane.closed:
            raise lane.closed
        assert lane.provider is not None, "a lane that is not closed leads to somebody"
        return lane.provider
