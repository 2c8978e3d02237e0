"""Carrying messages to those who deliver them: several processes at once, and nothing twice."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection

from rim_ledger.book import Book, Work
from rim_ledger.core import SYSTEM, Stamp, Unavailable
from rim_ledger.ledger import Ledger
from rim_ledger.notifications.broadcast import GOING_OUT, BroadcastMessage, Phase, Target, chunks_of
from rim_ledger.notifications.broadcasting import Frozen, begin_due
from rim_ledger.notifications.hand_over import advance, look_at_chunk, settle, take_waiting
from rim_ledger.notifications.notification import WAITING
from rim_ledger.notifications.parcel import Hand, Outcome, Parcel
from rim_ledger.sending import Channel, Heard, Lane, Message, Providers, Unclear
from rim_ledger.store import Store
from rim_ledger.system.outbound import is_open
from rim_ledger.world import World

log = logging.getLogger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks at what waits."""
PAGE: Final = 100
DECLINED: Final = "The provider says that it failed."

# The next time is taken by whoever asks first, so nobody waits for anybody but for the rate.
PACE: Final = """
INSERT INTO ledger.paces AS p VALUES (%(provider)s, clock_timestamp() + %(takes)s * interval '1 s')
ON CONFLICT (provider) DO UPDATE
   SET free_at = greatest(p.free_at, clock_timestamp()) + %(takes)s * interval '1 s'
RETURNING extract(epoch FROM free_at - clock_timestamp())::float8 - %(takes)s"""

Find = Callable[[Target], Awaitable[Frozen]]
"""Who is meant, at this moment."""


