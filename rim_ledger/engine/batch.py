"""The view of a batch of commands that is being decided."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, TypeVar, cast
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rim_ledger.engine.cache import EPOCH, Cache
from rim_ledger.engine.draft import Draft, Outcome
from rim_ledger.engine.entry import Entry
from rim_ledger.engine.event_mac import Forged, RowForged
from rim_ledger.engine.idempotency import Expired
from rim_ledger.engine.recent import Recent
from rim_ledger.engine.rows import key_print, mark
from rim_ledger.engine.store import Store
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.engine.view import Claim, Count, Missing, Secret, Wanted, amended

K = TypeVar("K")
V = TypeVar("V")
_NONE: Final = object()


class Batch:
    """The view of a batch: the cache, overlaid with the batch's own writes."""

    def __init__(self, cache: Cache, at: datetime = EPOCH) -> None:
        """`at` (UTC) is when it is recorded, if it is decided now."""
        self._cache, self._at = cache, at
        self.streams: dict[UUID, Entry] = {}
        self.claims: dict[Claim, UUID | None] = {}
        self.places: dict[Claim, UUID | None] = {}
        self.keys: dict[UUID, AESGCM | None] = {}
        self.numbers: dict[tuple[str, int], int] = {}
        self.secrets: dict[Secret, str | None] = {}
        self.lists: dict[str, tuple[int, dict[str, UUID]]] = {}
        """For each list that was read: the limit, and the entries."""
        self.outcomes: dict[tuple[str, str], Outcome | Expired | None] = {}
        """By caller and idempotency key."""
        self.key_prints: dict[tuple[str, str], str] = {}
        """The fingerprints of these keys."""
        self.counts: dict[Count, int] = {}

    def copy(self) -> "Batch":
        """Return a copy, for trials whose writes do not count."""
        other = Batch(self._cache, self._at)
        for name, rows in vars(self).items():
            if isinstance(rows, dict):
                setattr(other, name, dict(rows))
        return other

    def stream(self, id: UUID) -> Entry:
        return _found("stream", id, self.streams, self._cache.streams)

    def claim(self, claim: Claim) -> UUID | None:
        return _found("claim", claim, self.claims, self._cache.claims)

    def key(self, person: UUID) -> AESGCM | None:
        return _found("key", person, self.keys, self._cache.keys)

    def number(self, prefix: str, year: int) -> int:
        return _found("number", (prefix, year), self.numbers, self._cache.numbers)

    def secret(self, secret: Secret) -> str | None:
        return _found("secret", secret, self.secrets)

    def outcome(self, scope: tuple[str, str]) -> Outcome | Expired | None:
        return _found("outcome", scope, self.outcomes)

    def counted(self, count: Count) -> int:
        return _found("count", count, self.counts)

    def listed(self, kind: str, count: int) -> Mapping[str, UUID]:
        return amended(self._committed, self.places, kind, count)

    def _committed(self, kind: str, count: int) -> Mapping[str, UUID]:
        most, names = self.lists.get(kind, (0, {}))
        if most < count and len(names) == most:
            raise Missing(("list", (kind, count)))
        return names

    def take(self, uow: UnitOfWork, moved: Mapping[Claim, UUID | None]) -> None:
        """Make a decision's writes visible to the rest of the batch, including the list entries
        that it `moved`; mark its events with them."""
        mark(uow, self._cache.vault)
        self.streams |= uow.streams
        self.claims |= uow.claims
        self.places |= moved
        self.keys |= {person: key for person, (key, _) in uow.keys.items()}
        self.keys |= dict.fromkeys(uow.erased)
        self.secrets |= uow.secrets
        self.numbers |= uow.numbers
        self.counts |= uow.counts

    async def load(self, missing: Iterable[Wanted], store: Store) -> None:
        """Load what is missing: rows by kind and key."""
        wanted: dict[str, dict[Any, None]] = {}
        for kind, key in missing:
            wanted.setdefault(kind, {})[key] = None
        for kind, keys in wanted.items():
            await self._load(kind, [*keys], store)

    async def _load(self, kind: str, keys: Sequence[Any], store: Store) -> None:
        match kind:
            case "stream":
                await self._cache.load_streams(store, keys)
            case "claim":
                await self._cache.load_claims(store, keys)
            case "key":
                await self._cache.load_keys(store, keys)
            case "number":
                await self._cache.load_numbers(store, keys)
            case "secret":
                self.secrets |= await self._cache.load_secrets(store, keys)
            case "outcome":
                await self.load_outcomes(keys, store)
            case "count":
                self.counts |= await store.counts(keys)
            case _:
                self.lists |= await self._cache.load_lists(store, dict(sorted(keys)))

    async def look_ahead(self, wanted: Collection[Wanted], store: Store) -> None:
        """Load claims, streams with those that hold the claims, and the streams of the persons that
        these are about, as far as they are not cached: a decision on a thing reads both. What is
        forged is left for the decision that reads it."""
        cache, claims = self._cache, {key for kind, key in wanted if kind == "claim"}
        with suppress(Forged, RowForged):
            if unknown := {each for each in claims if each not in cache.claims}:
                await cache.load_claims(store, unknown)
            holders = {holder for each in claims if (holder := cache.claims.get(each))}
            streams = holders | {key for kind, key in wanted if kind == "stream"}
            await cache.load_unknown(store, streams)
            known = [each for stream in streams if (each := cache.streams.get(stream))]
            persons = {each.aggregate.person for each in known if each.aggregate}
            await cache.load_unknown(store, persons)

    async def load_outcomes(self, scopes: Sequence[tuple[str, str]], store: Store) -> None:
        """Load the outcomes of these keys."""
        prints = {each: key_print(self._cache.vault, *each) for each in scopes}
        found = await self._cache.load_outcomes(store, prints, self._at)
        self.key_prints |= prints
        self.outcomes |= dict.fromkeys(scopes) | found

    def accept(self, draft: Draft) -> None:
        """Apply a committed draft to the cache."""
        cache = self._cache
        if cache.head == draft.head and draft.streams:
            cache.head, cache.recorded_at = draft.head + len(draft.streams), draft.at
        cache.keep(self.streams)
        cache.claims.update(self.claims)
        cache.keys.update(self.keys)
        cache.numbers |= self.numbers


def _found(kind: str, key: K, *places: Mapping[K, V] | Recent[K, V]) -> V:
    """Return a row by its key, from the first place that has it. Raises Missing."""
    for rows in places:
        if (row := rows.get(key, _NONE)) is not _NONE:
            return cast("V", row)
    raise Missing((kind, key))
