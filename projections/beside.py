"""Compares the rows beside the log with the log: names, secrets, keys, outcomes and reminders."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from hmac import compare_digest
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection, IsolationLevel

from projections import log
from projections.fold import Poisoned, opened
from projections.log import Line
from projections.seals import KEY
from projections.verify import Progress, Rest, no_rest, silent
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.core import Event
from rim_ledger.due import Due, expected
from rim_ledger.entry import Entry
from rim_ledger.lists import Claim
from rim_ledger.rows import ADOPTED, is_held, key_fits, secret_fits
from rim_ledger.store import Store
from rim_ledger.vault import Vault, personal_fields

STRETCH: Final = 2_000
PAGE: Final = 500
CLAIMS: Final = """
SELECT kind, name, stream_id FROM ledger.claims
 WHERE (kind, name) > (%s, %s) ORDER BY kind, name LIMIT %s"""
OUTCOMES: Final = """
SELECT caller, key, request_hash, outcome, mac FROM ledger.outcomes
 WHERE (caller, key) > (%s, %s) ORDER BY caller, key LIMIT %s"""
SECRETS: Final = "SELECT owner, purpose, secret FROM ledger.secrets ORDER BY owner, purpose"
REMINDERS: Final = """
SELECT what, stream_id, at FROM ledger.reminders
  JOIN unnest(%s::text[], %s::uuid[]) AS wanted (what, stream_id) USING (what, stream_id)"""

Connection = AsyncConnection[Any]


class Stream(Struct, frozen=True):
    """A stream at the end of the log, and whether a key was made with its first event."""

    id: UUID
    entry: Entry
    has_key: bool

    @property
    def claims(self) -> frozenset[Claim]:
        """The names that it holds and the lists it is on."""
        if (aggregate := self.entry.aggregate) is None:
            return frozenset()
        own = aggregate.BUSINESS_ID
        number = {("business-id", getattr(aggregate, own))} if own else set[Claim]()
        return aggregate.claims | aggregate.lists | number


class Beside:
    """One look at all rows, as they are at one moment."""

    def __init__(
        self, connection: Connection, vault: Vault, now: datetime, rest: Rest = no_rest
    ) -> None:
        self._connection, self._vault, self._now, self._rest = connection, vault, now, rest
        self._store, self._owners = Store(connection), dict[UUID, Entry]()
        self.lost: list[Due] = []
        """Reminders that are gone, or are for too late."""

    async def faults(self, progress: Progress = silent) -> AsyncIterator[str]:
        """What does not follow from the log, or is missing."""
        upto, done = await log.head(self._connection), 0
        async for streams, events in self._streams(upto):
            for each in streams:
                if any(name.startswith("secret/") for name in each.entry.kept):
                    self._owners[each.id] = each.entry
            for faults in (self._names(streams), self._keys(streams), self._reminders(streams)):
                async for fault in faults:
                    yield fault
            done += events
            progress(done, upto)
            await self._rest()
        for others in (self._holders(upto), self._secrets(upto), self._outcomes()):
            async for fault in others:
                yield fault

    async def _streams(self, upto: int) -> AsyncIterator[tuple[list[Stream], int]]:
        """The streams that end in each stretch of the log, and how many events that was."""
        place, stream = log.FIRST, None
        while lines := await log.stretch(self._connection, place, upto, STRETCH):
            ended = list[Stream]()
            for line in lines:
                if stream and stream.id != line.stream:
                    ended.append(stream)
                    stream = None
                stream = _after(stream, line)
            place = lines[-1].stream, lines[-1].version
            yield ended, len(lines)
        if stream:
            yield [stream], 0

    async def _names(self, streams: Sequence[Stream]) -> AsyncIterator[str]:
        wanted = {claim: each.id for each in streams for claim in each.claims}
        held = await self._store.claims(list(wanted))
        others = await self._folded({held[claim] for claim in held if held[claim] != wanted[claim]})
        for claim, stream in wanted.items():
            if (holder := held.get(claim)) is None:
                yield f"ledger.claims: {claim[0]} of {stream} is missing"
            elif holder != stream and claim not in others[holder].claims:
                yield f"ledger.claims: {claim[0]} of {stream} leads to {holder}"

    async def _holders(self, upto: int) -> AsyncIterator[str]:
        """Names that lead to a stream which does not hold them."""
        last: tuple[str, str] = "", ""
        while page := await self._rows(CLAIMS, *last, PAGE):
            await self._rest()
            others = await self._folded({stream for _, _, stream in page})
            for kind, name, stream in page:
                if not is_held(self._vault, others[stream].entry, (kind, name)):
                    yield f"ledger.claims: {kind} leads to {stream}, which does not hold it"
            last = page[-1][0], page[-1][1]

    async def _keys(self, streams: Sequence[Stream]) -> AsyncIterator[str]:
        persons = {each.id: each.entry for each in streams if each.has_key}
        wrapped = await self._store.keys(persons)
        for person, entry in persons.items():
            if not key_fits(entry, person, wrapped):
                erased = entry.aggregate is not None and entry.aggregate.key_destroyed
                what = "was destroyed and is there again" if erased else "is missing"
                yield f"ledger.personal_keys: the key of {person} {what}"

    async def _reminders(self, streams: Sequence[Stream]) -> AsyncIterator[str]:
        wanted = [due for each in streams for due in self._expected(each)]
        columns = [[due.reminder[0] for due in wanted], [due.reminder[1] for due in wanted]]
        rows = await self._rows(REMINDERS, *columns)
        found = {(what, stream): at for what, stream, at in rows}
        for due in wanted:
            at, (what, stream) = found.get(due.reminder), due.reminder
            if at is None or at > due.latest:
                self.lost.append(due)
                is_ = "is missing" if at is None else f"is for {at:%Y-%m-%d %H:%M} UTC, too late"
                yield f"ledger.reminders: {what} of {stream} {is_}"

    def _expected(self, stream: Stream) -> Iterator[Due]:
        if stream.entry.aggregate:
            yield from expected(stream.entry.aggregate, self._now)

    async def _secrets(self, upto: int) -> AsyncIterator[str]:
        rows = await self._rows(SECRETS)
        stored = {(owner, what): text for owner, what, text in rows if (owner, what) != KEY}
        said = {
            (owner, name.removeprefix("secret/"))
            for owner, entry in self._owners.items()
            if owner != ADOPTED
            for name in entry.kept
            if name.startswith("secret/")
        }
        others = await self._folded({owner for owner, _ in stored} - self._owners.keys())
        before = self._owners.get(ADOPTED, Entry())
        for secret in sorted(stored.keys() | said):
            owner = self._owners.get(secret[0]) or others[secret[0]].entry
            if not secret_fits(self._vault, owner, before, secret, stored.get(secret)):
                what = "does not follow from the log" if secret in stored else "is missing"
                yield f"ledger.secrets: {secret[1]} of {secret[0]} {what}"

    async def _outcomes(self) -> AsyncIterator[str]:
        last, mac = ("", ""), self._vault.event_mac
        while mac and (page := await self._rows(OUTCOMES, *last, PAGE)):
            await self._rest()
            for *columns, code in page:
                if not compare_digest(code or b"", mac.row_code("outcomes", *columns)):
                    yield f"ledger.outcomes: that of the key {columns[1]} was not stored so"
            last = page[-1][0], page[-1][1]

    async def _folded(self, ids: Iterable[UUID]) -> Mapping[UUID, Stream]:
        streams = {each: Stream(each, Entry(), has_key=False) for each in ids}
        head = await log.head(self._connection)
        for line in await log.streams(self._connection, streams, head):
            streams[line.stream] = _after(streams[line.stream], line)
        return streams

    async def _rows(self, query: str, *values: object) -> list[Any]:
        return await (await self._connection.execute(query.encode(), values or None)).fetchall()


@asynccontextmanager
async def one_moment(url: str) -> AsyncIterator[Connection]:
    """A connection that sees all as it is at one moment, and changes nothing."""
    async with await AsyncConnection.connect(url) as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        yield connection


def _after(stream: Stream | None, line: Line) -> Stream:
    """The stream after one more event. Raises Poisoned."""
    recorded = opened(line)
    before = stream.entry if stream else Entry()
    try:
        entry = before.after(ENTITY_OF[type(recorded.event)], recorded)
    except Exception as error:
        raise Poisoned(line, f"{type(error).__name__}: {error}") from error
    if stream and before.aggregate:
        return Stream(line.stream, entry, has_key=stream.has_key)
    own = entry.aggregate is not None and entry.aggregate.person == line.stream
    return Stream(line.stream, entry, has_key=own and _has_words(recorded.event))


def _has_words(event: Event) -> bool:
    return any(getattr(event, field) for field in personal_fields(type(event)))
