"""What one decision reads and writes: streams, claimed names, personal keys, numbers."""

import re
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from decimal import Decimal
from functools import partial, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from rim_ledger.engine.activity import Activity, Asked
from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.engine.codec import Recorded
from rim_ledger.engine.entry import Entry
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.refusals import Forbidden, Invalid, NotFound, Refused
from rim_ledger.engine.view import Claim, Count, Missing, Secret, View, amended, moves
from rim_ledger.values import lagos_day, numbered
from rim_ledger.vault.personal_keys import Vault, opened, personal_fields


class RoleLimits(Struct, frozen=True):
    """The largest loan that a role approves or disburses, and the largest credit limit that it
    grants, in naira. None is unlimited."""

    max_amount: Decimal | None = None
    max_limit: Decimal | None = None

    def require_amount(self, amount: Decimal) -> None:
        """Refuse a larger loan, in naira. Raises Forbidden (`above-role-limit`)."""
        _require_within(self.max_amount, amount, "approves and disburses loans of")

    def require_limit(self, limit: Decimal) -> None:
        """Refuse a larger credit limit, in naira. Raises Forbidden (`above-role-limit`)."""
        _require_within(self.max_limit, limit, "gives credit limits of")


def reaches(most: Decimal | None, other: Decimal | None) -> bool:
    """Return whether one limit, in naira, is at least another; None is unlimited."""
    return most is None or (other is not None and other <= most)


def _require_within(most: Decimal | None, naira: Decimal, does: str) -> None:
    if not reaches(most, naira):
        words = f"Your role {does} {most} naira at most, and this is {naira}."
        raise Forbidden("above-role-limit", words)


A = TypeVar("A", bound=Aggregate)
P = ParamSpec("P")
T = TypeVar("T")
Right = tuple[str, str]
"""A resource and an action: ("loans", "write")."""
Guard = Callable[["UnitOfWork", Any, Aggregate | None], None]
"""Given a command and its aggregate (None for a creation), raises NeedsApproval for one that takes
two people."""
Reminder = tuple[str, UUID]
"""What to check again, and in which stream: ("overdue", loan id)."""


