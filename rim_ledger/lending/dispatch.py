"""Carrying top-ups to the telco: one process at a time for each loan, and never twice."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.book import Book
from rim_ledger.core import SYSTEM, Actor, Stamp
from rim_ledger.delivery.airtime import TopUp
from rim_ledger.delivery.kill_switch import LATER, is_open
from rim_ledger.delivery.port import UNKNOWN, Lane, Outcome, Verdict
from rim_ledger.delivery.providers import Providers
from rim_ledger.lease import lease
from rim_ledger.ledger import Ledger
from rim_ledger.lending.attempt import Attempt, Disbursement
from rim_ledger.lending.disbursement import record_outcome
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.user import User
from rim_ledger.outcomes import Receipt
from rim_ledger.world import World

ANSWER_TIMEOUT_SECONDS: Final = 5.0
"""For so long a caller waits for the telco; after that the answer comes with the clock."""
AT_ONCE: Final = 16
"""Top-ups and queries under way at once in this process; each holds a session as its lease."""

DISPUTED: Final = "An earlier top-up of this loan came meanwhile."

log = logging.getLogger(__name__)


class _Flight(Struct):
    """A top-up whose outcome is open: the way that it takes, and what there is to send, the phone
    in the clear, if it has not been sent."""

    attempt: Attempt
    lane: Lane
    to_send: TopUp | None = None
    disputed: bool = False


class Dispatch:
    """Sends what was requested and asks about what stayed open: through the integration that it
    was requested through, or else the telco of this installation."""

    def __init__(self, url: str, ledger: Ledger, providers: Providers, world: World) -> None:
        self.url, self.ledger, self.providers, self.world = url, ledger, providers, world
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._under_way: set[asyncio.Task[Receipt | None]] = set()

    async def disburse(self, request: Callable[[], Awaitable[Receipt]]) -> Receipt:
        """Commit the request, then send it; the last receipt known after
        `ANSWER_TIMEOUT_SECONDS`."""
        receipt = await request()
        if receipt.replayed:
            return receipt
        task = asyncio.create_task(self._send(receipt.id))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.wait([task], timeout=ANSWER_TIMEOUT_SECONDS)
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
            outcomes = await asyncio.gather(*map(self._ask, flights))
            for flight, outcome in zip(flights, outcomes, strict=True):
                await self._record(loan, flight, outcome)

    async def drain(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _send(self, loan: UUID) -> Receipt | None:
        if not await self._to_send(loan):
            return None
        async with self._at_once, lease(self.url, f"top-up {loan}") as free:
            flight = await self._to_send(loan) if free else None
            if flight is None:
                return None
            if flight.disputed:
                outcome = Outcome(Verdict.FAILED, DISPUTED)
            else:
                outcome = await flight.lane.send(flight.to_send)
            return await self._record(loan, flight, outcome)

    async def _to_send(self, loan: UUID) -> _Flight | None:
        return next((each for each in await self._look(loan) if each.to_send), None)

    async def _ask(self, flight: _Flight) -> Outcome:
        attempt, now = flight.attempt, self.world.now()
        return await flight.lane.query(attempt.reference, attempt.asked_at, now) or UNKNOWN

    async def _record(self, loan: UUID, flight: _Flight, outcome: Outcome) -> Receipt:
        lane = flight.lane
        actor = Actor(type="integration", id=lane.integration, name=lane.name)
        stamp = Stamp(at=self.world.now(), actor=actor)
        work = record_outcome(loan, flight.attempt.reference, outcome)
        for _ in range(outcome.times):
            receipt = await self.ledger.submit(work, stamp)
        return receipt

    async def _look(self, id: UUID) -> list[_Flight]:
        def work(book: Book) -> tuple[UUID, list[_Flight]]:
            loan = book.read(Loan, id)
            if loan.to_ask and is_open(book):
                return id, [self._flight(book, loan, each) for each in loan.to_ask]
            if loan.to_ask:
                book.remind("query-top-up", id, book.now + LATER)
            else:
                book.forget("query-top-up", id)
            return id, []

        _, flights = await self.ledger.decide(work, Stamp(at=self.world.now(), actor=SYSTEM))
        return flights

    def _flight(self, book: Book, loan: Loan, attempt: Attempt) -> _Flight:
        lane = self.providers.airtime(attempt.integration, book)
        flight = _Flight(attempt, lane, disputed=loan.disputed)
        user = book.read(User, loan.user_id)
        unsent = attempt == loan.last and loan.disbursement is Disbursement.REQUESTED
        if unsent and (phone := book.reveal(user.id, user.phone)):
            flight.to_send = TopUp(attempt.reference, phone, loan.network, loan.amount)
        return flight
