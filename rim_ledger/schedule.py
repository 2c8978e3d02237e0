"""The scheduler: runs what is due, from the reminders that were committed with the events."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection

from rim_ledger.approvals.approval_rule import require_no_approval
from rim_ledger.approvals.proposal import REMINDER as PROPOSAL
from rim_ledger.approvals.proposal_commands import check_proposal
from rim_ledger.delivery.egress import Blocked
from rim_ledger.delivery.endpoint import Endpoint, endpoint_of
from rim_ledger.delivery.kill_switch import LATER, is_open
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.command import perform
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.engine.store import Store
from rim_ledger.engine.unit_of_work import Reminder, UnitOfWork
from rim_ledger.lending import airtime_float
from rim_ledger.lending.charges import check_late_fee
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.lending.float_commands import open_float
from rim_ledger.lending.lateness import check_credit_default, check_default, check_overdue
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.notice_days import DUE_NOTICE
from rim_ledger.lending.write_off import check_write_off
from rim_ledger.notifications.due_notice import check_due_notice
from rim_ledger.postgres.heartbeat import note_fault
from rim_ledger.postgres.outage import OUTAGE, Outages
from rim_ledger.support.deadlines import check_ticket
from rim_ledger.system import backup_settings, config, integration_commands
from rim_ledger.system.backup_commands import check_backup_schedule
from rim_ledger.system.backup_worker import BackupWorker
from rim_ledger.system.config_keys import KNOWN
from rim_ledger.system.integration import ApiIntegration, IntegrationTested, TestResult

log = logging.getLogger(__name__)

PAGE: Final = 1000
WORK_TIMEOUT_SECONDS: Final = 60.0
"""Work that is stuck for so long is cancelled, and tried again."""
INTERVAL_SECONDS: Final = 1.0
"""Between two polls."""

DECISIONS: Final[Mapping[str, Callable[[UUID], Callable[[UnitOfWork], object]]]] = {
    "overdue": check_overdue,
    "default": check_default,
    "late-fee": check_late_fee,
    "write-off": check_write_off,
    "credit-default": check_credit_default,
    DUE_NOTICE: check_due_notice,
    "ticket": check_ticket,
    backup_settings.SCHEDULE: lambda _: check_backup_schedule,
    PROPOSAL: check_proposal,
}
"""Reminders that need no more than a decision, by kind."""


FindOpening = Callable[[str, UUID], Awaitable[Decimal | None]]
"""Finds the balance (naira) that the account of a float had before its tracking, in a database;
None if that is not known yet."""


async def tick(
    dispatch: Dispatch,
    at: datetime | None = None,
    backups: BackupWorker | None = None,
    find_opening: FindOpening | None = None,
) -> int:
    """Run what is due at a business time (UTC, default now), each once; return how many that was.

    A failure does not stop the others; the first error is raised at the end. Long work, such as a
    backup, is started in the background, or left without `backups`. A new float is left without
    `find_opening`.
    """
    moment, done = at or dispatch.environment.now(), set[Reminder]()
    failed: list[BaseException] = []
    async with await AsyncConnection.connect(dispatch.url, autocommit=True) as connection:
        while True:
            due = await Store(connection).due(moment, PAGE + len(done))
            if not (fresh := [each for each in due if each not in done]):
                break
            work = (
                asyncio.wait_for(
                    _run(dispatch, (backups, find_opening), *each, moment), WORK_TIMEOUT_SECONDS
                )
                for each in fresh
            )
            outcomes = await asyncio.gather(*work, return_exceptions=True)
            failed += [each for each in outcomes if each is not None]
            done.update(fresh)
    if failed:
        raise failed[0]
    return len(done)


async def run(dispatch: Dispatch, backups: BackupWorker, find_opening: FindOpening) -> None:
    """Tick forever. On failure, such as an unavailable database, try again."""
    outages = Outages(log.warning, "the clock")
    while True:
        try:
            await tick(dispatch, backups=backups, find_opening=find_opening)
            outages.end()
        except (*OUTAGE, Unavailable) as error:
            outages.begin(error)
        except Exception as error:
            kind = type(error).__name__
            log.warning("something that was due could not be done: %s", kind)
            await note_fault(dispatch.url, dispatch.environment, f"clock: {kind}")
        await asyncio.sleep(INTERVAL_SECONDS)


async def _run(
    dispatch: Dispatch,
    others: tuple[BackupWorker | None, FindOpening | None],
    what: str,
    stream: UUID,
    at: datetime,
) -> None:
    backups, find_opening = others
    match what:
        case _ if what in DECISIONS:
            await dispatch.ledger.run(DECISIONS[what](stream), at)
        case _ if what in WORKS:
            await WORKS[what](dispatch, stream, at)
        case airtime_float.OPENING:
            if find_opening and (found := await find_opening(dispatch.url, stream)) is not None:
                await dispatch.ledger.run(open_float(stream, found), at)
        case "make-backup" | "verify-backup" | "drop-backup":
            if backups:
                backups.begin(what, stream)
        case _:
            raise LookupError(f"nobody knows what '{what}' reminds of")


async def _query(dispatch: Dispatch, loan: UUID, _: datetime) -> None:
    await dispatch.query(loan)


async def _look_again(dispatch: Dispatch, setting_id: UUID, at: datetime) -> None:
    """Bring forward the reminders that depend on a setting which was changed."""
    changed = await dispatch.ledger.run(lambda uow: uow.read(config.SystemConfig, setting_id), at)
    known = KNOWN[changed.category, changed.key]
    async with await AsyncConnection.connect(dispatch.url, autocommit=True) as connection:
        await Store(connection).hasten(known.looks, at, known.beside)
    await dispatch.ledger.run(lambda uow: uow.forget(config.LOOK_AGAIN, setting_id), at)


async def _test(dispatch: Dispatch, integration: UUID, at: datetime) -> None:
    """Test an integration that was put out of use."""

    def look(uow: UnitOfWork) -> Endpoint | None:
        if is_open(uow):
            return endpoint_of(uow, uow.read(ApiIntegration, integration))
        uow.remind(integration_commands.PROBE, integration, uow.now + LATER)
        return None

    if (endpoint := await dispatch.ledger.run(look, at)) is None:
        return
    try:
        found = await dispatch.providers.test(endpoint)
    except Blocked:
        found = IntegrationTested(result=TestResult.FAILED, reason="blocked")
    await dispatch.ledger.run(integration_commands.record_test(endpoint, found))


async def _disburse(dispatch: Dispatch, loan: UUID, at: datetime) -> None:
    """Disburse an approved loan. If that is refused, or takes two people, it is left to an admin;
    while egress is stopped, or the float of its network does not cover it, it is deferred."""
    ledger = dispatch.ledger

    def disburse(uow: UnitOfWork) -> UUID:
        uow.guard = require_no_approval
        return perform(uow, Loan, loan, DisburseLoan())

    def look(uow: UnitOfWork) -> bool:
        if automatic := bool(config.setting(uow, "lending", "autoDisburse")):
            return automatic
        uow.forget("disburse", loan)
        return automatic

    def leave(refusal: Refused, uow: UnitOfWork) -> None:
        if is_open(uow) and refusal.code != "float-exhausted":
            uow.forget("disburse", loan)
        else:
            uow.remind("disburse", loan, uow.now + LATER)

    if not await ledger.run(look, at):
        return
    try:
        await dispatch.disburse(await ledger.submit(disburse, Stamp(at=at, actor=SYSTEM)))
    except Refused as refusal:
        await ledger.run(partial(leave, refusal), at)


WORKS: Final[Mapping[str, Callable[[Dispatch, UUID, datetime], Awaitable[None]]]] = {
    config.LOOK_AGAIN: _look_again,
    "query-top-up": _query,
    integration_commands.PROBE: _test,
    "disburse": _disburse,
}
"""Reminders that need more than a decision, by kind."""
