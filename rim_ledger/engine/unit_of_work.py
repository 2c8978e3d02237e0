"""What one decision sees and writes: streams, claimed names, personal keys, numbers."""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rim_ledger.engine.activity import Activity
from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.engine.claim_index import Claim, amended, moves
from rim_ledger.engine.codec import Recorded
from rim_ledger.engine.counts import Count
from rim_ledger.engine.entry import Entry
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.missing import Missing, Secret
from rim_ledger.engine.refusals import Forbidden, Invalid, NotFound, Refused
from rim_ledger.engine.refused_request import Asked
from rim_ledger.engine.role_limits import RoleLimits
from rim_ledger.values import lagos_day, numbered
from rim_ledger.vault.personal_keys import Vault, opened, personal_fields

A = TypeVar("A", bound=Aggregate)
Right = tuple[str, str]
"""A resource and an action: ("loans", "write")."""
Reminder = tuple[str, UUID]
"""What is to be looked at again, and in which stream: ("overdue", loan id)."""


class View(Protocol):
    """What is known of the store. Each question answers at once or raises Missing."""

    def stream(self, id: UUID) -> Entry: ...
    def claim(self, claim: Claim) -> UUID | None: ...
    def key(self, person: UUID) -> AESGCM | None: ...
    def number(self, prefix: str, year: int) -> int: ...
    def secret(self, secret: Secret) -> str | None: ...
    def listed(self, kind: str, count: int) -> Mapping[str, UUID]: ...
    def counted(self, count: Count) -> int: ...


