"""The ledger: commands are decided in groups, and a group is committed in one statement."""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from typing import Any, Final, Self
from uuid import UUID

import psycopg
from msgspec import Struct

from rim_ledger.activity import logged
from rim_ledger.book import Book, Work, perform
from rim_ledger.core import Aggregate, Command, Creation, Event, Stamp, Unavailable
from rim_ledger.event_mac import Forged, RowForged
from rim_ledger.group import Group
from rim_ledger.known import Known
from rim_ledger.link import Link
from rim_ledger.missing import Missing
from rim_ledger.outcomes import Idempotency, Receipt, kept, replayed
from rim_ledger.store import Draft, Moved
from rim_ledger.vault import Vault
from rim_ledger.world import World

GROUP_MAX: Final = 500
ATTEMPTS_MAX: Final = 5
LOADS_MAX: Final = 20 * GROUP_MAX

Admit = Callable[[Book], None]
"""Sees to it that the caller may ask at all: sets actor and rights, or refuses."""


def admit_all(book: Book) -> None:
    """Nobody is kept out: the stamp already says who asks."""


class _Item(Struct):
    work: Work
    stamp: Stamp
    idempotency: Idempotency | None
    admit: Admit
    future: "asyncio.Future[Receipt]"
    answer: Receipt | Exception | None = None


