"""Decides a batch of commands in order, into one draft."""

import asyncio
from collections.abc import Callable, Collection
from datetime import UTC
from time import perf_counter
from typing import Any, Final
from uuid import UUID

from msgspec import Struct, field
from msgspec.structs import asdict

from rim_ledger.engine.activity import logged, refused_request, with_uuids
from rim_ledger.engine.aggregate import Stamp
from rim_ledger.engine.batch import Batch
from rim_ledger.engine.cache import Cache
from rim_ledger.engine.draft import Draft
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.event_mac import leaf
from rim_ledger.engine.idempotency import Idempotency, Receipt, kept, replayed
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.engine.rows import DONE
from rim_ledger.engine.store import Store
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.engine.view import Missing, Wanted
from rim_ledger.vault import sealed_row
from rim_ledger.vault.personal_keys import Vault

LOADS_MAX: Final = 10_000
SECONDS_MAX: Final = 0.25
"""Seconds of deciding after which a batch takes no more items, so that other callers get a turn."""

UNDECIDED: Final = AssertionError("no answer was decided")

Admit = Callable[[UnitOfWork], None]
"""Authenticates and authorises the caller: sets actor and rights, or refuses."""


class Item(Struct):
    """A decision that a caller waits for."""

    work: Callable[[UnitOfWork], tuple[UUID | None, Any]]
    """Returns the stream of the receipt, None for a read, and the decision's value."""
    stamp: Stamp
    idempotency: Idempotency | None
    admit: Admit
    reads: Collection[Wanted] = ()
    """Rows that it surely reads."""
    reading: bool = False
    """Whether it is decided even while the store accepts no writes."""
    writes: bool = True
    """Whether its writes are committed; its log lines always are."""
    keeps_value: bool = False
    """Whether its value is stored under the idempotency key, as JSON."""
    future: "asyncio.Future[tuple[Any, Any]]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    """Its receipt (None for a read) and its value."""
    answer: Receipt | Exception | None = UNDECIDED
    value: Any = None


class Deciding:
    """Decides batches for one process."""

    def __init__(self, cache: Cache, vault: Vault, environment: Environment) -> None:
        self._cache, self._vault, self._environment = cache, vault, environment

    async def decide(
        self, items: list[Item], store: Store, outage: Unavailable | None = None
    ) -> tuple[Draft, Batch]:
        """Decide in order, once what the items surely read is loaded. After the first decision that
        misses something, the rest is only tried in order to find what else is missing; then all
        that is loaded, and deciding resumes. Items beyond the time limit, except the first, are
        removed from the batch, unless there is an outage."""
        draft = self._empty_draft()
        whole = Batch(self._cache, draft.at)
        keys = (item.idempotency for item in items if item.idempotency)
        if scopes := [(key.caller, key.key) for key in keys if key.caller]:
            await whole.load_outcomes(scopes, store)
        await whole.look_ahead({each for item in items for each in item.reads}, store)
        done, loads = 0, 0
        while done < len(items):
            assert (loads := loads + 1) < LOADS_MAX, "a decision asks for something new each time"
            view, into, missing = whole, draft, list[Wanted]()
            begun = perf_counter()
            for place, item in enumerate(items[done:], done):
                if place and not outage and perf_counter() - begun > SECONDS_MAX:
                    del items[place:]
                    break
                try:
                    self._decide_one(item, view, into, outage)
                    done += not missing
                except Missing as miss:
                    if not missing:
                        view, into = view.copy(), self._empty_draft()
                    missing += miss.rows
            await whole.load(missing, store)
        return draft, whole

    def _decide_one(
        self, item: Item, view: Batch, draft: Draft, outage: Unavailable | None
    ) -> None:
        """Decide one item: set its answer, and add its writes to the draft. Raises Missing."""
        key = item.idempotency
        uow = UnitOfWork(view, self._vault, self._environment, item.stamp.taken_in(draft.at))
        uow.outage = outage
        stream: UUID | None = None
        failure: Exception | None = None
        scope: tuple[str, str] | None = None
        position = draft.head + len(draft.streams)
        try:
            item.admit(uow)
            scope = (key.caller or str(uow.stamp.actor.id), key.key) if key else None
            if key and scope and (before := view.outcome(scope)):
                item.answer, item.value = replayed(before, key)
                return
            stream, item.value = item.work(uow)
        except Missing:
            raise
        except Exception as error:
            failure = error
        activities = [with_uuids(each, uow.holder) for each in uow.activities]
        if failure is None and item.writes and not outage:
            uow.mentioned += [DONE + view.key_prints[scope]] if scope else []
            self._take(uow, view, draft)
        item.answer = failure or (_receipt(stream, uow, view, draft) if stream else None)
        if outage:
            return
        for asked in uow.refused_requests:
            line, at = self._environment.new_id(), draft.at
            line_of = refused_request(asked, uow.stamp, id=line, position=position, at=at)
            said = sealed_row.entry("refused_requests", asdict(line_of))
            draft.refused_requests.append(self._cache.coded(said))
        for activity in activities:
            line = self._environment.new_id()
            made = logged(activity, uow.stamp, item.answer, id=line, at=draft.at)
            draft.activities.append(self._cache.coded(sealed_row.entry_of("activity", made)))
        if key and scope and (text := kept(item.answer, item.value if item.keeps_value else None)):
            outcome = self._cache.outcome(*scope, key.request_hash, text)
            view.outcomes[scope] = outcome
            draft.outcomes.append(outcome)

    def _take(self, uow: UnitOfWork, view: Batch, draft: Draft) -> None:
        if not uow.events:
            uow.numbers.clear()  # A number is taken only by an event that has it.
        moved = uow.moves()
        view.take(uow, moved)
        for position, recorded in enumerate(uow.events, draft.head + len(draft.streams) + 1):
            stream, version = recorded.originator_id, recorded.originator_version
            name, body = type(recorded.event).__name__, self._cache.codec.body(recorded)
            entry = leaf(position, stream, version, name, recorded_at=draft.at, body=body)
            draft.streams.append(stream)
            draft.versions.append(version)
            draft.names.append(name)
            draft.bodies.append(body.decode())
            draft.macs.append(self._cache.event_mac.code(entry))
        draft.claims |= uow.claims | moved
        draft.keys |= {person: wrapped for person, (_, wrapped) in uow.keys.items()}
        draft.erased |= uow.erased
        draft.secrets |= uow.secrets
        draft.reminders |= uow.reminders
        draft.numbers |= uow.numbers
        draft.counts |= uow.counts

    def _empty_draft(self) -> Draft:
        at = max(self._environment.now(), self._cache.recorded_at)
        return Draft(head=self._cache.head, at=at.astimezone(UTC))


def _receipt(stream: UUID, uow: UnitOfWork, view: Batch, draft: Draft) -> Receipt:
    entry = view.stream(stream)
    assert entry.aggregate is not None, "a decision names a stream that is there"
    position = draft.head + len(draft.streams)
    return Receipt.of(entry.aggregate, entry.version, position, uow.events, proposed=uow.proposed)
