"""What the clock's process does: what falls due, and the messages that wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

from api.database import open_ledger
from api.outbox import sender
from api.settings import Settings
from api.telco import telco
from projections.audience import find_audience
from rim_ledger import clock
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.notifications.courier import Courier
from rim_ledger.world import RealWorld


async def run(settings: Settings, url: str) -> None:
    """Do what there is to do, for ever."""
    async with _open(settings, url) as (dispatch, courier):
        await asyncio.gather(clock.run(dispatch), courier.run())


async def tick(settings: Settings, url: str, at: datetime | None) -> int:
    """Do once what there is to do at a business time (UTC); how many things that was."""
    async with _open(settings, url) as (dispatch, courier):
        return await clock.tick(dispatch, at) + await courier.carry(at)


@asynccontextmanager
async def _open(settings: Settings, url: str) -> AsyncIterator[tuple[Dispatch, Courier]]:
    world, find = RealWorld(), partial(find_audience, url)
    async with open_ledger(settings, url) as ledger:
        dispatch = Dispatch(url, ledger, telco(settings, url), world)
        yield dispatch, Courier(url, ledger, sender(settings, world), world, find)
