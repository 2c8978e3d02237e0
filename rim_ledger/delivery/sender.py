"""Messages that a caller waits for: sent one by one, and none while egress is stopped."""

from functools import partial

from rim_ledger.delivery.kill_switch import require_open
from rim_ledger.delivery.port import Channel, Lane, Message, Verdict
from rim_ledger.delivery.providers import Providers
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.engine.unit_of_work import UnitOfWork


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
