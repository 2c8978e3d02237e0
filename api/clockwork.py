"""The clock's process: it carries out what falls due, and watches over the alerts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from api.database import open_ledger
from api.outbox import sender
from api.settings import Settings
from api.telco import telco
from projections.measures import TableMeasures
from rim_ledger import clock
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.notifications import alarm as alarms
from rim_ledger.notifications.alarm import Alarm
from rim_ledger.system.outside import Outside
from rim_ledger.world import RealWorld


async def run(settings: Settings, url: str) -> None:
    """Tick for ever."""
    async with _clockwork(settings, url) as (dispatch, alarm):
        await asyncio.gather(clock.run(dispatch), alarms.run(alarm))


async def tick(settings: Settings, url: str, at: datetime | None) -> int:
    """Do once what is due at a time; how many things that were."""
    async with _clockwork(settings, url) as (dispatch, alarm):
        done = await clock.tick(dispatch, at)
        await alarm.look(at)
        return done


@asynccontextmanager
async def _clockwork(settings: Settings, url: str) -> AsyncIterator[tuple[Dispatch, Alarm]]:
    async with open_ledger(settings, url) as ledger:
        world, outside = RealWorld(), Outside(development=not settings.production)
        alarm = Alarm(url, ledger, TableMeasures(url), sender(settings, world), world)
        yield Dispatch(url, ledger, telco(settings, url), world, outside), alarm
