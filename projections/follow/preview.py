"""What events would change that are not in the log: rows and journal, as reads show them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from projections.catalogue import ROW_OF
from projections.follow.as_of import copied_streams, select_rows
from projections.follow.fold import Entry, shown, traces
from projections.follow.log import Line
from projections.journal import JournalEntry, JournalEntryRow
from projections.tables.table import Row
from projections.tables.upsert_sql import sources
from projections.tables.writer import Rows, rows_of
from rim_ledger.business_time import Times
from rim_ledger.catalogue import ENTITY_OF, EVENTS
from rim_ledger.engine import entry
from rim_ledger.engine.codec import Codec, Recorded
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.values import ZERO
from rim_ledger.vault.personal_keys import Keys

RECORDED: Final = """
SELECT s.stream, (SELECT e.recorded_at FROM ledger.events e
                   WHERE e.stream_id = s.stream AND e.version <= s.version
                   ORDER BY e.version DESC LIMIT 1)
  FROM unnest(%s::uuid[], %s::int8[]) AS s (stream, version)"""

States = Mapping[UUID, entry.Entry]
Tests = Sequence[tuple[str, list[Any]]]
"""Conditions in SQL over a row's alias t, and the values of their placeholders."""
_codec: Final = Codec(EVENTS)


class Reader(Struct, frozen=True):
    """Who sees rows: with the keys of persons (None once erased) before and after, `masked` without
    the right to personal data; `own` for the borrower whom they are about."""

    keys: tuple[Keys, Keys]
    masked: bool
    own: bool
    tables: Mapping[type[Row], Tests]
    """The tables that they read, and the conditions for the rows that they see."""


class Seen(NamedTuple):
    """A row at a version, as JSON."""

    id: UUID
    version: int
    text: str


class ChangedRow(Struct, frozen=True):
    """A row before and after; None where there is none, or none that the reader sees."""

    row: type[Row]
    id: UUID
    before: Seen | None
    after: Seen | None


class Figures(Struct, frozen=True, rename="camel"):
    """What a person owes and has, in naira."""

    exposure: Decimal
    outstanding: Decimal
    credit_balance: Decimal

    @classmethod
    def of(cls, user: User) -> Self:
        """Return the figures of a user."""
        owed = sum((debt.outstanding for debt in user.debts.values()), ZERO)
        return cls(user.exposure, owed, user.credit_balance)


