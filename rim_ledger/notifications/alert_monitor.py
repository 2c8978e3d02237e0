"""Measures the values of alerts, and decides which of them fire."""

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol

from psycopg import AsyncConnection

from rim_ledger.delivery.port import Channel
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.store import Store
from rim_ledger.notifications.alert import WATCHED, AlertType
from rim_ledger.notifications.alert_commands import observe
from rim_ledger.postgres.outage import Outages

INTERVAL_SECONDS: Final = 15.0
"""Between two evaluations."""
ALERTS_MAX: Final = 10_000

log = logging.getLogger(__name__)


class Measures(Protocol):
    """The source of the values."""

    async def value(self, type: AlertType, at: datetime) -> Decimal | None:
        """Return the value at a time; None if there is no data."""

    async def failing(self, at: datetime) -> Collection[Channel]:
        """Return the channels whose own provider fails."""


class AlertMonitor:
    """Evaluates each alert. Several monitors at once do no harm: firing is a decision at the head
    of the log, with its notifications in the same commit."""

    def __init__(
        self, url: str, ledger: Ledger, measures: Measures, environment: Environment
    ) -> None:
        self._url, self._ledger, self._environment = url, ledger, environment
        self._measures = measures

    async def evaluate(self, at: datetime | None = None) -> None:
        """Evaluate every alert once, at a business time (UTC, default now)."""
        moment = at or self._environment.now()
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            watched = (await Store(connection).listed({WATCHED: ALERTS_MAX}))[WATCHED]
        types = {AlertType(name.partition(" ")[0]) for name in watched}
        values = {each: await self._measures.value(each, moment) for each in types}
        failing = await self._measures.failing(moment) if watched else ()
        for name, id_ in watched.items():
            value = values[AlertType(name.partition(" ")[0])]
            await self._ledger.run(observe(id_, value, failing), moment)


async def run(monitor: AlertMonitor) -> None:
    """Evaluate forever. On failure, such as an unavailable database, try again."""
    outages = Outages(log.warning, "the alerts")
    while True:
        try:
            await monitor.evaluate()
            outages.end()
        except Exception as error:
            outages.begin(error)
        await asyncio.sleep(INTERVAL_SECONDS)
