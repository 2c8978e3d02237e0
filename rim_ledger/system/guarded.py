"""A sender that hands nothing over while nothing may leave the house."""

from functools import partial

from rim_ledger.book import Book
from rim_ledger.core import SYSTEM, Stamp
from rim_ledger.ledger import Ledger
from rim_ledger.sending import Channel, Message, Provider, Providers
from rim_ledger.system.outbound import require_open
from rim_ledger.world import World


class GuardedSender:
    """Asks the one switch, and who delivers, before each message."""

    def __init__(self, providers: Providers, ledger: Ledger, world: World) -> None:
        self.providers, self._ledger, self._world = providers, ledger, world

    def require(self, channel: Channel, book: Book) -> None:
        """Refuse (`outbound-stopped`, `no-sender`), or Unavailable (`not-sent`), when a message
        would not go."""
        self._provider(channel, book)

    async def send(self, message: Message) -> None:
        """Raises what `require` does, and what the provider does."""
        look = partial(self._provider, message.channel)
        provider = await self._ledger.read(look, Stamp(at=self._world.now(), actor=SYSTEM))
        await provider.send(message)

    def _provider(self, channel: Channel, book: Book) -> Provider:
        require_open(book)
        lane = self.providers.lane(channel, book)
        if lane.closed:
            raise lane.closed
        assert lane.provider is not None, "a lane that is not closed leads to somebody"
        return lane.provider