class Preview(Struct, frozen=True):
    """Events that a decision would append, the streams that they change, and those that the rows of
    these copy from, before and after."""

    events: list[Recorded]
    before: States
    after: States

    @classmethod
    def between(cls, before: UnitOfWork, after: UnitOfWork) -> Self:
        """Return what was done between two units of work."""
        events = after.events[len(before.events) :]
        changed = dict.fromkeys(each.originator_id for each in events)
        return cls(events, _states(before, changed), _states(after, changed))

    @property
    def persons(self) -> set[UUID]:
        """The persons whose data the events and rows may hold."""
        states = (*self.before.values(), *self.after.values())
        return {each.aggregate.person for each in states if each.aggregate}

    @property
    def tables(self) -> list[type[Row]]:
        """The tables whose rows it changes."""
        changed = (type(self.after[each.originator_id].aggregate) for each in self.events)
        return [ROW_OF[kind] for kind in dict.fromkeys(changed) if kind in ROW_OF]

    def lines(self, head: int) -> list[Line]:
        """The events as the log would have them right after a position."""
        return [
            Line(
                head + nth,
                each.originator_id,
                each.originator_version,
                type(each.event).__name__,
                _codec.body(each),
                each.stamp.noted_at,
            )
            for nth, each in enumerate(self.events, 1)
        ]

    def figures(self) -> Iterator[tuple[UUID, Figures | None, Figures]]:
        """The figures of each borrower concerned, before (None for a new one) and after."""
        for stream, state in self.after.items():
            if isinstance(user := state.aggregate, User):
                known = self.before.get(stream, entry.Entry()).aggregate
                then = Figures.of(known) if isinstance(known, User) else None
                yield user.id, then, Figures.of(user)

    def journal(self, lines: Iterable[Line]) -> list[JournalEntry]:
        """The journal entries of the events, given as lines of the log."""
        states, found = dict(self.before), list[JournalEntry]()
        for line, recorded in zip(lines, self.events, strict=True):
            known = states[line.stream]
            states[line.stream] = after = known.after(ENTITY_OF[type(recorded.event)], recorded)
            then, now = (self._entry(each, line.recorded_at) for each in (known, after))
            assert now, "it has an event"
            left = traces(then, now, recorded, line)
            found += [each for each in left if isinstance(each, JournalEntry)]
        return found

    async def rows(self, connection: AsyncConnection[Any], reader: Reader) -> list[ChangedRow]:
        """The changed rows that a reader sees."""
        ids, versions = [*self.before], [each.version for each in self.before.values()]
        cursor = await connection.execute(RECORDED, [ids, versions])
        recorded = dict(await cursor.fetchall())
        before, after = reader.keys
        sides = (
            self._side(
                {each: self._entry(self.before[each], recorded[each]) for each in ids}, before
            ),
            self._side({each: self._entry(self.after[each]) for each in self.after}, after),
        )
        found = list[ChangedRow]()
        for row in reader.tables:
            then, now = [await _select(connection, row, side, reader) for side in sides]
            found += [
                ChangedRow(row, each, then.get(each), now.get(each))
                for each in dict.fromkeys([*then, *now])
            ]
        return found

    async def entries(
        self, connection: AsyncConnection[Any], journal: list[JournalEntry], reader: Reader
    ) -> list[Seen]:
        """The journal entries as reads show them."""
        values = rows_of((), journal, {})[JournalEntryRow]
        return [
            Seen._make(each)
            for each in await select_rows(
                connection, JournalEntryRow, values, {}, masked=reader.masked
            )
        ]

    def _entry(self, state: entry.Entry, recorded_at: datetime | None = None) -> Entry | None:
        """A stream as projections have it; None before its first event."""
        if state.aggregate is None:
            return None
        stamp = self.events[0].stamp
        return shown(state, 0, recorded_at or stamp.noted_at, Times.begin(stamp), 0)

    def _side(self, entries: Mapping[UUID, Entry | None], keys: Keys) -> tuple[Rows, Rows]:
        """The values of the rows of changed streams, and those of all."""
        there = {stream: each for stream, each in entries.items() if each}
        changed = dict.fromkeys(each.originator_id for each in self.events)
        own = [there[stream] for stream in changed if stream in there]
        return rows_of(own, (), keys), rows_of(there.values(), (), keys)


async def _select(
    connection: AsyncConnection[Any], row: type[Row], side: tuple[Rows, Rows], reader: Reader
) -> dict[UUID, Seen]:
    """The changed rows of a table that a reader sees, by id."""
    own, others = side
    copied = dict.fromkeys(sources(row), others)
    found = await select_rows(
        connection,
        row,
        own[row],
        copied,
        masked=reader.masked,
        own=reader.own,
        tests=reader.tables[row],
    )
    return {each[0]: Seen._make(each) for each in found}


def _states(uow: UnitOfWork, changed: Iterable[UUID]) -> dict[UUID, entry.Entry]:
    """The states of changed streams, and of those that their rows copy from."""
    states = {each: uow.entry(each) for each in changed}
    copied = set[UUID]()
    for state in states.values():
        if state.aggregate and (row := ROW_OF.get(type(state.aggregate))):
            for source in sources(row):
                copied |= copied_streams(row, source, [state.aggregate])
    uow.look_ahead(partial(uow.entry, each) for each in copied)
    return states | {each: uow.entry(each) for each in sorted(copied)}