class Courier:
    """Hands over what waits: single notifications, and broadcasts chunk by chunk."""

    def __init__(
        self, url: str, ledger: Ledger, providers: Providers, world: World, find: Find
    ) -> None:
        self._url, self._ledger, self._providers = url, ledger, providers
        self._world, self._find = world, find

    async def run(self) -> None:
        """Carry for ever. What fails, such as a database that is away, is tried again."""
        while True:
            try:
                await self.carry()
            except Exception as error:
                log.warning("messages could not be handed over: %s", type(error).__name__)
            await asyncio.sleep(INTERVAL)

    async def carry(self, at: datetime | None = None) -> int:
        """Hand over what waits at a business time (UTC, now when left out), but for what somebody
        else has in hand; how many messages that were."""
        moment = at or self._world.now()
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            lists = await Store(connection).listed({WAITING: PAGE, GOING_OUT: PAGE})
        (_, waiting), (_, going) = lists[WAITING], lists[GOING_OUT]
        due = [each for name, each in going.items() if name < f"{moment:%Y%m%dT%H%M%S.%f}0"]
        work = [self._broadcast(each, moment) for each in due]
        return sum(await asyncio.gather(self._singles([*waiting.values()]), *work))

    async def _singles(self, ids: Sequence[UUID]) -> int:
        if not ids:
            return 0
        async with self._lease("notifications") as free:
            if not free:
                return 0
            hand = Hand(self._providers)
            await self._decide(take_waiting(ids, hand))
            if outcomes := await self._hand_over(hand):
                await self._decide(settle(outcomes))
            return len(outcomes)

    async def _broadcast(self, id: UUID, at: datetime) -> int:
        """Go on with a broadcast, as long as there are chunks that nobody has in hand."""
        carried = 0
        if await self._begin(id, at):
            while progress := await self._chunks(id):
                carried += progress
        return carried

    async def _begin(self, id: UUID, at: datetime) -> bool:
        """Freeze the audience of a broadcast that is due; whether there is something to do."""
        due, going, target = False, False, None

        def look(book: Book) -> UUID:
            nonlocal due, going, target
            broadcast = book.read(BroadcastMessage, id)
            due, target = broadcast.phase is Phase.SCHEDULED, broadcast.target
            if not is_open(book):
                due = going = False
                return id
            sending = broadcast.phase is Phase.SENDING and not broadcast.waits(book.now)
            going = sending or (broadcast.over and broadcast.chunks > 0)
            return id

        await self._decide(look)
        if due and target:
            await self._decide(begin_due(id, await self._find(target)), at)
            await self._decide(look)
        return going

    async def _chunks(self, id: UUID) -> int:
        """Carry the first chunk that is free to its end; how many messages that were."""
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            (_, chunks), *_ = (await Store(connection).listed({chunks_of(id): PAGE})).values()
        for chunk in chunks.values():
            async with self._lease(f"chunk {chunk}") as free:
                if free and (carried := await self._chunk(chunk)):
                    return carried
        return 0

    async def _chunk(self, id: UUID) -> int:
        hand, carried = Hand(self._providers), 0
        await self._decide(look_at_chunk(id, hand))
        while True:
            outcomes = await self._hand_over(hand)
            if len(outcomes) < len(hand.parcels):
                return 0  # What is in doubt stays in hand until the provider tells.
            carried += len(outcomes)
            before = hand.seen
            await self._decide(advance(id, outcomes, hand))
            if hand.seen[0] == hand.seen[1]:  # It is done, or stands still.
                return carried + (before != hand.seen)

    async def _hand_over(self, hand: Hand) -> list[Outcome]:
        """Hand parcels over, each lane at its rate; what became of each, in no order, but of those
        whose provider gave no answer."""
        names = {each.lane.name for each in hand.parcels}
        lots = [[each for each in hand.parcels if each.lane.name == name] for name in names]
        done = await asyncio.gather(*(self._lot(lot) for lot in lots))
        return [outcome for lot in done for outcome in lot]

    async def _lot(self, lot: Sequence[Parcel]) -> list[Outcome]:
        await self._pace(lot[0].lane, len(lot))
        # Whatever goes wrong with one, nothing is let go while another is still being sent.
        carried = await asyncio.gather(*(self._carry(each) for each in lot), return_exceptions=True)
        if errors := [each for each in carried if isinstance(each, BaseException)]:
            raise errors[0]
        return [each for each in carried if isinstance(each, Outcome)]

    async def _pace(self, lane: Lane, count: int) -> None:
        """Wait until so many messages may go out; until then no other process sends any."""
        values = {"provider": lane.name, "takes": count / lane.rate}
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            row = await (await connection.execute(PACE, values)).fetchone()
        assert row is not None
        await asyncio.sleep(max(0.0, row[0]))

    async def _carry(self, parcel: Parcel) -> Outcome | None:
        lane, reference = parcel.lane, str(parcel.id)
        if parcel.again:
            heard = await self._ask(lane, reference)
            if heard is not Heard.NEVER:
                return Outcome(parcel.id, heard, DECLINED) if heard else None
        if parcel.to is None:
            return Outcome(parcel.id, Heard.NEVER, parcel.withheld)
        subject = parcel.subject if parcel.channel is Channel.EMAIL else None
        message = Message(parcel.channel, parcel.to, subject, parcel.body, reference, parcel.html)
        return await self._send(parcel.id, lane, message)

    @staticmethod
    async def _send(id: UUID, lane: Lane, message: Message) -> Outcome:
        if lane.closed or not lane.provider:
            return Outcome(id, Heard.FAILED, str(lane.closed))
        try:
            await lane.provider.send(message)
        except Unclear:
            return Outcome(id, Heard.UNKNOWN)
        except Unavailable as error:
            return Outcome(id, Heard.FAILED, str(error))
        except Exception as error:
            log.warning("a message may have gone or not: %s", type(error).__name__)
            return Outcome(id, Heard.UNKNOWN)
        return Outcome(id, Heard.SENT)

    @staticmethod
    async def _ask(lane: Lane, reference: str) -> Heard | None:
        """What became of a message that somebody had in hand who died; None without an answer,
        while there may still be one."""
        if lane.provider is None:
            return Heard.UNKNOWN
        try:
            return await lane.provider.ask(reference)
        except Unavailable:
            return Heard.UNKNOWN if lane.given_up else None

    async def _decide(self, work: Work, at: datetime | None = None) -> None:
        await self._ledger.submit(work, Stamp(at=at or self._world.now(), actor=SYSTEM))

    @asynccontextmanager
    async def _lease(self, what: str) -> AsyncIterator[bool]:
        """Whether nobody else has this in hand. The database ends the lease of a process that
        dies."""
        connection = await AsyncConnection.connect(self._url)
        async with connection, connection.transaction():
            cursor = await connection.execute(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [what]
            )
            row = await cursor.fetchone()
            yield bool(row and row[0])
