"""Which telco airtime is sent through: the simulated one, but never in production."""

from api.config.settings import Settings
from rim_ledger.lending.telco import Answer, Reply, SimulatedTelco, Telco, TopUp


class NoTelco:
    """None is connected: nothing is sent, and what was sent before stays as it is known."""

    name = "none"

    async def top_up(self, order: TopUp) -> Reply:
        return Reply(Answer.FAILED, reason="No telco is connected.")

    async def query(self, reference: str) -> Reply:
        return Reply(Answer.UNKNOWN)


def telco(settings: Settings, url: str) -> Telco:
    """The telco of this installation."""
    return NoTelco() if settings.production else SimulatedTelco(url)
