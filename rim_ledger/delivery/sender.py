"""Messages to people who wait for them: one by one, and none while nothing may leave."""

from functools import partial

from rim_ledger.delivery.kill_switch import require_open
from rim_ledger.delivery.port import Channel, Lane, Lanes, Message, Verdict
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.engine.unit_of_work import UnitOfWork


class OutcomeUnknown(Unavailable):
    """A message was being handed over when the provider fell silent: it may have gone."""

    def __init__(self) -> None:
        super().__init__("not-sent", "Nobody knows whether the message went.")


class Sender:
    """Asks the one switch, and who delivers, before each message."""

    def __init__(self, providers: Lanes, ledger: Ledger, environment: Environment) -> None:
        self.providers, self._ledger, self._environment = providers, ledger, environment

    def require(self, channel: Channel, uow: UnitOfWork) -> None:
        """Refuse (`outbound-stopped`, `no-sender`), or Unavailable (`sender-out-of-use`), where
        messages of this kind cannot go out, so that nothing is decided that only a message would
        complete."""
        self._open_lane(channel, uow)

    async def send(self, message: Message) -> None:
        """Hand one message over.

        Raises what `require` does, Unavailable (`not-sent`) when it certainly did not go, and
        Unclear when nobody knows.
        """
        look = partial(self._open_lane, message.channel)
        lane = await self._ledger.read(look, Stamp(at=self._environment.now(), actor=SYSTEM))
        outcome = await lane.send(message)
        if outcome.verdict is Verdict.UNKNOWN:
            raise OutcomeUnknown
        if outcome.verdict is Verdict.FAILED:
            raise Unavailable("not-sent", outcome.reason)

    def _open_lane(self, channel: Channel, uow: UnitOfWork) -> Lane:
        require_open(uow)
        lane = self.providers.lane(channel, uow)
        if lane.closed:
            raise lane.closed
        return lane