class UnitOfWork:
    """The reads and writes of one decision; discarded if it is refused. Reads see earlier writes.
    Nothing is stored from here."""

    def __init__(self, view: View, vault: Vault, environment: Environment, stamp: Stamp) -> None:
        self._view, self._vault, self._environment = view, vault, environment
        self.stamp = stamp
        self.outage: Exception | None = None  # Why nothing of this is stored, see `Ledger.read`.
        self.rights: Container[Right] | None = None
        """The caller's rights; None for the system itself, which may do everything."""
        self.role_limits = RoleLimits()
        self.guard: Guard | None = None
        """Which commands take two people; None for callers who are bound by no approval rule."""
        self.proposed = False
        """Whether the decision left a proposal in place of what was asked for."""
        self.streams: dict[UUID, Entry] = {}
        self._entries: dict[UUID, Entry] = {}
        """The changed streams, and those that were only read."""
        self._before: dict[UUID, Entry] = {}
        """The former entries of the streams that this decision changed."""
        self.events: list[Recorded] = []
        self.claims: dict[Claim, UUID | None] = {}
        self.mentioned: list[str] = []
        """Further names and idempotency keys that its last event mentions, see `rows.mark`."""
        self.keys: dict[UUID, tuple[AESGCM, bytes]] = {}
        self.erased: set[UUID] = set()
        self.numbers: dict[tuple[str, int], int] = {}
        self.contacts: frozenset[str] = frozenset()
        """Fingerprints of the caller's own phones and e-mails."""
        self.secrets: dict[Secret, str] = {}
        self.marks: dict[UUID, dict[str, str | None]] = {}
        """Further rows that the last event of a stream mentions."""
        self.reminders: dict[Reminder, datetime | None] = {}
        self.counts: dict[Count, int] = {}
        self.activities: list[Activity] = []
        """The caller's actions, logged with the outcome, also if it is a refusal."""
        self.refused_requests: list[Asked] = []
        """Loan requests that the decision refuses: stored although there is no event."""
        self._fresh: set[UUID] = set()

    def trial(self) -> "UnitOfWork":
        """Return a copy in which commands are tried, alone: nothing of it is written."""
        twin = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, dict | list | set):
                setattr(twin, name, copy(value))
        twin._entries, twin._fresh, twin.guard = dict(self.streams), self._fresh, None
        return twin

    @property
    def read_streams(self) -> list[UUID]:
        """The streams that it has looked at, but for those that it began itself."""
        return [each for each in self._entries if each not in self._fresh]

    def may(self, resource: str, action: str) -> bool:
        """Return whether the caller has a right."""
        return self.rights is None or (resource, action) in self.rights

    def need(self, resource: str, action: str) -> None:
        """Raise Forbidden if the caller lacks a right."""
        if not self.may(resource, action):
            raise Forbidden("forbidden", f"This needs the permission {resource}:{action}.")

    def look_ahead(self, looks: Iterable[Callable[[], object]]) -> None:
        """Preload all that these functions read together, rather than one by one."""
        missing = list[tuple[str, Any]]()
        for look in looks:
            try:
                look()
            except Missing as miss:
                missing += miss.rows
        if missing:
            raise Missing(*missing)

    @property
    def now(self) -> datetime:
        """The actual time (UTC), which a command cannot choose."""
        return self._environment.now()

    def find(self, kind: type[A], id: UUID | str) -> A | None:
        """Return the aggregate with this id or business id; None if there is none of this kind."""
        stream = self.holder("business-id", id) if isinstance(id, str) else id
        aggregate = self.entry(stream).aggregate if stream else None
        return aggregate if isinstance(aggregate, kind) else None

    def read(self, kind: type[A], id: UUID | str) -> A:
        """Return the aggregate. Raises NotFound."""
        if (aggregate := self.find(kind, id)) is None:
            raise NotFound(_words(kind), id)
        return aggregate

    def known(self, kind: type[A], id: UUID | str) -> A:
        """Return the aggregate. Raises NotFound also if it is not visible to the caller."""
        aggregate = self.read(kind, id)
        if not aggregate.known_to(self):
            raise NotFound(_words(kind), id)
        return aggregate

    def version(self, id: UUID) -> int:
        """Return the number of events of a stream."""
        return self.entry(id).version

    def act_upon(self, id: UUID) -> None:
        """Record that this decision was caused by the last event of a stream, not by a person."""
        self.stamp = msgspec.structs.replace(self.stamp, causation=self.entry(id).last)

    @contextmanager
    def dated(self, id: UUID, said: datetime | None = None) -> Iterator[None]:
        """Within this block, decisions about a stream are dated no earlier than its latest event:
        an earlier time is moved up, as recorded facts are never refused. Raises Invalid if the
        caller `said` so, as `occurredAt`."""
        at, latest = self.stamp.at, self.entry(id).latest
        if said and latest and said < latest:
            words = f"This follows what happened at {latest:%Y-%m-%dT%H:%M:%S.%fZ}."
            raise Invalid("occurred-too-early", words, "/occurredAt")
        self.stamp = msgspec.structs.replace(self.stamp, at=max(at, latest or at))
        try:
            yield
        finally:
            self.stamp = msgspec.structs.replace(self.stamp, at=at)

    def open_stream(self, kind: type[Aggregate], id: UUID, events: Iterable[Event]) -> None:
        """Begin a stream. Raises Refused if the id is taken, by whatever kind."""
        if self.entry(id).version:
            raise Refused("already-exists", f"The id {id} is taken.")
        self.append(kind, id, events)
        if kind.BUSINESS_ID:
            # Numbers are unique, so this name is not looked up.
            self.claims["business-id", getattr(self.read(kind, id), kind.BUSINESS_ID)] = id

    def append(self, kind: type[Aggregate], id: UUID, events: Iterable[Event]) -> None:
        """Append events, all decided by then, to a stream, with personal data sealed."""
        before = self.entry(id).aggregate
        if before is not None and not isinstance(before, kind):
            raise Refused("already-exists", f"The id {id} is taken.")
        for event in list(events):
            entry = self.entry(id)
            person = (entry.aggregate or kind.begin(id, event, self.stamp)).person
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
            if kind.RELEASES and entry.aggregate and after.aggregate:
                self._release_lost(entry.aggregate, after.aggregate, id)

    def holder(self, kind: str, name: str) -> UUID | None:
        """Return the stream that holds a name; None if it is free."""
        claim = (kind, name)
        return self.claims[claim] if claim in self.claims else self._view.claim(claim)

    def claim(self, kind: str, name: str, stream: UUID, otherwise: Refused) -> None:
        """Claim a name for a stream. Raises `otherwise` if another stream holds it."""
        if (holder := self.holder(kind, name)) not in (None, stream):
            raise otherwise
        if holder is None:
            self.claims[kind, name] = stream

    def release(self, kind: str, name: str) -> None:
        """Release a name. Those that follow from a state are released with it."""
        self.claims[kind, name] = None

    def _release_lost(self, before: Aggregate, after: Aggregate, stream: UUID) -> None:
        """Release the names that a stream no longer holds after an event."""
        if not (lost := before.claims - after.claims):
            return
        self.look_ahead(partial(self.holder, *claim) for claim in lost)
        for claim in sorted(lost):
            if self.holder(*claim) == stream:
                self.claims[claim] = None

    def listed(self, kind: str, count: int) -> list[UUID]:
        """Return the first `count` streams on a list, in the order of their entries."""
        return [*amended(self._view.listed, self.moves(), kind, count).values()]

    def moves(self) -> dict[Claim, UUID | None]:
        """Changed entries of streams on lists; None for removed ones."""
        places: dict[Claim, UUID | None] = {}
        for stream, before in self._before.items():
            places |= moves(before.aggregate, self.streams[stream].aggregate, stream)
        return places

    def fingerprint(self, kind: str, text: str) -> str:
        """Return a keyed hash, to claim or compare personal data by."""
        return self._vault.fingerprint(kind, text)

    def reveal(self, person: UUID, value: Any) -> Any:
        """Return sealed data in the clear, for a rule that needs it; None once erased."""
        return opened(value, {person: self.key(person)})

    def key(self, person: UUID) -> AESGCM | None:
        """Return the key of a person's data and files; None once erased."""
        if person in self.keys:
            return self.keys[person][0]
        return None if person in self._fresh else self._view.key(person)

    def erase(self, person: UUID) -> None:
        """Destroy a person's key: their data is unreadable in every event, forever."""
        self.erased.add(person)

    def secret(self, owner: UUID, purpose: str) -> str | None:
        """Return a secret that is stored apart from events, such as a password hash."""
        secret = (owner, purpose)
        return self.secrets[secret] if secret in self.secrets else self._view.secret(secret)

    def keep_secret(self, owner: UUID, purpose: str, text: str) -> None:
        """Store a secret, committed together with the events."""
        self.secrets[owner, purpose] = text

    def keep_sealed(self, owner: UUID, purpose: str, text: str) -> None:
        """Store a secret that must be readable again: encrypted, not hashed."""
        self.keep_secret(owner, purpose, self._vault.wrap_secret(owner, purpose, text))

    def unsealed(self, owner: UUID, purpose: str) -> str | None:
        """Return a sealed secret in the clear."""
        sealed = self.secret(owner, purpose)
        return None if sealed is None else self._vault.unwrap_secret(owner, purpose, sealed)

    def remind(self, what: str, stream: UUID, at: datetime) -> None:
        """Schedule a reminder for a stream; it replaces an earlier one of the same kind."""
        self.reminders[what, stream] = at

    def forget(self, what: str, stream: UUID) -> None:
        """Cancel a reminder."""
        self.reminders[what, stream] = None

    def number(self, prefix: str) -> str:
        """Return the next business id, such as LOAN-2026-000001, of this year in Lagos; the commit
        of its event takes it."""
        year = lagos_day(self._environment.now()).year
        last = self.numbers.get((prefix, year)) or self._view.number(prefix, year)
        self.numbers[prefix, year] = last + 1
        return numbered(prefix, year, last + 1)

    def counted(self, count: Count) -> int:
        """Return a person's count of a day, including this decision."""
        return self.counts[count] if count in self.counts else self._view.counted(count)

    def new_id(self) -> UUID:
        """Return a new UUID of version 7, for a stream that is not looked up."""
        fresh = self._environment.new_id()
        self._fresh.add(fresh)
        return fresh

    def entry(self, id: UUID) -> Entry:
        """Return the state of a stream, with what decisions know of it beside its aggregate."""
        if (entry := self._entries.get(id)) is None:
            entry = Entry() if id in self._fresh else self._view.stream(id)
            self._entries[id] = entry
        return entry

    def _seal(self, event: Event, person: UUID, stream: UUID, event_id: UUID) -> Event:
        if not any(getattr(event, field) for field in personal_fields(type(event))):
            return event
        if person == stream and not self.entry(stream).version and person not in self.keys:
            self.keys[person] = self._vault.make_key(person)
        if (key := self.key(person)) is None:
            raise Refused("erased", "This person was erased; nothing is written about them.")
        return self._vault.seal(event, person, key, stream, event_id)


def _words(kind: type[Aggregate]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()


Work = Callable[[UnitOfWork], UUID]
"""A decision: reads and writes the unit of work, returns the id of its stream."""


def decision(
    rule: Callable[Concatenate[UnitOfWork, P], T],
) -> Callable[P, Callable[[UnitOfWork], T]]:
    """Turn a rule into a function that takes all but the unit of work, and returns the decision."""

    @wraps(rule)
    def given(*values: P.args, **named: P.kwargs) -> Callable[[UnitOfWork], T]:
        return lambda uow: rule(uow, *values, **named)

    return given
