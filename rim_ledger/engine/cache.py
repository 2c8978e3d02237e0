"""The process's cache of the log: streams, claims, keys and numbers, as committed."""

import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Final, NoReturn
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rim_ledger.engine.aggregate import Aggregate, Event
from rim_ledger.engine.codec import Codec, Recorded
from rim_ledger.engine.draft import Outcome
from rim_ledger.engine.entry import Entry, weight
from rim_ledger.engine.event_mac import Forged, RowForged
from rim_ledger.engine.idempotency import KEPT, Expired
from rim_ledger.engine.recent import Recent
from rim_ledger.engine.rows import (
    ADOPTED,
    TAKEN,
    is_held,
    key_fits,
    name_print,
    secret_fits,
)
from rim_ledger.engine.snapshots import Snapshots
from rim_ledger.engine.store import Line, Loaded, Moved, Store
from rim_ledger.engine.view import Claim, Secret
from rim_ledger.values import numbered
from rim_ledger.vault.personal_keys import Vault

STREAMS_BYTES_MAX: Final = 48 * 1024 * 1024
NAMES_BYTES_MAX: Final = 6 * 1024 * 1024
KEYS_BYTES_MAX: Final = 8 * 1024 * 1024
"""Approximate memory of each part of the cache: some 20,000 entries each."""
NAME_BYTES, KEY_BYTES = 300, 400

log = logging.getLogger("rim_ledger")

EPOCH: Final = datetime.fromtimestamp(0, UTC)


