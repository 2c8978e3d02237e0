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
from rim_ledger.engine.unit_of_work import Reminder, UnitOfWork, Work
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
from rim_ledger.postgres.faults import note_fault
from rim_ledger.postgres.outage import OUTAGE, Outages
from rim_ledger.support.deadlines import check_ticket
from rim_ledger.system import backup_settings, config, recovery
from rim_ledger.system.backup_commands import check_backup_schedule
from rim_ledger.system.backup_worker import BackupWorker
from rim_ledger.system.config_keys import Known
from rim_ledger.system.integration import ApiIntegration, IntegrationTested, TestResult

log = logging.getLogger(__name__)

PAGE: Final = 1000
WORK_TIMEOUT_SECONDS: Final = 60.0
"""Work that is stuck for so long is cancelled, and tried again."""
INTERVAL_SECONDS: Final = 1.0
"""Between two polls."""

DECISIONS: Final[Mapping[str, Callable[[UUID], Work]]] = {
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
    archivist: BackupWorker | None = None,
    find_opening: FindOpening | None = None,
) -> int:
    """Run what is due at a business time (UTC, default now), each once; return how many that was.

    A failure does not stop the others; the first error is raised at the end. Long work, such as a
    backup, is started in the background, or left without an archivist. A new float is left without
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
                    _run(dispatch, (archivist, find_opening), *each, moment), WORK_TIMEOUT_SECONDS
                )
                for each in fresh
            )
            outcomes = await asyncio.gather(*work, return_exceptions=True)
            failed += [each for each in outcomes if each is not None]
            done.update(fresh)
    if failed:
        raise failed[0]
    return len(done)


async def run(dispatch: Dispatch, archivist: BackupWorker, find_opening: FindOpening) -> None:
    """Tick forever. On failure, such as an unavailable database, try again."""
    outages = Outages(log.warning, "the clock")
    while True:
        try:
            await tick(dispatch, archivist=archivist, find_opening=find_opening)
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
    archivist, find_opening = others
    stamp = Stamp(at=at, actor=SYSTEM)
    match what:
        case _ if what in DECISIONS:
            await dispatch.ledger.submit(DECISIONS[what](stream), stamp)
        case _ if what in WORKS:
            await WORKS[what](dispatch, stream, stamp)
        case airtime_float.OPENING:
            if find_opening and (found := await find_opening(dispatch.url, stream)) is not None:
                await dispatch.ledger.submit(open_float(stream, found), stamp)
        case "make-backup" | "verify-backup" | "drop-backup":
            if archivist:
                archivist.begin(what, stream)
        case _:
            raise LookupError(f"nobody knows what '{what}' reminds of")


async def _query(dispatch: Dispatch, loan: UUID, _: Stamp) -> None:
    await dispatch.query(loan)


async def _look_again(dispatch: Dispatch, setting_id: UUID, stamp: Stamp) -> None:
    """Bring forward the reminders that depend on a setting which was changed."""

    def look(uow: UnitOfWork) -> Known:
        return config.known_of(uow.read(config.SystemConfig, setting_id))

    def leave(uow: UnitOfWork) -> UUID:
        uow.forget(config.LOOK_AGAIN, setting_id)
        return setting_id

    known = await dispatch.ledger.read(look, stamp)
    async with await AsyncConnection.connect(dispatch.url, autocommit=True) as connection:
        await Store(connection).hasten(known.looks, stamp.at, known.beside)
    await dispatch.ledger.submit(leave, stamp)


async def _test(dispatch: Dispatch, integration: UUID, stamp: Stamp) -> None:
    """Test an integration that was put out of use."""

    def look(uow: UnitOfWork) -> tuple[UUID, Endpoint | None]:
        if is_open(uow):
            return integration, endpoint_of(uow, uow.read(ApiIntegration, integration))
        uow.remind(recovery.PROBE, integration, uow.now + LATER)
        return integration, None

    _, endpoint = await dispatch.ledger.decide(look, stamp)
    if endpoint is None:
        return
    try:
        found = await dispatch.providers.test(endpoint)
    except Blocked:
        found = IntegrationTested(result=TestResult.FAILED, reason="blocked")
    now = Stamp(at=dispatch.environment.now(), actor=SYSTEM)
    await dispatch.ledger.submit(recovery.record_test(endpoint, found), now)


async def _disburse(dispatch: Dispatch, loan: UUID, stamp: Stamp) -> None:
    """Disburse an approved loan. If that is refused, or takes two people, it is left to an admin;
    while egress is stopped, or the float of its network does not cover it, it is deferred."""
    ledger = dispatch.ledger

    def disburse(uow: UnitOfWork) -> UUID:
        uow.guard = require_no_approval
        return perform(uow, Loan, loan, DisburseLoan())

    def look(uow: UnitOfWork) -> tuple[UUID, bool]:
        if automatic := bool(config.setting(uow, "lending", "autoDisburse")):
            return loan, automatic
        uow.forget("disburse", loan)
        return loan, automatic

    def leave(refusal: Refused, uow: UnitOfWork) -> UUID:
        if is_open(uow) and refusal.code != "float-exhausted":
            uow.forget("disburse", loan)
        else:
            uow.remind("disburse", loan, uow.now + LATER)
        return loan

    _, automatic = await ledger.decide(look, stamp)
    if not automatic:
        return
    try:
        await dispatch.disburse(await ledger.submit(disburse, stamp))
    except Refused as refusal:
        await ledger.submit(partial(leave, refusal), stamp)


WORKS: Final[Mapping[str, Callable[[Dispatch, UUID, Stamp], Awaitable[None]]]] = {
    config.LOOK_AGAIN: _look_again,
    "query-top-up": _query,
    recovery.PROBE: _test,
    "disburse": _disburse,
}
"""Reminders that need more than a decision, by kind."""