class Ledger:
    """Every stream in the system, in one ordered log.

    One task decides and writes; a group is decided on committed state only, so a lost race means
    deciding again and nothing else. Answers, refusals included, go out after the commit.
    """

    def __init__(
        self,
        url: str,
        entities: dict[type[Event], type[Aggregate]],
        vault: Vault,
        world: World,
        erased: Callable[[Collection[UUID]], None] = lambda _: None,
    ) -> None:
        """`erased` is told whose keys were destroyed, after the commit and before the answers."""
        self._tell_erased = erased
        self._vault, self._world = vault, world
        self.known, self.link = Known(entities, vault), Link(url)
        self._waiting: list[_Item] = []
        self._wake = asyncio.Event()
        self._ended = False
        self._task: asyncio.Task[None] | None = None
        self._group = Group(self.known)
        self._draft: Draft | None = None
        self._landed = False

    async def __aenter__(self) -> Self:
        await self.link.connect()
        async with self.link.closing_on_error():
            await self.known.begin(self.link.store)
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what was accepted, then close."""
        await asyncio.gather(*(item.future for item in self._waiting), return_exceptions=True)
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self.link.close()

    @property
    def head(self) -> int:
        """The last position this process knows of."""
        return self.known.head

    async def submit(
        self,
        work: Work,
        stamp: Stamp,
        idempotency: Idempotency | None = None,
        admit: Admit = admit_all,
    ) -> Receipt:
        """Decide and commit. Raises Refused, or Unavailable when the store cannot be reached."""
        if self._ended:
            raise _ended()
        item = _Item(work, stamp, idempotency, admit, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        self._wake.set()
        return await item.future

    async def execute(
        self,
        kind: type[Aggregate],
        id: UUID | None,
        command: Command[Any] | Creation[Any],
        stamp: Stamp,
        idempotency: Idempotency | None = None,
    ) -> Receipt:
        """Run one command on a stream; a creation names its own, or is given a fresh id."""
        return await self.submit(lambda book: perform(book, kind, id, command), stamp, idempotency)

    async def _run(self) -> None:
        """Commit group after group. Should that ever end, nobody is left waiting for it."""
        try:
            await self._write_groups()
        finally:
            self._ended = True
            for item in self._waiting:
                item.answer = _ended()
            self._release(self._waiting)

    async def _write_groups(self) -> None:
        while True:
            await self._wake.wait()
            group = self._waiting[:GROUP_MAX]
            try:
                await self._commit(group)
            except Exception as error:
                for item in group:
                    item.answer = error
            del self._waiting[: len(group)]
            if not self._waiting:
                self._wake.clear()
            self._release(group)
            self.known.bound()

    @staticmethod
    def _release(group: list[_Item]) -> None:
        for item in (each for each in group if not each.future.done()):
            if isinstance(item.answer, Receipt):
                item.future.set_result(item.answer)
            else:
                item.future.set_exception(item.answer or AssertionError("no answer was decided"))

    async def _commit(self, group: list[_Item]) -> None:
        self._draft, self._landed = None, False
        for _ in range(ATTEMPTS_MAX):
            try:
                await self._try(group)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                await self.link.reconnect()
                self.known.numbers.clear()
            except (psycopg.DataError, Forged, RowForged) as error:
                await self._commit_one_by_one(group, error)
                return
            else:
                self._tell_of_erased()
                return
        raise Unavailable("busy", "The ledger could not commit in time. Please ask again.")

    def _tell_of_erased(self) -> None:
        if self._draft and self._draft.erased:
            self._tell_erased(self._draft.erased)

    async def _try(self, group: list[_Item]) -> None:
        if self._draft is None:
            with contextlib.suppress(Moved):
                await self._decide_and_write(group)
                return
        try:
            async with self.link.store.connection.transaction():
                await self.link.store.lock()
                await self._catch_up()
                if self._landed:
                    return  # the fold has told the cache, and maybe of what came after it
                await self._decide_and_write(group, accept=False)
        except BaseException:
            self.known.numbers.clear()  # what was reserved in this transaction is not ours
            raise
        self._accept()

    async def _decide_and_write(self, group: list[_Item], *, accept: bool = True) -> None:
        self._draft, self._landed = await self._decide(group), False
        await self.link.store.write(self._draft)
        if accept:
            self._accept()

    def _accept(self) -> None:
        assert self._draft is not None, "what was written was decided"
        self._group.accept(self._draft)

    async def _commit_one_by_one(self, group: list[_Item], error: Exception) -> None:
        """Something in the group cannot be stored, or asks for what is forged: it alone fails."""
        if len(group) == 1:
            group[0].answer = error
            return
        for item in group:
            try:
                await self._commit([item])
            except Exception as failure:
                item.answer = failure

    async def _decide(self, group: list[_Item]) -> Draft:
        """Decide in order of arrival. From the first that misses something on, the rest is tried
        only to learn what else is missing; then all that is loaded and they start over."""
        draft, self._group = self._empty_draft(), await self._open_group(group)
        done, loads = 0, 0
        while done < len(group):
            assert (loads := loads + 1) < LOADS_MAX, "a decision asks for something new each time"
            view, into, missing = self._group, draft, list[Missing]()
            for item in group[done:]:
                try:
                    self._decide_one(item, view, into)
                    done += not missing
                except Missing as miss:
                    if not missing:
                        view, into = view.copy(), self._empty_draft()
                    missing += miss.each
            await self._group.load(missing, self.link.store)
        draft.macs = self.known.codes(draft)
        return draft

    def _decide_one(self, item: _Item, view: Group, draft: Draft) -> None:
        """The answer to one item, and what it leaves in the draft. Raises Missing."""
        key = item.idempotency
        book = Book(view, self._vault, self._world, item.stamp)
        try:
            item.admit(book)
            if key and (before := view.outcomes.get((key.caller, key.key))):
                item.answer = replayed(before, key)
                return
            stream = item.work(book)
        except Missing:
            raise
        except Exception as error:
            item.answer = error
        else:
            item.answer = self._take(book, stream, view, draft)
        for activity in book.activities:
            line = self._world.new_id()
            draft.activities.append(logged(activity, book.stamp, item.answer, id=line, at=draft.at))
        if key and (text := kept(item.answer)):
            outcome = self.known.outcome(key.caller, key.key, key.request_hash, text)
            view.outcomes[key.caller, key.key] = outcome
            draft.outcomes.append(outcome)

    def _take(self, book: Book, stream: UUID, view: Group, draft: Draft) -> Receipt:
        view.take(book)
        for recorded in book.events:
            stored = self.known.codec.to_stored_event(recorded)
            draft.streams.append(recorded.originator_id)
            draft.versions.append(recorded.originator_version)
            draft.names.append(stored.topic)
            draft.bodies.append(stored.state.decode())
        draft.claims |= book.claims
        draft.keys |= {person: wrapped for person, (_, wrapped) in book.keys.items()}
        draft.erased |= book.erased
        draft.secrets |= book.secrets
        draft.reminders |= book.reminders
        entry = view.stream(stream)
        assert entry.aggregate is not None, "a decision names a stream that is there"
        name = entry.aggregate.BUSINESS_ID
        business_id = getattr(entry.aggregate, name) if name else None
        position = draft.head + len(draft.streams)
        return Receipt(entry.aggregate.id, business_id, entry.version, position)

    def _empty_draft(self) -> Draft:
        return Draft(head=self.known.head, at=max(self._world.now(), self.known.recorded_at))

    async def _open_group(self, group: list[_Item]) -> Group:
        view = Group(self.known)
        if keys := [(k.caller, k.key) for item in group if (k := item.idempotency)]:
            view.outcomes = await self.known.load_outcomes(self.link.store, keys)
        return view

    async def _catch_up(self) -> None:
        """Fold what was written since, and notice the draft if its commit went unanswered.

        A draft lies in the log whole or not at all, and only directly after the head it was
        decided on, so its first event tells. That is kept, as this way is not gone twice: the
        connection may break again further on.
        """
        draft = self._draft
        while lines := await self.link.store.after(self.known.head):
            for line in lines:
                if draft and draft.bodies and line.notification.id == draft.head + 1:
                    self._landed = line.notification.state.decode() == draft.bodies[0]
            self.known.follow(lines)


def _ended() -> Unavailable:
    return Unavailable("busy", "This process writes no more. Please ask again.")
