"""The view of a batch of commands that is being decided."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rim_ledger.engine.cache import Cache
from rim_ledger.engine.claim_index import Claim, amended
from rim_ledger.engine.counts import Count
from rim_ledger.engine.counts import load as load_counts
from rim_ledger.engine.draft import Draft, Outcome
from rim_ledger.engine.entry import Entry
from rim_ledger.engine.missing import Missing, Secret
from rim_ledger.engine.rows import mark
from rim_ledger.engine.store import Store
from rim_ledger.engine.unit_of_work import UnitOfWork


class Batch:
    """The view of a batch: the cache, overlaid with the batch's own writes."""

    def __init__(self, known: Cache) -> None:
        self._known = known
        self.streams: dict[UUID, Entry] = {}
        self.claims: dict[Claim, UUID | None] = {}
        self.places: dict[Claim, UUID | None] = {}
        self.keys: dict[UUID, AESGCM | None] = {}
        self.numbers: dict[tuple[str, int], int] = {}
        self.secrets: dict[Secret, str | None] = {}
        self.lists: dict[str, tuple[int, dict[str, UUID]]] = {}
        """For each list that was read: the limit, and the entries."""
        self.outcomes: dict[tuple[str, str], Outcome | None] = {}
        """By caller and idempotency key."""
        self.counts: dict[Count, int] = {}

    def copy(self) -> "Batch":
        """Return a copy, for trials whose writes do not count."""
        other = Batch(self._known)
        other.streams, other.claims = dict(self.streams), dict(self.claims)
        other.keys, other.numbers = dict(self.keys), dict(self.numbers)
        other.secrets, other.outcomes = dict(self.secrets), dict(self.outcomes)
        other.lists, other.counts = dict(self.lists), dict(self.counts)
        other.places = dict(self.places)
        return other

    def stream(self, id: UUID) -> Entry:
        entry = self.streams.get(id) or self._known.streams.get(id)
        if entry is None:
            raise Missing(stream=id)
        return entry

    def claim(self, claim: Claim) -> UUID | None:
        if claim in self.claims:
            return self.claims[claim]
        if claim in self._known.claims:
            return self._known.claims[claim]
        raise Missing(claim=claim)

    def key(self, person: UUID) -> AESGCM | None:
        if person in self.keys:
            return self.keys[person]
        if person in self._known.keys:
            return self._known.keys[person]
        raise Missing(person=person)

    def number(self, prefix: str, year: int) -> int:
        for known in (self.numbers, self._known.numbers):
            if (prefix, year) in known:
                return known[prefix, year]
        raise Missing(number=(prefix, year))

    def secret(self, secret: Secret) -> str | None:
        if secret not in self.secrets:
            raise Missing(secret=secret)
        return self.secrets[secret]

    def outcome(self, scope: tuple[str, str]) -> Outcome | None:
        if scope not in self.outcomes:
            raise Missing(outcome=scope)
        return self.outcomes[scope]

    def counted(self, count: Count) -> int:
        if count not in self.counts:
            raise Missing(count=count)
        return self.counts[count]

    def listed(self, kind: str, count: int) -> Mapping[str, UUID]:
        return amended(self._committed, self.places, kind, count)

    def _committed(self, kind: str, count: int) -> Mapping[str, UUID]:
        most, names = self.lists.get(kind, (0, {}))
        if most < count and len(names) == most:
            raise Missing(listing=(kind, count))
        return names

    def take(self, uow: UnitOfWork, moved: Mapping[Claim, UUID | None]) -> None:
        """Make a decision's writes visible to the rest of the batch, including the list entries
        that it `moved`; mark its events with them."""
        mark(uow, self._known.vault)
        self.streams |= uow.streams
        self.claims |= uow.claims
        self.places |= moved
        self.keys |= {person: key for person, (key, _) in uow.keys.items()}
        self.keys |= dict.fromkeys(uow.erased)
        self.secrets |= uow.secrets
        self.numbers |= uow.numbers
        self.counts |= uow.counts

    async def load(self, missing: Sequence[Missing], store: Store) -> None:
        """Load what is missing."""
        known = self._known
        if ids := {each.stream for each in missing if each.stream}:
            await known.load_streams(store, ids)
        if claims := {each.claim for each in missing if each.claim}:
            await known.load_claims(store, claims)
        if persons := {each.person for each in missing if each.person}:
            await known.load_keys(store, persons)
        if secrets := {each.secret for each in missing if each.secret}:
            self.secrets |= await known.load_secrets(store, secrets)
        if lists := dict(sorted(each.listing for each in missing if each.listing)):
            listed = await store.listed(lists)
            named = {
                (kind, name): stream
                for kind, (_, names) in listed.items()
                for name, stream in names.items()
            }
            await known.require_held(store, named)
            self.lists |= listed
        if scopes := [each.outcome for each in missing if each.outcome]:
            await self.load_outcomes(scopes, store)
        if counts := {each.count for each in missing if each.count}:
            self.counts |= await load_counts(store.connection, counts)
        if numbers := {each.number for each in missing if each.number}:
            await known.load_numbers(store, numbers)

    async def load_outcomes(self, scopes: Sequence[tuple[str, str]], store: Store) -> None:
        """Load the outcomes of these keys."""
        self.outcomes |= dict.fromkeys(scopes) | await self._known.load_outcomes(store, scopes)

    def accept(self, draft: Draft) -> None:
        """Apply a committed draft to the cache."""
        known = self._known
        if known.head == draft.head and draft.streams:
            known.head, known.recorded_at = draft.head + len(draft.streams), draft.at
        known.keep(self.streams)
        known.claims.update(self.claims)
        known.keys.update(self.keys)
        known.numbers |= self.numbers
