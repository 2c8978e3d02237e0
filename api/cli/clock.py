"""`rim-ledger clock` and `rim-ledger tick`: due reminders and alert checks, forever or once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

from api.cli.daily_check import Check
from api.cli.fence import run_fenced
from api.config.backup_files import backup_worker
from api.config.database import fitting_database, open_ledger
from api.config.delivery import providers
from api.config.settings import Settings
from projections.audience import find_audience
from projections.float_opening import find_opening
from projections.measures import TableMeasures
from rim_ledger import retention
from rim_ledger import schedule as due
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.notifications import alert_monitor
from rim_ledger.notifications.alert_monitor import AlertMonitor
from rim_ledger.notifications.delivery_worker import DeliveryWorker
from rim_ledger.operator_error import OperatorError
from rim_ledger.postgres.heartbeat import alive
from rim_ledger.system.backup_worker import BackupWorker
from rim_ledger.values import moment


def clock() -> None:
    """Run the clock, which does what falls due, watches over the alerts, verifies the log and
    deletes what is past its retention."""

    async def work(settings: Settings, url: str) -> None:
        async with _clockwork(settings, url) as (dispatch, monitor, keeper, worker):
            ledger = dispatch.ledger
            check = Check(settings, url, ledger, ledger.cache.vault, dispatch.environment)
            works = (
                due.run(dispatch, keeper, find_opening),
                alert_monitor.run(monitor),
                worker.run(),
                check.run(),
                retention.run(url, dispatch.environment),
            )
            await alive(url, "clock", *works)

    run_fenced(work)


def tick(*, at: str | None = None) -> None:
    """Do once what the clock owes.

    :param at: The business time to do it at, RFC 3339 with an offset; only in development.
    """
    settings = Settings.load()
    business_time = _moment(at, settings) if at else None

    async def run(url: str) -> int:
        async with _clockwork(settings, url) as (dispatch, monitor, keeper, worker):
            done = await due.tick(dispatch, business_time, keeper, find_opening)
            await monitor.evaluate(business_time)
            while delivered := await worker.deliver_due(business_time):
                done += delivered
            await keeper.drain()
            await retention.drop_expired(url, dispatch.environment.now())
            return done

    with fitting_database(settings) as url:
        print(f"things that were due: {asyncio.run(run(url))}")


@asynccontextmanager
async def _clockwork(
    settings: Settings, url: str
) -> AsyncIterator[tuple[Dispatch, AlertMonitor, BackupWorker, DeliveryWorker]]:
    async with open_ledger(settings, url) as ledger:
        environment = SystemEnvironment()
        monitor = AlertMonitor(url, ledger, TableMeasures(url), environment)
        through = providers(settings, url, ledger, environment)
        dispatch = Dispatch(url, ledger, through, environment)
        worker = DeliveryWorker(url, ledger, through, environment, partial(find_audience, url))
        yield dispatch, monitor, backup_worker(settings, url, ledger), worker


def _moment(text: str, settings: Settings) -> datetime:
    if settings.production:
        raise OperatorError("--at moves the time, which is only for development")
    if (time := moment(text)) is None:
        raise OperatorError("--at is a time with an offset, such as 2026-01-31T09:00:00+01:00")
    return time
