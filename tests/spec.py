"""given(User, history).when(command).then(events) or .refused(code): rules without a database."""

from collections.abc import Iterable
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

import hypothesis
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace

from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.aggregate import SYSTEM, Actor, Aggregate, Event, Stamp
from rim_ledger.engine.codec import Recorded
from rim_ledger.engine.command import Command, Creation, perform
from rim_ledger.engine.entry import Entry
from rim_ledger.engine.environment import uuid7
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import Reminder, UnitOfWork
from rim_ledger.engine.view import Claim, Count, Secret
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault, opened, personal_fields

SECRET = b"a secret of the tests"
START = datetime(2026, 1, 5, 9, tzinfo=UTC)


def examples(number: int) -> int:
    """How many examples a test tries that tries so many in a whole run: `make fast` tries fewer."""
    return max(1, number * hypothesis.settings.default.max_examples // 100)


class TestWorld:
    """Time stands until it is moved; ids and randomness are counted."""

    __test__ = False

    def __init__(self) -> None:
        self.time, self.count = START, 0

    def now(self) -> datetime:
        return self.time

    def new_id(self) -> UUID:
        return uuid7(int(self.time.timestamp() * 1000), self.random(10))

    def random(self, size: int) -> bytes:
        self.count += 1
        return self.count.to_bytes(size, "big")

    def pass_days(self, days: float) -> None:
        self.time += timedelta(days=days)


class Memory:
    """A ledger in a dictionary: what a Book asks for, and what it leaves behind."""

    def __init__(self) -> None:
        self.environment = TestWorld()
        self.vault = Vault(derived(SECRET), self.environment)
        self.streams: dict[UUID, Entry] = {}
        self.claims: dict[Claim, UUID | None] = {}
        self.keys: dict[UUID, AESGCM | None] = {}
        self.kept_secrets: dict[Secret, str] = {}
        self.reminders: dict[Reminder, datetime | None] = {}
        self.counts: dict[Count, int] = {}
        self.log: list[Recorded] = []
        self.stamp: Stamp | None = None
        """The stamp of every decision, while it is set."""
        self.last_numbers: dict[tuple[str, int], int] = {}

    def copied(self) -> Self:
        """The same ledger once more; what happens to one does not happen to the other."""
        twin = copy(self)
        for name, value in vars(self).items():
            if isinstance(value, dict | list | TestWorld):
                setattr(twin, name, copy(value))
        twin.vault = Vault(derived(SECRET), twin.environment)
        return twin

    def stream(self, id: UUID) -> Entry:
        return self.streams.get(id, Entry())

    def claim(self, claim: Claim) -> UUID | None:
        return self.claims.get(claim)

    def key(self, person: UUID) -> AESGCM | None:
        return self.keys.get(person)

    def number(self, prefix: str, year: int) -> int:
        return self.last_numbers.get((prefix, year), 0)

    def secret(self, secret: Secret) -> str | None:
        return self.kept_secrets.get(secret)

    def counted(self, count: Count) -> int:
        return self.counts.get(count, 0)

    def listed(self, kind: str, count: int) -> dict[str, UUID]:
        own = ((name, stream) for (each, name), stream in self.claims.items() if each == kind)
        return dict(sorted((name, stream) for name, stream in own if stream)[:count])

    def uow(self, actor: Actor = SYSTEM) -> UnitOfWork:
        stamp = self.stamp or Stamp(at=self.environment.now(), actor=actor)
        return UnitOfWork(
            self, self.vault, self.environment, stamp.taken_in(self.environment.now())
        )

    def keep(self, uow: UnitOfWork) -> list[Event]:
        """Commit a book; its events in the clear."""
        self.streams |= uow.streams
        self.log += uow.events
        self.claims |= uow.claims | uow.moves()
        self.keys |= {person: key for person, (key, _) in uow.keys.items()}
        self.kept_secrets |= uow.secrets
        self.reminders |= uow.reminders
        self.counts |= uow.counts
        self.keys |= dict.fromkeys(uow.erased)
        self.last_numbers |= uow.numbers
        return [self._clear(recorded.event) for recorded in uow.events]

    def replayed(self) -> dict[UUID, Entry]:
        """Every stream again, from nothing but the log."""
        streams: dict[UUID, Entry] = {}
        for each in self.log:
            before = streams.get(each.originator_id, Entry())
            streams[each.originator_id] = before.after(ENTITY_OF[type(each.event)], each)
        return streams

    def perform(
        self,
        kind: type[Aggregate],
        id: UUID,
        command: Command[Any] | Creation[Any],
        actor: Actor = SYSTEM,
    ) -> list[Event]:
        """Decide and commit one command, or raise Refused."""
        uow = self.uow(actor)
        perform(uow, kind, id, command)
        return self.keep(uow)

    def _clear(self, event: Event) -> Event:
        fields = personal_fields(type(event))
        return replace(event, **{name: opened(getattr(event, name), self.keys) for name in fields})


class given:  # noqa: N801 - it reads as a sentence
    """A stream with its history, and what a command makes of it."""

    def __init__(self, kind: type[Aggregate], *history: Command[Any] | Creation[Any]) -> None:
        self.kind, self.memory = kind, Memory()
        self.id = self.memory.environment.new_id()
        for command in history:
            self.memory.perform(kind, self.id, command)

    def when(self, command: Command[Any]) -> Self:
        self.command = command
        return self

    def then(self, *events: Event) -> None:
        assert self.memory.perform(self.kind, self.id, self.command) == list(events)

    def refused(self, code: str) -> Refused:
        before = dict(self.memory.streams)
        with pytest.raises(Refused) as refusal:
            self.memory.perform(self.kind, self.id, self.command)
        assert refusal.value.code == code
        assert self.memory.streams == before
        return refusal.value


def names(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]