class Cache:
    """A cache, valid at `head`. What is not in it is loaded on demand."""

    def __init__(self, entities: dict[type[Event], type[Aggregate]], vault: Vault) -> None:
        assert vault.event_mac, "a ledger is opened when its events carry codes"
        self._entities, self.vault, self.event_mac = entities, vault, vault.event_mac
        self.codec = Codec({event.__name__: event for event in entities})
        self.snapshots = Snapshots(entities, vault.event_mac)
        self.head, self.recorded_at = 0, EPOCH
        self.streams = Recent[UUID, Entry](STREAMS_BYTES_MAX, weight)
        self.claims = Recent[Claim, UUID | None](NAMES_BYTES_MAX, lambda _: NAME_BYTES)
        self.keys = Recent[UUID, AESGCM | None](KEYS_BYTES_MAX, lambda _: KEY_BYTES)
        self.numbers: dict[tuple[str, int], int] = {}
        """The last number taken per prefix and year. It changes with the head only, and a batch is
        written only at the head it was decided on: so no two processes take the same one."""

    async def begin(self, store: Store) -> None:
        """Read the end of the log."""
        if last := await store.last():
            self._require_own(last)
            self.head, self.recorded_at = last.position, last.recorded_at

    def follow(self, lines: Iterable[Line]) -> None:
        """Fold what was written since. Cached rows that are no streams may be outdated, and are
        dropped."""
        for line in lines:
            self._fold(line)
            self.head, self.recorded_at = line.position, line.recorded_at
        self.claims.clear()
        self.keys.clear()
        self.numbers.clear()

    async def load_streams(self, store: Store, ids: Collection[UUID]) -> None:
        """Load streams. Here and in all loads, absence is cached only after an answer of the store.
        Raises Forged, also for a missing version."""
        loaded = await self._load(store, ids, self.snapshots.fingerprints)
        if whole := [stream for stream, found in loaded.items() if found is None]:
            loaded |= await self._load(store, whole, ())
        self.streams.update({stream: found for stream, found in loaded.items() if found})

    async def _load(
        self, store: Store, ids: Collection[UUID], fingerprints: Collection[str]
    ) -> dict[UUID, Entry | None]:
        """Return these streams, from snapshots with these fingerprints where there are any; None if
        a snapshot cannot be used. Raises Forged."""
        loaded: dict[UUID, Entry | None] = dict.fromkeys(ids, Entry())
        for each in await store.streams(ids, fingerprints):
            if before := loaded[each.stream]:
                loaded[each.stream] = self._joined(before, each)
        return loaded

    def _joined(self, before: Entry, loaded: Loaded) -> Entry | None:
        """Return a stream after the next loaded event or snapshot; None if the snapshot cannot be
        used. Raises Forged."""
        if loaded.snapshot and not before.version:
            last = self.read(loaded.line).id if loaded.line else None
            found = self.snapshots.opened(loaded.snapshot, last)
            return found[0] if found else None
        assert loaded.line, "only a snapshot stands alone"
        recorded = self.read(loaded.line)
        if recorded.originator_version != before.version + 1:
            raise Forged(loaded.line.position)
        return self._folded(before, recorded)

    def coded(self, entry: bytes) -> bytes:
        """Return the JSON of an authenticated table's line, given its entry, with its MAC."""
        _, _, said = entry.partition(b"\n")
        return said[:-1] + b',"mac":"\\\\x%s"}' % self.event_mac.code(entry).hex().encode()

    async def load_claims(self, store: Store, claims: Collection[Claim]) -> None:
        """Load claims. Raises RowForged if a stream does not hold a name that its row says it does,
        or if the row of a taken name is missing."""
        prints = {each: name_print(self.vault, each) for each in claims}
        held, mentioned = await store.claims(prints)
        await self.require_held(store, held)
        for claim, line in mentioned.items():
            if TAKEN + prints[claim] in self.read(line).claims.split():
                await self._refuse(store, "claims", f"the kind {claim[0]}")
        self.claims.update(dict.fromkeys(claims) | held)

    async def load_keys(self, store: Store, persons: Collection[UUID]) -> None:
        """Load personal keys. Raises RowForged for a missing, or a restored destroyed key."""
        rows = await store.keys(persons)
        await self.load_unknown(store, persons)
        for person in persons:
            if not key_fits(self.streams[person], person, rows):
                await self._refuse(store, "personal_keys", person)
            self.keys[person] = self.vault.unwrap(person, rows.get(person))

    async def load_secrets(
        self, store: Store, secrets: Collection[Secret]
    ) -> dict[Secret, str | None]:
        """Return secrets. Raises RowForged for one that differs from its owner's events."""
        rows = await store.secrets(list(secrets))
        await self.load_unknown(store, [ADOPTED, *(owner for owner, _ in secrets)])
        for secret in secrets:
            owner, before = self.streams[secret[0]], self.streams[ADOPTED]
            if not secret_fits(self.vault, owner, before, secret, rows.get(secret)):
                await self._refuse(store, "secrets", secret[0])
        return dict.fromkeys(secrets) | rows

    async def load_lists(
        self, store: Store, wanted: Mapping[str, int]
    ) -> dict[str, tuple[int, dict[str, UUID]]]:
        """Return the first entries of some lists, each with its limit. Raises RowForged for one
        that does not follow."""
        found = await store.listed(wanted)
        named = {(kind, name): names[name] for kind, names in found.items() for name in names}
        await self.require_held(store, named)
        return {kind: (wanted[kind], names) for kind, names in found.items()}

    async def require_held(self, store: Store, held: Mapping[Claim, UUID]) -> None:
        """Raise RowForged unless each of these streams holds the name; Moved if the log has moved
        on."""
        await self.load_unknown(store, held.values())
        for claim, stream in held.items():
            if not is_held(self.vault, self.streams[stream], claim):
                await self._refuse(store, "claims", stream)

    def outcome(self, caller: str, key: str, request_hash: str, text: str) -> Outcome:
        """Return the outcome of a request, with its MAC."""
        mac = self.event_mac.row_code("outcomes", caller, key, request_hash, text)
        return Outcome(caller, key, request_hash, text, mac)

    async def load_outcomes(
        self, store: Store, wanted: Mapping[tuple[str, str], str], now: datetime
    ) -> dict[tuple[str, str], Outcome | Expired]:
        """Return the outcomes stored under these keys (each with its fingerprint), and those that
        are stored no more although the command was committed. Raises RowForged for one that this
        ledger did not store, or that is missing before its retention ends."""
        found = dict[tuple[str, str], Outcome | Expired]()
        outcomes, mentioned = await store.outcomes(wanted)
        for scope, line in mentioned.items():
            self.read(line)
            if line.recorded_at > now - KEPT:
                await self._refuse(store, "outcomes", f"the key {scope[1]}")
            found[scope] = Expired(line.recorded_at)
        for stored in outcomes:
            own = self.outcome(stored.caller, stored.key, stored.request_hash, stored.outcome)
            if not compare_digest(stored.mac or b"", own.mac or b""):
                await self._refuse(store, "outcomes", f"the key {stored.key}")
            found[stored.caller, stored.key] = stored
        return found

    async def load_numbers(self, store: Store, wanted: Collection[tuple[str, int]]) -> None:
        """Load numbers. Raises RowForged if the next number is in use already."""
        taken = dict.fromkeys(wanted, 0) | await store.numbers(list(wanted))
        following = {
            ("business-id", numbered(*each, last + 1)): each for each, last in taken.items()
        }
        await self.load_claims(store, following)
        for claim, (prefix, year) in following.items():
            if self.claims[claim]:
                await self._refuse(store, "numbers", f"{prefix}-{year}")
        self.numbers |= taken

    async def load_unknown(self, store: Store, streams: Iterable[UUID]) -> None:
        """Load those of these streams that are not cached. Raises Forged."""
        if unknown := {each for each in streams if each not in self.streams}:
            await self.load_streams(store, unknown)

    async def _refuse(self, store: Store, table: str, of: object) -> NoReturn:
        """Raise RowForged, or Moved if the row may depend on events that are not loaded yet."""
        if await store.head() != self.head:
            raise Moved
        log.error("a row of ledger.%s for %s does not follow from the log", table, of)
        raise RowForged(table, of)

    def keep(self, streams: Mapping[UUID, Entry]) -> None:
        """Cache the new states of streams, except those that have ended."""
        for stream, known in streams.items():
            if known.aggregate and known.aggregate.ended:
                self.streams.forget(stream)
            else:
                self.streams[stream] = known

    def shrink(self) -> None:
        """Evict the least recently used entries beyond the limits; they are loaded on demand."""
        for part in (self.streams, self.claims, self.keys):
            part.shrink()

    def _fold(self, line: Line) -> None:
        """Fold one event into a cached stream, if it is its next one. Raises Forged."""
        recorded = self.read(line)
        entry = self.streams.get(recorded.originator_id)
        if entry is not None and entry.version == recorded.originator_version - 1:
            self.streams[recorded.originator_id] = self._folded(entry, recorded)

    def _folded(self, entry: Entry, recorded: Recorded) -> Entry:
        """Return a stream after one more event."""
        return entry.after(self._entities[type(recorded.event)], recorded)

    def read(self, line: Line) -> Recorded:
        """Decode an event that this ledger wrote. Raises Forged."""
        self._require_own(line)
        return self.codec.recorded(line.stored, line.recorded_at)

    def _require_own(self, line: Line) -> None:
        """Raise Forged unless the event's MAC is right for its content and position."""
        if not self.event_mac.is_right(line.position, line.leaf, line.mac):
            log.error("position %d of the log is forged", line.position)
            raise Forged(line.position)
