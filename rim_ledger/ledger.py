"""The ledger: commands are decided in groups, and a group is committed in one statement."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any, Final, Self
from uuid import UUID

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct
from psycopg import AsyncConnection

from rim_ledger.activity import logged
from rim_ledger.book import Book, Entry, Missing, Work, perform
from rim_ledger.codec import Codec, Recorded
from rim_ledger.core import (
    Aggregate,
    Command,
    Creation,
    Event,
    Stamp,
    Unavailable,
)
from rim_ledger.group import Group
from rim_ledger.lists import Claim
from rim_ledger.outcomes import Idempotency, Receipt, kept, replayed
from rim_ledger.store import Draft, Line, Moved, Outcome, Store
from rim_ledger.vault import Vault
from rim_ledger.world import World

GROUP_MAX: Final = 500
CACHE_MAX: Final = 20_000
ATTEMPTS_MAX: Final = 5
NUMBERS_AT_ONCE: Final = 256
NUMBERS_MAX: Final = 8192
"""Numbers reserved at once: as many again as this process has had, between these two. So a busy
process rarely asks, and a quiet one leaves a small gap when it ends."""
LOADS_MAX: Final = 20 * GROUP_MAX
PATIENCE: Final = 10.0
"""Seconds that a command waits for a lost database to come back."""

EPOCH: Final = datetime.fromtimestamp(0, UTC)

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
        self._url, self._entities, self._vault, self._world = url, entities, vault, world
        self._codec = Codec({event.__name__: event for event in entities})
        self._head, self._recorded_at = 0, EPOCH
        self.streams: dict[UUID, Entry] = {}
        self.claims: dict[Claim, UUID | None] = {}
        self.keys: dict[UUID, AESGCM | None] = {}
        self.numbers: dict[tuple[str, int], range] = {}
        self._reserved: Counter[tuple[str, int]] = Counter()
        self._waiting: list[_Item] = []
        self._wake = asyncio.Event()
        self._ended = False
        self._store: Store | None = None
        self._backend: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._group = Group(self)
        self._draft: Draft | None = None
        self._landed = False

    async def __aenter__(self) -> Self:
        await self._connect()
        row = await (
            await self._connected.connection.execute(
                "SELECT position, recorded_at FROM ledger.events ORDER BY position DESC LIMIT 1"
            )
        ).fetchone()
        if row:
            self._head, self._recorded_at = row
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what was accepted, then close."""
        await asyncio.gather(*(item.future for item in self._waiting), return_exceptions=True)
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        await self._connected.connection.close()

    @property
    def head(self) -> int:
        """The last position this process knows of."""
        return self._head

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
            self._fail(self._waiting)

    @staticmethod
    def _fail(items: list[_Item]) -> None:
        for item in items:
            if not item.future.done():
                item.future.set_exception(_ended())

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
            self._bound()

    @staticmethod
    def _release(group: list[_Item]) -> None:
        for item in group:
            if item.future.done():
                continue
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
                await self._reconnect()
            except psycopg.DataError as error:
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
            async with self._connected.connection.transaction():
                await self._connected.lock()
                await self._catch_up()
                if self._landed:
                    return  # the fold has told the cache, and maybe of what came after it
                await self._decide_and_write(group, accept=False)
        except BaseException:
            self.numbers.clear()  # what was reserved in this transaction is not ours any more
            raise
        self._accept()

    async def _decide_and_write(self, group: list[_Item], *, accept: bool = True) -> None:
        self._draft, self._landed = await self._decide(group), False
        await self._connected.write(self._draft)
        if accept:
            self._accept()

    async def _commit_one_by_one(self, group: list[_Item], error: Exception) -> None:
        """Something in the group cannot be stored: only its own command fails."""
        if len(group) == 1:
            group[0].answer = error
            return
        for item in group:
            try:
                await self._commit([item])
            except Exception as failure:
                item.answer = failure

    def _accept(self) -> None:
        """The draft is durable: what it says is now what is known."""
        draft = self._draft
        assert draft is not None
        if self._head == draft.head and draft.streams:
            self._head, self._recorded_at = draft.head + len(draft.streams), draft.at
        self.streams |= self._group.streams
        self.claims |= self._group.claims
        self.keys |= self._group.keys
        self.numbers = self._group.numbers

    async def _decide(self, group: list[_Item]) -> Draft:
        """Decide in order of arrival. From the first decision that misses something on, the rest
        is tried only to learn what else is missing; then all that is loaded and they start over."""
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
            await self._load(missing)
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
            outcome = Outcome(key.caller, key.key, key.request_hash, text)
            view.outcomes[key.caller, key.key] = outcome
            draft.outcomes.append(outcome)

    def _take(self, book: Book, stream: UUID, view: Group, draft: Draft) -> Receipt:
        view.take(book)
        for recorded in book.events:
            stored = self._codec.to_stored_event(recorded)
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
        return Draft(head=self._head, at=max(self._world.now(), self._recorded_at))

    async def _open_group(self, group: list[_Item]) -> Group:
        view = Group(self)
        if keys := [(k.caller, k.key) for item in group if (k := item.idempotency)]:
            for outcome in await self._connected.outcomes(keys):
                view.outcomes[outcome.caller, outcome.key] = outcome
        return view

    async def _load(self, missing: list[Missing]) -> None:
        """Learn what is missing. That something is not there is believed of an answer only, and
        not of a question that went unanswered."""
        store = self._connected
        if ids := {each.stream for each in missing if each.stream}:
            lines = await store.streams(ids)
            self.streams |= dict.fromkeys(ids, Entry())
            for line in lines:
                self._fold(line)
        if claims := {each.claim for each in missing if each.claim}:
            held = await store.claims(list(claims))
            self.claims |= dict.fromkeys(claims) | held
        if persons := {each.person for each in missing if each.person}:
            rows = await store.keys(persons)
            for person in persons:
                self.keys[person] = self._vault.unwrap(person, rows.get(person))
        if secrets := {each.secret for each in missing if each.secret}:
            kept = await store.secrets(list(secrets))
            self._group.secrets |= dict.fromkeys(secrets) | kept
        if lists := dict(sorted(each.listing for each in missing if each.listing)):
            self._group.lists |= await store.listed(lists)
        numbers = [each.number for each in missing if each.number]
        for prefix, year in set(numbers):
            again = min(self._reserved[prefix, year], NUMBERS_MAX)
            count = max(NUMBERS_AT_ONCE, 2 * numbers.count((prefix, year)), again)
            block = await store.reserve(prefix, year, count)
            self._reserved[prefix, year] += count
            self.numbers[prefix, year] = self._group.numbers[prefix, year] = block

    def _fold(self, line: Line) -> None:
        """Bring a cached stream forward by one event, if it is the next one."""
        recorded: Recorded = self._codec.to_domain_event(line.notification)
        stream, version = recorded.originator_id, recorded.originator_version
        entry = self.streams.get(stream)
        if entry is not None and entry.version == version - 1:
            event, stamp = recorded.event, recorded.stamp
            kind = self._entities[type(event)]
            after = (
                entry.aggregate.evolve(event, stamp)
                if entry.aggregate
                else kind.begin(stream, event, stamp)
            )
            self.streams[stream] = Entry(after, version, recorded.id)

    async def _catch_up(self) -> None:
        """Fold what was written since, and notice the draft if its commit went unanswered.

        A draft lies in the log whole or not at all, and only directly after the head it was
        decided on, so its first event tells. That is kept, as this way is not gone twice: the
        connection may break again further on.
        """
        draft = self._draft
        while lines := await self._connected.after(self._head):
            for line in lines:
                position = line.notification.id
                if draft and draft.bodies and position == draft.head + 1:
                    self._landed = line.notification.state.decode() == draft.bodies[0]
                self._fold(line)
                self._head, self._recorded_at = position, line.recorded_at
            self.claims.clear()
            self.keys.clear()

    @property
    def _connected(self) -> Store:
        assert self._store is not None, "the ledger is used as an async context manager"
        return self._store

    async def _connect(self, gone: int | None = None) -> None:
        connection = await AsyncConnection.connect(self._url, autocommit=True)
        self._store, self._backend = Store(connection), connection.info.backend_pid
        if gone:
            await self._end_session(gone)
        await self._store.prepare()

    async def _reconnect(self) -> None:
        """Come back to the database, and see the old session ended before anything is decided:
        what it may still have been committing is then known for good."""
        gone = self._backend
        await self._connected.connection.close()
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            try:
                await self._connect(gone)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if asyncio.get_running_loop().time() > deadline:
                    raise Unavailable(
                        "store-unavailable", "The ledger's database cannot be reached."
                    ) from None
                await asyncio.sleep(0.2)
            else:
                break
        self.numbers.clear()

    async def _end_session(self, backend: int) -> None:
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid = %s AND pid <> pg_backend_pid() AND usename = session_user"
        )
        while (await self._connected.connection.execute(query, [backend])).rowcount:  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def _bound(self) -> None:
        """Keep the cache small: the oldest entries go first, and are loaded again when needed."""
        for cache in (self.streams, self.claims, self.keys):
            _forget_oldest(cache)


def _ended() -> Unavailable:
    return Unavailable("busy", "This process writes no more. Please ask again.")


def _forget_oldest(cache: dict[Any, Any]) -> None:
    while len(cache) > CACHE_MAX:
        del cache[next(iter(cache))]