class UnitOfWork:
    """The pages one decision may read and write. Thrown away when the decision is refused.
    Reads see the writes made before them. Nothing reaches the store from here."""

    def __init__(self, view: View, vault: Vault, environment: Environment, stamp: Stamp) -> None:
        self._view, self._vault, self._environment = view, vault, environment
        self.stamp = stamp
        self.outage: Exception | None = None  # Why nothing of this is kept, see `Ledger.submit`.
        self.rights: Container[Right] | None = None
        """What the caller may do; None for the system itself, which may do everything."""
        self.role_limits = RoleLimits()
        self.streams: dict[UUID, Entry] = {}
        self._entries: dict[UUID, Entry] = {}
        """These, and the streams that were only read."""
        self._before: dict[UUID, Entry] = {}
        """What the streams were that this decision has added to."""
        self.events: list[Recorded] = []
        self.claims: dict[Claim, UUID | None] = {}
        self.told: list[str] = []
        """What its last event says besides of names and idempotency keys, see `rows.mark`."""
        self.keys: dict[UUID, tuple[AESGCM, bytes]] = {}
        self.erased: set[UUID] = set()
        self.numbers: dict[tuple[str, int], int] = {}
        self.contacts: frozenset[str] = frozenset()
        """The caller's own phone and e-mail, as fingerprints."""
        self.secrets: dict[Secret, str] = {}
        self.marks: dict[UUID, dict[str, str | None]] = {}
        """What the last event of a stream says of rows beside the log, besides what follows."""
        self.reminders: dict[Reminder, datetime | None] = {}
        self.counts: dict[Count, int] = {}
        self.activities: list[Activity] = []
        """What the caller does or tries. It is logged with the outcome, also with a refusal."""
        self.refused_requests: list[Asked] = []
        """Loan requests that the decision refuses: they are kept, though it leaves no event."""
        self._fresh: set[UUID] = set()

    def may(self, resource: str, action: str) -> bool:
        """Whether the caller has a right."""
        return self.rights is None or (resource, action) in self.rights

    def need(self, resource: str, action: str) -> None:
        """Refuse a caller without a right."""
        if not self.may(resource, action):
            raise Forbidden("forbidden", f"This needs the permission {resource}:{action}.")

    def look_ahead(self, looks: Iterable[Callable[[], object]]) -> None:
        """Have all that these looks come upon loaded together, rather than one by one."""
        missing: list[Missing] = []
        for look in looks:
            try:
                look()
            except Missing as miss:
                missing.append(miss)
        if missing:
            raise Missing(together=missing)

    @property
    def now(self) -> datetime:
        """The actual time (UTC), which a command cannot choose."""
        return self._environment.now()

    def find(self, kind: type[A], id: UUID | str) -> A | None:
        """The aggregate with this id or business id, or None when there is none of this kind."""
        stream = self.holder("business-id", id) if isinstance(id, str) else id
        aggregate = self._entry(stream).aggregate if stream else None
        return aggregate if isinstance(aggregate, kind) else None

    def read(self, kind: type[A], id: UUID | str) -> A:
        """The aggregate, or NotFound."""
        if (aggregate := self.find(kind, id)) is None:
            raise NotFound(_words(kind), id)
        return aggregate

    def known(self, kind: type[A], id: UUID | str) -> A:
        """The aggregate, or NotFound where the caller may not know of it either."""
        aggregate = self.read(kind, id)
        if not aggregate.known_to(self):
            raise NotFound(_words(kind), id)
        return aggregate

    def version(self, id: UUID) -> int:
        """How many events the stream has."""
        return self._entry(id).version

    def act_upon(self, id: UUID) -> None:
        """Say that this decision follows from the last event of a stream, not from a person."""
        self.stamp = msgspec.structs.replace(self.stamp, causation=self._entry(id).last)

    @contextmanager
    def dated(self, id: UUID, said: datetime | None = None) -> Iterator[None]:
        """Within this block, what is decided about a stream is dated no earlier than what the
        stream holds: a time that lies before is moved up, as what has come in is never refused.
        Raises Invalid where it is the caller who `said` so, as `occurredAt`."""
        at, latest = self.stamp.at, self._entry(id).latest
        if said and latest and said < latest:
            words = f"This follows what happened at {latest:%Y-%m-%dT%H:%M:%S.%fZ}."
            raise Invalid("occurred-too-early", words, "/occurredAt")
        self.stamp = msgspec.structs.replace(self.stamp, at=max(at, latest or at))
        try:
            yield
        finally:
            self.stamp = msgspec.structs.replace(self.stamp, at=at)

    def open_stream(self, kind: type[Aggregate], id: UUID, events: Iterable[Event]) -> None:
        """Begin a stream; refused when the id is taken, by whatever kind."""
        if self._entry(id).version:
            raise Refused("already-exists", f"The id {id} is taken.")
        self.append(kind, id, events)
        if kind.BUSINESS_ID:
            # Numbers are handed out once, so this name need not be looked for.
            self.claims["business-id", getattr(self.read(kind, id), kind.BUSINESS_ID)] = id

    def append(self, kind: type[Aggregate], id: UUID, events: Iterable[Event]) -> None:
        """Add events to the end of a stream, all of which are decided by then; their personal words
        are sealed."""
        known = self._entry(id).aggregate
        if known is not None and not isinstance(known, kind):
            raise Refused("already-exists", f"The id {id} is taken.")
        for event in list(events):
            entry = self._entry(id)
            person = self._person(entry, kind, id, event)
            event_id = self._environment.new_id()
            sealed = self._seal(event, person, id, event_id)
            recorded = Recorded(
                originator_id=id,
                originator_version=entry.version + 1,
                id=event_id,
                event=sealed,
                stamp=self.stamp,
            )
            after = entry.after(kind, recorded)
            self._before.setdefault(id, entry)
            self.streams[id] = self._entries[id] = after
            self.events.append(recorded)

    def holder(self, kind: str, name: str) -> UUID | None:
        """The stream that holds a name, if any does."""
        claim = (kind, name)
        return self.claims[claim] if claim in self.claims else self._view.claim(claim)

    def claim(self, kind: str, name: str, stream: UUID, otherwise: Refused) -> None:
        """Take a name for a stream, or refuse when another stream holds it."""
        if (holder := self.holder(kind, name)) not in (None, stream):
            raise otherwise
        if holder is None:
            self.claims[kind, name] = stream

    def release(self, kind: str, name: str) -> None:
        """Give a name back."""
        self.claims[kind, name] = None

    def listed(self, kind: str, count: int) -> list[UUID]:
        """The first streams on a list, `count` at most, in the order of their names there."""
        return [*amended(self._view.listed, self.moves(), kind, count).values()]

    def moves(self) -> dict[Claim, UUID | None]:
        """Where streams stand on lists from now on, or no more."""
        places: dict[Claim, UUID | None] = {}
        for stream, before in self._before.items():
            places |= moves(before.aggregate, self.streams[stream].aggregate, stream)
        return places

    def fingerprint(self, kind: str, text: str) -> str:
        """A keyed hash, to claim or compare personal words by."""
        return self._vault.fingerprint(kind, text)

    def reveal(self, person: UUID, value: Any) -> Any:
        """Sealed words in the clear, for a rule that needs them; None once erased."""
        return opened(value, {person: self.key(person)})

    def key(self, person: UUID) -> AESGCM | None:
        """The key of a person's words and files; None once erased."""
        return self.keys[person][0] if person in self.keys else self._view.key(person)

    def erase(self, person: UUID) -> None:
        """Destroy a person's key: their words are gone from every event, for ever."""
        self.erased.add(person)

    def secret(self, owner: UUID, purpose: str) -> str | None:
        """What is kept apart from every event, such as the hash of a password."""
        secret = (owner, purpose)
        return self.secrets[secret] if secret in self.secrets else self._view.secret(secret)

    def keep_secret(self, owner: UUID, purpose: str, text: str) -> None:
        """Keep a secret, committed together with the events."""
        self.secrets[owner, purpose] = text

    def keep_sealed(self, owner: UUID, purpose: str, text: str) -> None:
        """Keep a secret that must be read again: encrypted, where a hash would not do."""
        self.keep_secret(owner, purpose, self._vault.wrap_secret(owner, purpose, text))

    def unsealed(self, owner: UUID, purpose: str) -> str | None:
        """A secret that was kept sealed, in the clear."""
        sealed = self.secret(owner, purpose)
        return None if sealed is None else self._vault.unwrap_secret(owner, purpose, sealed)

    def remind(self, what: str, stream: UUID, at: datetime) -> None:
        """Have the clock look at a stream again; a later wish replaces an earlier one."""
        self.reminders[what, stream] = at

    def forget(self, what: str, stream: UUID) -> None:
        """The clock need not look again."""
        self.reminders[what, stream] = None

    def number(self, prefix: str) -> str:
        """The next business id, such as LOAN-2026-000001, of this year in Lagos; the commit of its
        event takes it."""
        year = lagos_day(self._environment.now()).year
        last = self.numbers.get((prefix, year)) or self._view.number(prefix, year)
        self.numbers[prefix, year] = last + 1
        return numbered(prefix, year, last + 1)

    def counted(self, count: Count) -> int:
        """How much somebody did on a day, of what has a quota, this decision included."""
        return self.counts[count] if count in self.counts else self._view.counted(count)

    def new_id(self) -> UUID:
        """A fresh UUID of version 7, for a stream that need not be looked for."""
        fresh = self._environment.new_id()
        self._fresh.add(fresh)
        return fresh

    def _entry(self, id: UUID) -> Entry:
        if (entry := self._entries.get(id)) is None:
            entry = Entry() if id in self._fresh else self._view.stream(id)
            self._entries[id] = entry
        return entry

    def _person(self, entry: Entry, kind: type[Aggregate], id: UUID, event: Event) -> UUID:
        aggregate = entry.aggregate or kind.begin(id, event, self.stamp)
        return aggregate.person

    def _seal(self, event: Event, person: UUID, stream: UUID, event_id: UUID) -> Event:
        if not any(getattr(event, field) for field in personal_fields(type(event))):
            return event
        if person == stream and not self._entry(stream).version and person not in self.keys:
            self.keys[person] = self._vault.make_key(person)
        if (key := self.key(person)) is None:
            raise Refused("erased", "This person was erased; nothing is written about them.")
        return self._vault.seal(event, person, key, stream, event_id)


def _words(kind: type[Aggregate]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()


Work = Callable[[UnitOfWork], UUID]
"""One decision: reads and writes the book, answers the id of the stream it is about."""
