"""What a process knows of the log: streams, claims, keys and numbers, as they were committed."""

from collections import Counter
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rim_ledger.book import Entry
from rim_ledger.codec import Codec
from rim_ledger.core import Aggregate, Event
from rim_ledger.lists import Claim
from rim_ledger.store import Line, Store
from rim_ledger.vault import Vault

CACHE_MAX: Final = 20_000
NUMBERS_AT_ONCE: Final = 256
NUMBERS_MAX: Final = 8192
"""Numbers reserved at once: as many again as this process has had, between these two. So a busy
process rarely asks, and a quiet one leaves a small gap when it ends."""

EPOCH: Final = datetime.fromtimestamp(0, UTC)


class Known:
    """A cache, true up to `head`. What is not in it is loaded when somebody asks."""

    def __init__(self, entities: dict[type[Event], type[Aggregate]], vault: Vault) -> None:
        self._entities, self._vault = entities, vault
        self.codec = Codec({event.__name__: event for event in entities})
        self.head, self.recorded_at = 0, EPOCH
        self.streams: dict[UUID, Entry] = {}
        self.claims: dict[Claim, UUID | None] = {}
        self.keys: dict[UUID, AESGCM | None] = {}
        self.numbers: dict[tuple[str, int], range] = {}
        self._reserved: Counter[tuple[str, int]] = Counter()

    async def begin(self, store: Store) -> None:
        """Learn where the log ends."""
        if last := await store.last():
            self.head, self.recorded_at = last

    def follow(self, lines: Iterable[Line]) -> None:
        """Go on to what was written since. Others may have changed what is no stream."""
        for line in lines:
            self._fold(line)
            self.head, self.recorded_at = line.notification.id, line.recorded_at
        self.claims.clear()
        self.keys.clear()

    async def load_streams(self, store: Store, ids: Collection[UUID]) -> None:
        """That something is not there is believed of an answer only, here as in all that is
        loaded, and not of a question that went unanswered."""
        lines = await store.streams(ids)
        self.streams |= dict.fromkeys(ids, Entry())
        for line in lines:
            self._fold(line)

    async def load_claims(self, store: Store, claims: Collection[Claim]) -> None:
        held = await store.claims(list(claims))
        self.claims |= dict.fromkeys(claims) | held

    async def load_keys(self, store: Store, persons: Collection[UUID]) -> None:
        rows = await store.keys(persons)
        for person in persons:
            self.keys[person] = self._vault.unwrap(person, rows.get(person))

    async def reserve(self, store: Store, prefix: str, year: int, wanted: int) -> range:
        """Fresh numbers, at least as many as are wanted."""
        again = min(self._reserved[prefix, year], NUMBERS_MAX)
        count = max(NUMBERS_AT_ONCE, wanted, again)
        block = await store.reserve(prefix, year, count)
        self._reserved[prefix, year] += count
        self.numbers[prefix, year] = block
        return block

    def bound(self) -> None:
        """Stay small: the oldest entries go first, and are loaded again when needed."""
        for cache in (self.streams, self.claims, self.keys):
            _forget_oldest(cache)

    def _fold(self, line: Line) -> None:
        """Bring a cached stream forward by one event, if it is the next one."""
        recorded = self.codec.recorded(line.notification, line.recorded_at)
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


def _forget_oldest(cache: dict[Any, Any]) -> None:
    while len(cache) > CACHE_MAX:
        del cache[next(iter(cache))]
