"""Carrying top-ups to the telco: one process at a time for each loan, and never twice."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.aggregate import SYSTEM, Actor, Stamp
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.attempt import Attempt, Disbursement
from rim_ledger.lending.disbursement import record_reply
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.telco import Answer, Reply, Telco, TopUp
from rim_ledger.lending.telecom import HttpTelco
from rim_ledger.lending.user import User
from rim_ledger.postgres.advisory_lock import lease
from rim_ledger.system.breaker import Breaker
from rim_ledger.system.egress import Blocked, Outside
from rim_ledger.system.endpoint import Line, line_to
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationStatus,
    IntegrationTested,
    TestResult,
)
from rim_ledger.system.outbound import LATER, is_open
from rim_ledger.system.probe import probe
from rim_ledger.system.recovery import PROBE, mend

PATIENCE: Final = 5.0
"""Seconds that a caller waits for the telco; after that the answer comes with the clock."""

CALL_MAX: Final = 30.0
"""Seconds after which a telco that says nothing has given no answer."""

ON_THE_WAY: Final = timedelta(minutes=2)
"""For so long a top-up may still reach a telco that has not heard of it, whatever delays it."""

AT_ONCE: Final = 16
"""Top-ups and queries under way at once in this process; each holds a session as its lease."""

log = logging.getLogger(__name__)


class _Flight(Struct):
    """A top-up whose outcome is open: what there is to send, the phone in the clear, if it has not
    been sent, and the integration that it was requested through."""

    reference: str
    asked_at: datetime
    to_send: TopUp | None = None
    line: Line | None = None
    active: bool = True
    disputed: bool = False


class Dispatch:
    """Sends what was requested and asks about what stayed open: through the integration that it
    was requested through, or else the `telco` of this installation."""

    def __init__(
        self, url: str, ledger: Ledger, telco: Telco, environment: Environment, outside: Outside
    ) -> None:
        self.url, self.ledger, self.telco, self.environment = url, ledger, telco, environment
        self._outside, self.breaker = outside, Breaker(url, ledger, environment)
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[asyncio.Task[Receipt | None]] = set()

    async def disburse(self, request: Callable[[], Awaitable[Receipt]]) -> Receipt:
        """Commit the request, then send it; the last receipt known after `PATIENCE` seconds."""
        receipt = await request()
        if receipt.replayed:
            return receipt
        task = asyncio.create_task(self._send(receipt.id))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait([task], timeout=PATIENCE)
        if task.done() and (error := task.exception()):
            # What was acknowledged stays so: the request is durable, and the clock asks about it.
            log.warning("a top-up was left to the clock: %s", type(error).__name__)
            return receipt
        return (task.result() if task.done() else None) or receipt

    async def query(self, loan: UUID) -> None:
        """Ask about every top-up of a loan whose outcome is open, or told by staff only, unless
        somebody has the loan in hand."""
        async with self._at_once, lease(self.url, f"top-up {loan}") as free:
            flights = await self._look(loan) if free else []
            asked = (self._within(self._telco(each).query(each.reference)) for each in flights)
            for flight, reply in zip(flights, await asyncio.gather(*asked), strict=True):
                await self._record(loan, flight, self._known(flight, reply))

    async def test(self, integration: UUID) -> None:
        """Try whether a provider that was put out of use answers again."""

        def look(uow: UnitOfWork) -> tuple[UUID, Line | None]:
            line = line_to(uow, uow.read(ApiIntegration, integration))
            if is_open(uow):
                return integration, line
            uow.remind(PROBE, integration, uow.now + LATER)
            return integration, None

        stamp = Stamp(at=self.environment.now(), actor=SYSTEM)
        _, line = await self.ledger.decide(look, stamp)
        if line is None:
            return
        try:
            found = await probe(self._outside, line)
        except Blocked:
            found = IntegrationTested(result=TestResult.FAILED, reason="blocked")
        await self.breaker.note_test(line.id, found)
        await self.ledger.submit(mend(line, found), Stamp(at=self.environment.now(), actor=SYSTEM))

    async def drain(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _send(self, loan: UUID) -> Receipt | None:
        if not await self._to_send(loan):
            return None
        async with self._at_once, lease(self.url, f"top-up {loan}") as free:
            flight = await self._to_send(loan)
            if not free or not flight or not flight.to_send:
                return None
            return await self._record(loan, flight, await self._top_up(flight, flight.to_send))

    async def _to_send(self, loan: UUID) -> _Flight | None:
        return next((each for each in await self._look(loan) if each.to_send), None)

    async def _top_up(self, flight: _Flight, order: TopUp) -> Reply:
        if flight.disputed:
            return Reply(Answer.FAILED, reason="An earlier top-up of this loan came meanwhile.")
        if not flight.active:
            return Reply(Answer.FAILED, reason="The network's provider is out of use.")
        return await self._within(self._telco(flight).top_up(order))

    def _telco(self, flight: _Flight) -> Telco:
        if flight.line is None:
            return self.telco
        return HttpTelco(flight.line, self._outside, self.breaker, self.environment)

    @staticmethod
    async def _within(call: Awaitable[Reply]) -> Reply:
        try:
            return await asyncio.wait_for(call, CALL_MAX)
        except TimeoutError:
            return Reply(Answer.UNKNOWN)

    def _known(self, flight: _Flight, reply: Reply) -> Reply:
        """A reference that the telco has not heard of has failed, once it cannot come any more."""
        if reply.answer is not Answer.ABSENT:
            return reply
        if self.environment.now() - flight.asked_at < ON_THE_WAY:
            return Reply(Answer.UNKNOWN)
        return Reply(Answer.FAILED, reason="The telco never received this top-up.")

    async def _record(self, loan: UUID, flight: _Flight, reply: Reply) -> Receipt:
        line = flight.line
        name = line.name if line else self.telco.name
        actor = Actor(type="integration", id=line.id if line else None, name=name)
        stamp = Stamp(at=self.environment.now(), actor=actor)
        work = record_reply(loan, flight.reference, reply)
        for _ in range(reply.callbacks):
            receipt = await self.ledger.submit(work, stamp)
        return receipt

    async def _look(self, id: UUID) -> list[_Flight]:
        def work(uow: UnitOfWork) -> tuple[UUID, list[_Flight]]:
            loan = uow.read(Loan, id)
            if loan.to_ask and is_open(uow):
                return id, [_flight(uow, loan, each) for each in loan.to_ask]
            if loan.to_ask:
                uow.remind("query-top-up", id, uow.now + LATER)
            else:
                uow.forget("query-top-up", id)
            return id, []

        _, flights = await self.ledger.decide(work, Stamp(at=self.environment.now(), actor=SYSTEM))
        return flights


def _flight(uow: UnitOfWork, loan: Loan, attempt: Attempt) -> _Flight:
    flight = _Flight(attempt.reference, attempt.asked_at, disputed=loan.disputed)
    user = uow.read(User, loan.user_id)
    unsent = attempt == loan.last and loan.disbursement is Disbursement.REQUESTED
    if unsent and (phone := uow.reveal(user.id, user.phone)):
        flight.to_send = TopUp(attempt.reference, phone, loan.network, loan.amount)
    if attempt.integration:
        integration = uow.read(ApiIntegration, attempt.integration)
        flight.line = line_to(uow, integration)
        flight.active = integration.status is IntegrationStatus.ACTIVE
    return flight
