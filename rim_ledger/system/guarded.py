"""A sender that hands nothing over while nothing may leave the house."""

from uuid import UUID

from rim_ledger.book import Book
from rim_ledger.core import SYSTEM, Stamp
from rim_ledger.ledger import Ledger
from rim_ledger.sending import Channel, Heard, Message, Sender
from rim_ledger.system.outbound import OUTBOUND, require_open
from rim_ledger.world import World


class GuardedSender:
    """Asks the one switch before each message."""

    def __init__(self, sender: Sender, ledger: Ledger, world: World) -> None:
        self.sender, self._ledger, self._world = sender, ledger, world

    def require(self, channel: Channel) -> None:
        self.sender.require(channel)

    async def send(self, message: Message) -> None:
        """Raises Refused (`outbound-stopped`) while nothing may leave, and what the sender does."""

        def look(book: Book) -> UUID:
            require_open(book)
            return OUTBOUND

        await self._ledger.submit(look, Stamp(at=self._world.now(), actor=SYSTEM))
        await self.sender.send(message)

    async def ask(self, channel: Channel, reference: str) -> Heard:
        """Says nothing new to a provider, and so is not stopped."""
        return await self.sender.ask(channel, reference)
