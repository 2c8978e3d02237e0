"""`rim-ledger clock` and `rim-ledger tick`: what falls due, for ever or once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial

from api.backup_files import archivist
from api.database import Unfit, filled_database, open_ledger
from api.outbox import sender
from api.settings import Settings
from api.telco import telco
from projections.audience import find_audience
from rim_ledger import clock as due
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.notifications.courier import Courier
from rim_ledger.world import RealWorld


def clock() -> None:
    """Run the clock, which does what falls due."""
    settings = Settings.load()

    async def run(url: str) -> None:
        async with _dispatch(settings, url) as dispatch:
            keeper = archivist(settings, url, dispatch.ledger)
            courier = _courier(settings, dispatch)
            await asyncio.gather(due.run(dispatch, keeper), courier.run())

    with filled_database(settings) as url:
        asyncio.run(run(url))


def tick(*, at: str | None = None) -> None:
    """Do once what the clock owes.

    Parameters
    ----------
    at:
        The business time to do it at, ISO 8601 with an offset; only in development.
    """
    settings = Settings.load()
    moment = _moment(at, settings) if at else None

    async def run(url: str) -> int:
        async with _dispatch(settings, url) as dispatch:
            keeper = archivist(settings, url, dispatch.ledger)
            done = await due.tick(dispatch, moment, keeper)
            done += await _courier(settings, dispatch).carry(moment)
            await keeper.drain()
            return done

    with filled_database(settings) as url:
        print(f"things that were due: {asyncio.run(run(url))}")


@contextlib.asynccontextmanager
async def _dispatch(settings: Settings, url: str) -> AsyncIterator[Dispatch]:
    async with open_ledger(settings, url) as ledger:
        yield Dispatch(url, ledger, telco(settings, url), RealWorld())


def _courier(settings: Settings, dispatch: Dispatch) -> Courier:
    url, world = dispatch.url, dispatch.world
    find = partial(find_audience, url)
    return Courier(url, dispatch.ledger, sender(settings, world), world, find)


def _moment(text: str, settings: Settings) -> datetime:
    if settings.production:
        raise Unfit("--at moves the time, which is only for development")
    with contextlib.suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo:
            return moment.astimezone(UTC)
    raise Unfit("--at is a time with an offset, such as 2026-01-31T09:00:00+01:00")
