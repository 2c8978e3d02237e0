"""Compares derived rows with the log, and idempotency outcomes with their MACs."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from hmac import compare_digest
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from projections.catalogue import TABLES
from projections.follow import log
from projections.follow.fold import PoisonEvent, Poisoning, decode
from projections.follow.log import Line
from projections.follow.streams import Rest, no_rest, spans
from projections.proofs.checkpoints import KEY
from projections.proofs.read_tables import ReadTables
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.adopted_secrets import NamesAdopted
from rim_ledger.engine.entry import Entry
from rim_ledger.engine.idempotency import KEPT
from rim_ledger.engine.rows import ADOPTED, DONE, is_held, key_fits, key_print, secret_fits
from rim_ledger.engine.store import TELLING, TELLS, Store
from rim_ledger.engine.view import Claim
from rim_ledger.progress import Progress, unreported
from rim_ledger.reminders import Due, expected
from rim_ledger.vault.personal_keys import Vault, personal_fields

PAGE: Final = 500
DAY: Final = timedelta(days=1)
CLAIMS: Final = """
SELECT kind, name, stream_id FROM ledger.claims
 WHERE (kind, name) > (%s, %s) ORDER BY kind, name LIMIT %s"""
OUTCOMES: Final = """
SELECT caller, key, request_hash, outcome, mac FROM ledger.outcomes
 WHERE (caller, key) > (%s, %s) ORDER BY caller, key LIMIT %s"""
CARRIED_OUT: Final = f"""
SELECT count(*) FROM unnest(%s::text[]) AS wanted (print)
 WHERE EXISTS (SELECT FROM ledger.events{TELLING} && ARRAY['=' || print]
                  AND name <> 'NamesAdopted' AND position <= %s AND recorded_at >= %s)"""
"""How many idempotency keys events of commands name, up to a position and from a time on."""
NUMBERS: Final = "SELECT prefix, year, last FROM ledger.numbers"
SECRETS: Final = "SELECT owner, purpose, secret FROM ledger.secrets ORDER BY owner, purpose"
REMINDERS: Final = """
SELECT what, stream_id, at FROM ledger.reminders
  JOIN unnest(%s::text[], %s::uuid[]) AS wanted (what, stream_id) USING (what, stream_id)"""

Connection = AsyncConnection[Any]


class Stream(Struct, frozen=True):
    """A stream at the end of the log."""

    id: UUID
    entry: Entry = Entry()
    begun: int = 0
    """The position of its first event."""
    has_key: bool = False
    """Whether that made a personal key."""

    @property
    def claims(self) -> frozenset[Claim]:
        """Its claims: unique names and lists."""
        if (aggregate := self.entry.aggregate) is None:
            return frozenset()
        own = {("business-id", number)} if (number := aggregate.business_id) else set[Claim]()
        return aggregate.claims | aggregate.lists | own

    @property
    def number(self) -> tuple[str, int] | None:
        """Prefix and number of its business id."""
        if not (self.entry.aggregate and (own := self.entry.aggregate.business_id)):
            return None
        prefix, _, number = own.rpartition("-")
        return prefix, int(number)

    @property
    def has_secrets(self) -> bool:
        return any(name.startswith("secret/") for name in self.entry.kept)


class RowsProgress(Struct):
    """Progress of a pass over all streams, from which another process can continue."""

    after: UUID = UUID(int=0)
    """The last stream compared, in order of ids."""
    upto: int | None = None
    """The position of the read tables at the start."""
    head: int = 0
    """The position of the log at the start."""
    keys: dict[date, int] = {}
    """Idempotency keys named by events up to there, by the day (UTC) of their recording."""
    shown: dict[str, int] = {}
    """Rows of each read table begun up to there that were found."""
    owners: set[UUID] = set()
    """Streams that have secrets."""
    numbers: dict[str, int] = {}
    """The highest business number by prefix and year, as in LOAN-2026."""

    def count_keys(self, lines: Iterable[Line]) -> None:
        for line in lines:
            if line.position <= self.head and (named := _keys(line)):
                day = line.recorded_at.astimezone(UTC).date()
                self.keys[day] = self.keys.get(day, 0) + named


class DerivedRows:
    """One pass over all derived rows, a few streams at a time."""

    def __init__(
        self,
        connection: Connection,
        vault: Vault,
        now: datetime,
        place: RowsProgress | None = None,
        rest: Rest = no_rest,
    ) -> None:
        """The `connection` is of `moments`. An interrupted pass continues from its `place`."""
        self._connection, self._vault, self._now, self._rest = connection, vault, now, rest
        self._store, self._shown = Store(connection), ReadTables(connection, vault)
        self._place = place or RowsProgress()
        self.lost: list[Due] = []
        """Reminders that are missing or set too late."""

    async def faults(self, progress: Progress = unreported) -> AsyncIterator[str]:
        """Yield what does not follow from the log, or is missing. Raises PoisonEvent."""
        place, done = self._place, 0
        total, counts = await log.head(self._connection), Counter(place.shown)
        if place.upto is None:
            place.upto, place.head = await self._shown.position(), total
        async for lines in spans(self._connection, place.after, self._rest):
            folded = dict[UUID, Stream]()
            for line in lines:
                folded[line.stream] = _after(folded.get(line.stream), line)
            streams = list(folded.values())
            place.count_keys(lines)
            place.owners |= {each.id for each in streams if each.has_secrets}
            for name, number in filter(None, (each.number for each in streams)):
                place.numbers[name] = max(number, place.numbers.get(name, 0))
            beside = (self._names(streams), self._keys(streams), self._reminders(streams))
            for faults in (*beside, self._shown.faults(lines, place.upto, counts)):
                async for fault in faults:
                    yield fault
            place.after, place.shown = lines[-1].stream, dict(counts)
            progress(done := done + len(lines), total)
        rest = self._holders(), self._secrets(), self._outcomes(), self._last_numbers()
        for others in (*rest, self._surplus()):
            async for fault in others:
                yield fault

    async def _names(self, streams: Sequence[Stream]) -> AsyncIterator[str]:
        wanted = [(claim, each) for each in streams for claim in each.claims]
        held, _ = await self._store.claims({claim: "" for claim, _ in wanted})
        others = await self._folded(
            {held[claim] for claim, each in wanted if held.get(claim, each.id) != each.id}
        )
        for claim, stream in wanted:
            if (holder := held.get(claim)) is None:
                yield f"ledger.claims: {claim[0]} of {stream.id} is missing"
            elif holder != stream.id and claim not in others[holder].claims:
                yield f"ledger.claims: {claim[0]} of {stream.id} leads to {holder}"
            elif holder != stream.id and self._has_lost_claim(claim, stream, others[holder]):
                yield f"ledger.claims: {claim[0]} of {stream.id} is that of {holder} as well"

    def _has_lost_claim(self, claim: Claim, *both: Stream) -> bool:
        """True if two hold a unique name since its row was missing when the later one took it;
        False for spellings that earlier releases distinguished."""
        mac = self._vault.event_mac
        taken = all(
            each.entry.aggregate and claim not in each.entry.aggregate.lists for each in both
        )
        return taken and max(each.begun for each in both) > (mac.since if mac else 0)

    async def _holders(self) -> AsyncIterator[str]:
        """Yield names that lead to a stream which does not hold them."""
        last: tuple[str, str] = "", ""
        while page := await self._rows(CLAIMS, *last, PAGE):
            others = await self._folded({stream for _, _, stream in page})
            for kind, name, stream in page:
                if not is_held(self._vault, others[stream].entry, (kind, name)):
                    yield f"ledger.claims: {kind} leads to {stream}, which does not hold it"
            last = page[-1][0], page[-1][1]
            await self._next_moment()

    async def _keys(self, streams: Sequence[Stream]) -> AsyncIterator[str]:
        persons = {each.id: each.entry for each in streams if each.has_key}
        wrapped = await self._store.keys(persons)
        for person, entry in persons.items():
            if not key_fits(entry, person, wrapped):
                erased = entry.aggregate is not None and entry.aggregate.key_destroyed
                what = "was destroyed and is there again" if erased else "is missing"
                yield f"ledger.personal_keys: the key of {person} {what}"

    async def _reminders(self, streams: Sequence[Stream]) -> AsyncIterator[str]:
        aggregates = filter(None, (each.entry.aggregate for each in streams))
        wanted = [due for each in aggregates for due in expected(each, self._now)]
        columns = [[due.reminder[0] for due in wanted], [due.reminder[1] for due in wanted]]
        rows = await self._rows(REMINDERS, *columns)
        found = {(what, stream): at for what, stream, at in rows}
        for due in wanted:
            at, (what, stream) = found.get(due.reminder), due.reminder
            if at is None or at > due.latest:
                self.lost.append(due)
                is_ = "is missing" if at is None else f"is for {at:%Y-%m-%d %H:%M} UTC, too late"
                yield f"ledger.reminders: {what} of {stream} {is_}"

    async def _secrets(self) -> AsyncIterator[str]:
        rows = await self._rows(SECRETS)
        stored = {(owner, what): text for owner, what, text in rows if (owner, what) != KEY}
        known = self._place.owners | {owner for owner, _ in stored} | {ADOPTED}
        owners = {each: one.entry for each, one in (await self._folded(known)).items()}
        owned = {
            (owner, name.removeprefix("secret/"))
            for owner, entry in owners.items()
            if owner != ADOPTED
            for name in entry.kept
            if name.startswith("secret/")
        }
        for secret in sorted(stored.keys() | owned):
            owner, before = owners[secret[0]], owners[ADOPTED]
            if not secret_fits(self._vault, owner, before, secret, stored.get(secret)):
                what = "does not follow from the log" if secret in stored else "is missing"
                yield f"ledger.secrets: {secret[1]} of {secret[0]} {what}"
        await self._next_moment()

    async def _outcomes(self) -> AsyncIterator[str]:
        """Yield outcomes that were not stored so, and how many are missing that were stored since
        the first whole day of their retention."""
        last, mac = ("", ""), self._vault.event_mac
        first = datetime.combine(self._now - KEPT + DAY, time.min, UTC)
        missing = sum(keys for day, keys in self._place.keys.items() if day >= first.date())
        while mac and (page := await self._rows(OUTCOMES, *last, PAGE)):
            for *columns, code in page:
                if not compare_digest(code or b"", mac.row_code("outcomes", *columns)):
                    yield f"ledger.outcomes: that of the key {columns[1]} was not stored so"
            prints = [key_print(self._vault, caller, key) for caller, key, *_ in page]
            missing -= (await self._rows(CARRIED_OUT, prints, self._place.head, first))[0][0]
            last = page[-1][0], page[-1][1]
            await self._next_moment()
        if missing:
            yield f"ledger.outcomes: {missing} are missing"

    async def _last_numbers(self) -> AsyncIterator[str]:
        """Yield numbers that would be issued again."""
        rows = {f"{prefix}-{year}": last for prefix, year, last in await self._rows(NUMBERS)}
        for name, number in self._place.numbers.items():
            if (last := rows.get(name, 0)) < number:
                yield f"ledger.numbers: {name} is at {last}, and {number} is taken"
        await self._next_moment()

    async def _surplus(self) -> AsyncIterator[str]:
        """Yield read tables with surplus rows."""
        upto = self._place.upto or 0
        for row in TABLES.values():
            if fault := await self._shown.surplus(row, upto, self._place.shown.get(row.TABLE, 0)):
                yield fault
            await self._next_moment()

    async def _next_moment(self) -> None:
        await self._connection.commit()
        await self._rest()

    async def _folded(self, ids: Iterable[UUID]) -> Mapping[UUID, Stream]:
        streams = {each: Stream(each) for each in ids}
        head = await log.head(self._connection)
        for line in await log.streams(self._connection, streams, head):
            streams[line.stream] = _after(streams[line.stream], line)
        return streams

    async def _rows(self, query: str, *values: object) -> list[Any]:
        return await (await self._connection.execute(query.encode(), values or None)).fetchall()


def interruption(error: PoisonEvent) -> str:
    """The fault of a pass that could not go on. It does not quote the event."""
    return f"position {error.position}: the event cannot be folded; not all rows were compared"


def _after(stream: Stream | None, line: Line) -> Stream:
    """Fold one more event. Raises PoisonEvent."""
    recorded = decode(line)
    before = stream.entry if stream else Entry()
    with Poisoning(line):
        entry = before.after(ENTITY_OF[type(recorded.event)], recorded)
    if stream and before.aggregate:
        return Stream(line.stream, entry, stream.begun, has_key=stream.has_key)
    own = entry.aggregate is not None and entry.aggregate.person == line.stream
    event = recorded.event
    has_key = own and any(getattr(event, field) for field in personal_fields(type(event)))
    return Stream(line.stream, entry, line.position, has_key=has_key)


def _keys(line: Line) -> int:
    """How many idempotency keys an event of a command names."""
    tells = line.body.startswith(TELLS) and line.name != NamesAdopted.__name__
    return line.body.split(b'"', 4)[3].count(DONE.encode()) if tells else 0
