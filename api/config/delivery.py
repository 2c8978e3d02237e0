"""The delivery providers: integrations, or in development a file and a simulated telco."""

from typing import Final

from api.config.settings import Settings
from rim_ledger.delivery.egress import Egress
from rim_ledger.delivery.providers import Providers
from rim_ledger.delivery.simulated import Outbox, SimulatedTelco
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger

OUTBOX: Final = "outbox.ndjson"


def providers(settings: Settings, url: str, ledger: Ledger, environment: Environment) -> Providers:
    """Wire the providers. In development, messages go to a file in RIM_HOME and airtime to a
    simulated telco."""
    egress = Egress(development=not settings.production)
    if settings.production:
        return Providers(url, ledger, environment, egress)
    outbox, telco = Outbox(settings.home / OUTBOX, environment), SimulatedTelco(url)
    return Providers(url, ledger, environment, egress, outbox=outbox, telco=telco)
