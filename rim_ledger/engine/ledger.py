"""The ledger: commands are decided in batches, and a batch is committed in one statement."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any, Final, Self, TypeVar, overload
from uuid import UUID

import psycopg
from psycopg.errors import ReadOnlySqlTransaction

from rim_ledger.engine.aggregate import SYSTEM, Aggregate, Event, Stamp
from rim_ledger.engine.batch import Batch
from rim_ledger.engine.cache import Cache
from rim_ledger.engine.command import Command, Creation, perform
from rim_ledger.engine.connection import WriteConnection
from rim_ledger.engine.deciding import Admit, Deciding, Item
from rim_ledger.engine.draft import Draft
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.event_mac import Forged, RowForged
from rim_ledger.engine.idempotency import Idempotency, Receipt
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.engine.store import Moved
from rim_ledger.engine.turns import Turns
from rim_ledger.engine.unit_of_work import UnitOfWork, Work
from rim_ledger.engine.view import Wanted
from rim_ledger.postgres.outage import OUTAGE, Outages, unwritable
from rim_ledger.vault.personal_keys import Vault

ITEMS_MAX: Final = 500
ATTEMPTS_MAX: Final = 5

T = TypeVar("T")

log = logging.getLogger("rim_ledger")


def admit_all(uow: UnitOfWork) -> None:
    """Admit the caller that the stamp names."""


class Ledger:
    """Every stream in the system, in one ordered log.

    One task decides and writes; a batch is decided on committed state only, so a lost race means
    deciding again and nothing else. Answers, refusals included, go out after the commit.
    """

    def __init__(
        self,
        url: str,
        entities: dict[type[Event], type[Aggregate]],
        vault: Vault,
        environment: Environment,
        erased: Callable[[Collection[UUID]], None] = lambda _: None,
    ) -> None:
        """`erased` is called with the persons whose keys were destroyed, after the commit and
        before the answers."""
        self._tell_erased, self._environment = erased, environment
        self.cache, self.connection = Cache(entities, vault), WriteConnection(url)
        self._waiting = Turns[Item]()
        self._wake = asyncio.Event()
        self._ended = False
        self._task: asyncio.Task[None] | None = None
        self._deciding = Deciding(self.cache, vault, environment)
        self._batch = Batch(self.cache)
        self._draft: Draft | None = None
        self._landed = False
        self.outage: Unavailable | None = None
        """Why the store accepts no writes, until `recovered` is called."""
        self._outages = Outages(log.warning, "the ledger")

    async def __aenter__(self) -> Self:
        await self.connection.connect()
        try:
            await self.cache.begin(self.connection.store)
        except BaseException:
            await self.connection.close()
            raise
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what was accepted, then close."""
        await asyncio.gather(*(item.future for item in self._waiting), return_exceptions=True)
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.connection.close()

    @property
    def head(self) -> int:
        """The last position that this process has read."""
        return self.cache.head

    async def submit(
        self,
        work: Work,
        stamp: Stamp,
        idempotency: Idempotency | None = None,
        admit: Admit = admit_all,
    ) -> Receipt:
        """Decide and commit; return the receipt of the stream that the decision returns.

        Raises Refused, or Unavailable if the store cannot be reached.
        """
        receipt, _ = await self.decide(lambda uow: (work(uow), None), stamp, idempotency, admit)
        return receipt

    @overload
    async def decide(
        self,
        work: Callable[[UnitOfWork], tuple[UUID, T]],
        stamp: Stamp,
        idempotency: Idempotency | None = None,
        admit: Admit = admit_all,
        reads: Collection[Wanted] = (),
        *,
        keeps_value: bool = False,
    ) -> tuple[Receipt, T]: ...

    @overload
    async def decide(
        self,
        work: Callable[[UnitOfWork], tuple[None, T]],
        stamp: Stamp,
        idempotency: Idempotency | None = None,
        admit: Admit = admit_all,
        reads: Collection[Wanted] = (),
    ) -> tuple[Receipt | None, T]: ...

    async def decide(
        self,
        work: Callable[[UnitOfWork], tuple[UUID | None, T]],
        stamp: Stamp,
        idempotency: Idempotency | None = None,
        admit: Admit = admit_all,
        reads: Collection[Wanted] = (),
        *,
        keeps_value: bool = False,
    ) -> tuple[Receipt | None, T]:
        """Decide and commit; return the receipt of the stream that the decision returns, if any,
        and its value.

        With `keeps_value` the value is stored under the idempotency key, as JSON, and replayed;
        without, the value of a replayed receipt is None. What it surely `reads` is loaded before it
        is decided. Raises as `submit` does.
        """
        item = Item(work, stamp, idempotency, admit, reads, keeps_value=keeps_value)
        return await self._add(item)

    async def read(
        self,
        look: Callable[[UnitOfWork], T],
        stamp: Stamp,
        admit: Admit = admit_all,
        *,
        in_outage: bool = False,
        writes: bool = True,
    ) -> T:
        """Return what a function reads in the ledger as it is. Raises as `submit` does.

        What the admission `writes` is committed first, or not at all. A read `in_outage` is decided
        also while the store accepts no writes: `UnitOfWork.outage` is set then, and nothing is
        stored.
        """
        seen = Item(
            lambda uow: (None, look(uow)), stamp, None, admit, reading=in_outage, writes=writes
        )
        found: tuple[None, T] = await self._add(seen)
        return found[1]

    async def run(self, work: Callable[[UnitOfWork], T], at: datetime | None = None) -> T:
        """Let the system decide at a business time (UTC, default now), and commit; return what the
        decision returns. Raises as `submit` does."""
        return await self.read(work, Stamp(at=at or self._environment.now(), actor=SYSTEM))

    def _add(self, item: Item) -> "asyncio.Future[tuple[Any, Any]]":
        """Queue an item for the next batch. Raises Unavailable if there will be none."""
        if self._ended:
            raise _ended()
        self._waiting.add(item)
        self._wake.set()
        return item.future

    async def execute(
        self,
        kind: type[Aggregate],
        id: UUID | None,
        command: Command[Any] | Creation[Any],
        stamp: Stamp,
        idempotency: Idempotency | None = None,
    ) -> Receipt:
        """Run one command on a stream; a creation determines its own, or gets a new id."""
        return await self.submit(lambda uow: perform(uow, kind, id, command), stamp, idempotency)

    async def _run(self) -> None:
        """Commit batch after batch. If that ever ends, waiting callers get an error."""
        try:
            await self._write_batches()
        finally:
            self._ended = True
            for item in (left := list(self._waiting)):
                item.answer = _ended()
            self._release(left)

    async def _write_batches(self) -> None:
        while True:
            await self._wake.wait()
            # Deciding may leave some of it for the next batch.
            items = self._waiting.take(ITEMS_MAX)
            try:
                await self._commit(items)
            except (psycopg.DataError, Forged, RowForged) as error:
                await self._commit_one_by_one(items, error)
            except Exception as error:
                for item in items:
                    item.answer = error
            self._waiting.leave(len(items))
            if not self._waiting:
                self._wake.clear()
            self._release(items)
            self.cache.shrink()

    @staticmethod
    def _release(items: list[Item]) -> None:
        for item in (each for each in items if not each.future.done()):
            if isinstance(item.answer, Exception):
                item.future.set_exception(item.answer)
            else:
                item.future.set_result((item.answer, item.value))

    async def _commit(self, items: list[Item]) -> None:
        self._draft, self._landed, renewed = None, False, False
        for _ in range(ATTEMPTS_MAX):
            try:
                await self._try(items)
            except OUTAGE as error:
                reason = unwritable(error)
                # A session that began read-only stays so, so a new one is tried first.
                stale = not renewed and isinstance(error, ReadOnlySqlTransaction)
                if not stale:
                    self._outages.begin(error)
                if reason and not stale:
                    await self._only_look(items, reason)
                    return
                await self.connection.reconnect()
                renewed = True
            else:
                self._tell_of_erased()
                return
        raise _busy()

    async def _only_look(self, items: list[Item], reason: Unavailable) -> None:
        """Decide only reads, and refuse the rest: nothing can be written."""
        self.outage = reason
        for item in items:
            item.answer = reason
        if not (readers := [item for item in items if item.reading]):
            return
        self._draft = None
        for _ in range(ATTEMPTS_MAX):
            with contextlib.suppress(Moved):
                await self._catch_up()
                store = self.connection.store
                draft, _ = await self._deciding.decide(readers, store, reason)
                await store.write(draft)
                return
        raise _busy()

    def recovered(self) -> None:
        """Resume: the store accepts writes again."""
        self.outage = None
        self._outages.end()

    def _tell_of_erased(self) -> None:
        if self._draft and self._draft.erased:
            self._tell_erased(self._draft.erased)

    async def _try(self, items: list[Item]) -> None:
        if self._draft is None:
            with contextlib.suppress(Moved):
                await self._decide_and_write(items)
                return
        # Most of it while others write, so that little is left for the lock.
        await self._catch_up()
        async with self.connection.store.connection.transaction():
            await self.connection.store.lock()
            await self._catch_up()
            if self._landed:
                return  # the fold updated the cache, perhaps beyond this draft
            await self._decide_and_write(items, accept=False)
        self._accept()

    async def _decide_and_write(self, items: list[Item], *, accept: bool = True) -> None:
        self._draft, self._batch = await self._deciding.decide(items, self.connection.store)
        self._landed = False
        await self.connection.store.write(self._draft)
        if accept:
            self._accept()

    def _accept(self) -> None:
        assert self._draft is not None, "what was written was decided"
        self._batch.accept(self._draft)
        if not self.outage:  # A full disk accepts small writes: see `outage.probe`.
            self._outages.end()

    async def _commit_one_by_one(self, items: list[Item], error: Exception) -> None:
        """One item cannot be stored, or reads something forged: only that one fails."""
        if len(items) == 1:
            items[0].answer = error
            return
        for item in items:
            try:
                await self._commit([item])
            except Exception as failure:
                item.answer = failure

    async def _catch_up(self) -> None:
        """Fold what was written since, and detect whether an unanswered commit of the draft
        succeeded.

        A draft is in the log as a whole or not at all, and only directly after the head it was
        decided on, so its first event tells. The result is remembered, since the connection may
        break again while reading further.
        """
        draft = self._draft
        while lines := await self.connection.store.after(self.cache.head):
            for line in lines:
                if draft and draft.bodies and line.position == draft.head + 1:
                    self._landed = line.body.decode() == draft.bodies[0]
            self.cache.follow(lines)


def _busy() -> Unavailable:
    return Unavailable("busy", "The ledger could not commit in time. Please ask again.")


def _ended() -> Unavailable:
    return Unavailable("busy", "This process writes no more. Please ask again.")
