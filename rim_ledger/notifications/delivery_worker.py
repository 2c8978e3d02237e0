"""Delivers messages: several processes at once, each message once."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from psycopg import AsyncConnection

from rim_ledger.delivery.kill_switch import is_open
from rim_ledger.delivery.port import Channel, Verdict
from rim_ledger.delivery.providers import Providers
from rim_ledger.delivery.worker import Delivery, Outcomes, all_of, deliver
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.store import Store
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.broadcast import GOING_OUT, BroadcastMessage, Phase, Target, chunks_of
from rim_ledger.notifications.broadcast_commands import Frozen, begin_due
from rim_ledger.notifications.delivery_rules import (
    Intake,
    advance,
    check_chunk,
    retake,
    settle,
    take_waiting,
)
from rim_ledger.notifications.notification import in_flight, waiting
from rim_ledger.postgres.outage import Outages
from rim_ledger.postgres.pool import lease

log = logging.getLogger(__name__)

INTERVAL_SECONDS: Final = 1.0
"""Between two polls."""
PAGE: Final = 100
"""Entries of a list that are read at once."""
BROADCASTS: Final = 20
"""Broadcasts that are sent at once: each takes connections of its own."""
ASK_AGAIN: Final = timedelta(seconds=30)
"""Between two queries about a message in doubt."""

Find = Callable[[Target], Awaitable[Frozen]]
"""Returns the users of a target at this moment."""
DeliveryTask = Callable[[], Coroutine[Any, Any, int]]
"""A unit of delivery; returns how many messages it handled."""
T = TypeVar("T")


class DeliveryWorker:
    """Delivers waiting messages. Each channel and each broadcast is a task of its own, so that none
    waits for the rate or slowness of another."""

    def __init__(
        self, url: str, ledger: Ledger, lanes: Providers, environment: Environment, find: Find
    ) -> None:
        self._url, self._ledger, self._lanes = url, ledger, lanes
        self._environment, self._find = environment, find
        self._query_after: dict[UUID, datetime] = {}
        """When to query again about messages in doubt."""
        self._outages = Outages(log.warning, "messages")
        self._slots = asyncio.Semaphore(BROADCASTS)
        self._after = ""
        """The last broadcast of the previous poll; the next one continues there, so none starves.
        """

    async def run(self) -> None:
        """Deliver forever. On failure, such as an unavailable database, try again."""
        running: dict[str, asyncio.Task[int]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                running = {name: task for name, task in running.items() if not task.done()}
                none: dict[str, DeliveryTask] = {}
                for name, work in (await self._try(self._tasks, none)).items():
                    if name not in running:
                        running[name] = group.create_task(self._try(work, 0))
                await asyncio.sleep(INTERVAL_SECONDS)

    async def deliver_due(self, at: datetime | None = None) -> int:
        """Deliver what waits at a business time (UTC, default now), except what other workers have;
        return how many messages that were."""
        moment, delivered, self._after = at or self._environment.now(), 0, ""
        while True:
            tasks = await self._tasks(moment)
            delivered += sum(await all_of(each() for each in tasks.values()))
            if not self._after:
                return delivered

    async def _tasks(self, at: datetime | None = None) -> dict[str, DeliveryTask]:
        """Return the tasks by name: a page of broadcasts, and the channels."""
        now = self._environment.now()
        moment = at or now
        self._query_after = {id_: until for id_, until in self._query_after.items() if until > now}
        places = {kind(each): 1 for kind in (waiting, in_flight) for each in Channel}
        lists = await self._listed({GOING_OUT: BROADCASTS, **places}, {GOING_OUT: self._after})
        until = f"{moment:%Y%m%dT%H%M%S.%f}0"
        due = {name: id_ for name, id_ in lists[GOING_OUT].items() if name < until}
        self._after = max(due) if len(due) == BROADCASTS else ""
        singly = [each for each in Channel if lists[waiting(each)] or lists[in_flight(each)]]
        tasks: dict[str, DeliveryTask] = {each: partial(self._singles, each) for each in singly}
        return tasks | {str(id_): partial(self._broadcast, id_, moment) for id_ in due.values()}

    async def _singles(self, channel: Channel) -> int:
        """Deliver a channel's single messages, the oldest first, and settle those in doubt."""
        async with lease(self._url, waiting(channel)) as free:
            if not free:
                return 0
            left = [*(await self._listed({in_flight(channel): PAGE}))[in_flight(channel)].values()]
            return sum(await all_of([self._batch(left), self._waiting(channel)]))

    async def _waiting(self, channel: Channel) -> int:
        """Deliver batch by batch, up to a page; after that, messages in doubt are settled again."""
        delivered, place = 0, waiting(channel)
        while delivered < PAGE:
            ids = [*(await self._listed({place: PAGE}))[place].values()]
            if not (progress := await self._batch(ids)):
                break
            delivered += progress
        return delivered

    async def _batch(self, ids: Sequence[UUID]) -> int:
        """Take the first batch of these messages, and deliver it."""
        if not ids:
            return 0
        intake = Intake(self._lanes)
        await self._ledger.run(take_waiting(ids, intake))
        settled = await self._settle_doubts(intake)
        if outcomes := await self._deliver(intake.deliveries):
            await self._ledger.run(settle(outcomes))
        return settled + len(outcomes)

    async def _broadcast(self, id: UUID, at: datetime) -> int:
        """Continue a broadcast while there are free chunks."""
        delivered = 0
        async with self._slots:
            goes = await self._begin(id, at)
        while goes and (progress := await self._chunks(id)):
            delivered += progress
        return delivered

    async def _begin(self, id: UUID, at: datetime) -> bool:
        """Freeze the audience of a broadcast that is due; return whether it has work to do."""

        def look(uow: UnitOfWork) -> tuple[Target | None, bool]:
            broadcast, may = uow.read(BroadcastMessage, id), is_open(uow)
            due = may and broadcast.phase is Phase.SCHEDULED
            sending = broadcast.phase is Phase.SENDING and not broadcast.waits(uow.now)
            going = may and (sending or (broadcast.over and broadcast.chunks > 0))
            return broadcast.target if due else None, going

        due, going = await self._ledger.run(look)
        if due:
            await self._ledger.run(begin_due(id, await self._find(due)), at)
            _, going = await self._ledger.run(look)
        return going

    async def _chunks(self, id: UUID) -> int:
        """Deliver the first free chunk to its end; return how many messages that were."""
        async with self._slots:  # One chunk per slot, so that broadcasts take turns.
            chunks = (await self._listed({chunks_of(id): PAGE}))[chunks_of(id)]
            for chunk in chunks.values():
                async with lease(self._url, f"chunk {chunk}") as free:
                    if free and (delivered := await self._chunk(chunk)):
                        return delivered
        return 0

    async def _chunk(self, id: UUID) -> int:
        intake, outcomes = Intake(self._lanes), Outcomes()
        await self._ledger.run(check_chunk(id, intake))
        delivered = await self._settle_doubts(intake)
        if delivered < len(intake.doubts):
            return delivered  # Messages in doubt stay taken until the provider answers.
        while True:
            before = intake.seen
            await self._ledger.run(advance(id, outcomes, intake, before))
            if intake.seen[0] == intake.seen[1]:  # It is done, or held.
                return delivered + (before != intake.seen)
            outcomes = await self._deliver(intake.deliveries)
            delivered += len(outcomes)

    async def _settle_doubts(self, intake: Intake) -> int:
        """Settle what a dead process had taken; return how many outcomes are clear. What certainly
        never reached the provider is sent again, if it still may be."""
        now = self._environment.now()
        due = [each for each in intake.doubts if self._query_after.get(each.id, now) <= now]
        outcomes = await self._deliver(due)
        lost = [id_ for id_, each in outcomes.items() if each.verdict is Verdict.ABSENT]
        if lost:
            again = Intake(self._lanes)
            await self._ledger.run(retake(lost, again))
            clear = {id_: each for id_, each in outcomes.items() if id_ not in lost}
            outcomes = clear | await self._deliver(again.deliveries)
        if outcomes:
            await self._ledger.run(settle(outcomes))
        self._query_after |= {each.id: now + ASK_AGAIN for each in due if each.id not in outcomes}
        return len(outcomes)

    async def _deliver(self, items: Sequence[Delivery]) -> Outcomes:
        return await deliver(self._url, items, self._environment)

    async def _listed(
        self, wanted: Mapping[str, int], after: Mapping[str, str] | None = None
    ) -> dict[str, dict[str, UUID]]:
        """Return the first entries of some lists, or the first after an entry."""
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            return await Store(connection).listed(wanted, after)

    async def _try(self, work: Callable[[], Coroutine[Any, Any, T]], otherwise: T) -> T:
        """Return the result of a work, or `otherwise` if it fails; it is tried again later."""
        try:
            otherwise = await work()
            self._outages.end()
        except Exception as error:
            self._outages.begin(error)
        return otherwise
