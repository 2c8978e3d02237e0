"""Delivers top-ups to the telco: one process at a time for each loan, and never twice."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from rim_ledger.delivery.http import TopUp
from rim_ledger.delivery.kill_switch import LATER, is_open
from rim_ledger.delivery.port import UNKNOWN, Outcome, Verdict
from rim_ledger.delivery.providers import Providers
from rim_ledger.delivery.worker import Delivery, outcomes_of
from rim_ledger.engine.aggregate import SYSTEM, Actor, Stamp
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.attempt import Disbursement
from rim_ledger.lending.disbursement import record_outcome
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.user import User
from rim_ledger.postgres.pool import lease

ANSWER_TIMEOUT_SECONDS: Final = 5.0
"""How long a caller waits for the telco; a later answer is queried by the scheduler."""
AT_ONCE: Final = 16
"""Concurrent top-ups and queries of this process; each holds a session for its lock."""

DISPUTED: Final = "An earlier top-up of this loan came meanwhile."

log = logging.getLogger(__name__)


class Dispatch:
    """Sends requested top-ups, and queries open ones: through the integration they were requested
    from, or else the installation's telco."""

    def __init__(
        self, url: str, ledger: Ledger, providers: Providers, environment: Environment
    ) -> None:
        self.url, self.ledger, self.providers, self.environment = (
            url,
            ledger,
            providers,
            environment,
        )
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[asyncio.Task[Receipt | None]] = set()

    async def disburse(self, receipt: Receipt) -> Receipt:
        """Send a committed request; return the last receipt known after
        `ANSWER_TIMEOUT_SECONDS`."""
        task = asyncio.create_task(self._send(receipt.id))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait([task], timeout=ANSWER_TIMEOUT_SECONDS)
        if task.done() and (error := task.exception()):
            # The acknowledged request is durable, and the scheduler queries its outcome.
            log.warning("a top-up was left to the clock: %s", type(error).__name__)
            return receipt
        return (task.result() if task.done() else None) or receipt

    async def query(self, loan: UUID) -> None:
        """Query every top-up of a loan whose outcome is open, or known from staff only, unless
        another worker has the loan."""
        async with self._at_once, lease(self.url, f"top-up {loan}") as free:
            if free:
                await self._carry(await self._look(loan))

    async def drain(self) -> None:
        """Wait for what is in progress."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _send(self, loan: UUID) -> Receipt | None:
        if not await self._look(loan, unsent=True):
            return None
        async with self._at_once, lease(self.url, f"top-up {loan}") as free:
            return await self._carry(await self._look(loan, unsent=True)) if free else None

    async def _carry(self, top_ups: Sequence[Delivery]) -> Receipt | None:
        receipt = None
        outcomes = await outcomes_of(top_ups, self.environment)
        for each, outcome in zip(top_ups, outcomes, strict=True):
            receipt = await self._record(each, outcome or UNKNOWN)
        return receipt

    async def _record(self, top_up: Delivery, outcome: Outcome) -> Receipt:
        lane = top_up.lane
        actor = Actor(type="integration", id=lane.integration, name=lane.name)
        stamp = Stamp(at=self.environment.now(), actor=actor)
        work = record_outcome(top_up.id, top_up.reference, outcome)
        for _ in range(outcome.times):
            receipt = await self.ledger.submit(work, stamp)
        return receipt

    async def _look(self, id: UUID, *, unsent: bool = False) -> list[Delivery]:
        """Return the top-ups to query or, if `unsent`, the last requested one to send."""

        def work(uow: UnitOfWork) -> tuple[UUID, list[Delivery]]:
            loan = uow.read(Loan, id)
            if loan.to_ask and is_open(uow):
                found = [
                    Delivery(
                        id=loan.id,
                        reference=each.reference,
                        lane=self.providers.airtime(each.integration, uow),
                        taken_at=each.asked_at,
                    )
                    for each in loan.to_ask
                ]
                return id, _to_send(uow, loan, found) if unsent else found
            if loan.to_ask:
                uow.remind("query-top-up", id, uow.now + LATER)
            else:
                uow.forget("query-top-up", id)
            return id, []

        _, found = await self.ledger.decide(work, Stamp(at=self.environment.now(), actor=SYSTEM))
        return found


def _to_send(uow: UnitOfWork, loan: Loan, open_: Sequence[Delivery]) -> list[Delivery]:
    """Return the top-up that was requested last with the phone in the clear, unless it was sent."""
    phone = uow.reveal(loan.user_id, uow.read(User, loan.user_id).phone)
    if phone is None or loan.disbursement is not Disbursement.REQUESTED:
        return []
    (last,) = (each for each in open_ if each.reference == loan.reference)
    order = TopUp(last.reference, phone, loan.network, loan.airtime)
    withheld = Outcome(Verdict.FAILED, DISPUTED) if loan.disputed else None
    return [replace(last, order=order, withheld=withheld)]
