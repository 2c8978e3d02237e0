"""Carrying top-ups to the telco: one process at a time for each loan, and never twice."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from rim_ledger.book import Book
from rim_ledger.core import SYSTEM, Actor, Stamp
from rim_ledger.ledger import Ledger
from rim_ledger.lending.disbursement import record_reply
from rim_ledger.lending.loan import IN_FLIGHT, Disbursement, Loan
from rim_ledger.lending.telco import Answer, Reply, Telco, TopUp
from rim_ledger.lending.user import User
from rim_ledger.outcomes import Receipt
from rim_ledger.system.outbound import LATER, is_open
from rim_ledger.world import World

PATIENCE: Final = 5.0
"""Seconds that a caller waits for the telco; after that the answer comes with the clock."""

CALL_MAX: Final = 30.0
"""Seconds after which a telco that says nothing has given no answer."""

AT_ONCE: Final = 16
"""Top-ups and queries under way at once in this process; each holds a session as its lease."""

log = logging.getLogger(__name__)


class _Flight(Struct):
    """What a top-up needs to know of its loan, the phone in the clear."""

    order: TopUp | None = None
    disbursement: Disbursement = Disbursement.NONE


class Dispatch:
    """Sends what was requested and asks about what stayed open."""

    def __init__(self, url: str, ledger: Ledger, telco: Telco, world: World) -> None:
        self.url, self.ledger, self.telco, self.world = url, ledger, telco, world
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
        """Ask about a top-up that is requested or unknown, unless somebody has it in hand."""
        async with self._at_once, self._lease(loan) as free:
            flight = await self._look(loan)
            if free and flight.order and flight.disbursement in IN_FLIGHT:
                await self._record(loan, flight.order, await self._ask(flight.order, again=True))

    async def drain(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _send(self, loan: UUID) -> Receipt | None:
        if not _may_be_sent(await self._look(loan)):
            return None
        async with self._at_once, self._lease(loan) as free:
            order = _may_be_sent(await self._look(loan))
            if not free or not order:
                return None
            return await self._record(loan, order, await self._ask(order))

    async def _ask(self, order: TopUp, *, again: bool = False) -> Reply:
        call = self.telco.query(order.reference) if again else self.telco.top_up(order)
        try:
            return await asyncio.wait_for(call, CALL_MAX)
        except TimeoutError:
            return Reply(Answer.UNKNOWN)

    async def _record(self, loan: UUID, order: TopUp, reply: Reply) -> Receipt:
        stamp = Stamp(at=self.world.now(), actor=Actor(type="integration", name=self.telco.name))
        for _ in range(reply.callbacks):
            receipt = await self.ledger.submit(record_reply(loan, order.reference, reply), stamp)
        return receipt

    async def _look(self, id: UUID) -> _Flight:
        flight = _Flight()

        def work(book: Book) -> UUID:
            loan = book.read(Loan, id)
            user = book.read(User, loan.user_id)
            phone = book.reveal(user.id, user.phone)
            flight.disbursement = loan.disbursement
            if not is_open(book):
                book.remind("query-top-up", id, book.now + LATER)
            elif loan.reference and phone:
                flight.order = TopUp(loan.reference, phone, loan.network, loan.amount)
            return id

        await self.ledger.submit(work, Stamp(at=self.world.now(), actor=SYSTEM))
        return flight

    @asynccontextmanager
    async def _lease(self, loan: UUID) -> AsyncIterator[bool]:
        """Whether nobody else has this loan in hand. The database ends the lease of a process
        that dies."""
        connection = await AsyncConnection.connect(self.url)
        async with connection, connection.transaction():
            cursor = await connection.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"top-up {loan}"]
            )
            row = await cursor.fetchone()
            yield bool(row and row[0])


def _may_be_sent(flight: _Flight) -> TopUp | None:
    return flight.order if flight.disbursement is Disbursement.REQUESTED else None
