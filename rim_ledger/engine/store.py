"""The SQL of the ledger: load what a batch of decisions reads, write what it decided."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from eventsourcing.persistence import Notification
from psycopg import AsyncConnection, errors

from rim_ledger.engine.draft import WRITE, WRITE_OFTEN, Draft, Outcome
from rim_ledger.engine.snapshots import LOAD, Snapshot
from rim_ledger.engine.unit_of_work import Reminder
from rim_ledger.engine.view import Claim, Count, Secret

CHANNEL: Final = "ledger"
PAGE: Final = 1000

INDEXES_ONLY: Final = "SET enable_seqscan = off"
"""Plans are cached, also those of foreign keys; one made while a table was empty would scan it long
after it has grown."""

PLAN_ONCE: Final = "SET plan_cache_mode = force_generic_plan"
"""Every statement is a look-up by an index, whatever its values. For small batches PostgreSQL would
plan some of them each time, for 0.2 ms."""

IMPATIENT: Final = "SET lock_timeout = '2s'"
"""A lock held for longer is reported and retried, instead of waited for silently."""

EVENTS: Final = """
SELECT position, stream_id, version, name, convert_to(body, 'UTF8') AS body, recorded_at, mac
  FROM ledger.events"""


HEAD: Final = "SELECT coalesce(max(position), 0) FROM ledger.events"

TELLS: Final = b'{"claims":"'
"""Prefix of the body of an event that mentions names or idempotency keys."""
TELLING: Final = f"""
 WHERE starts_with(body, '{TELLS.decode()}') AND string_to_array(split_part(body, '"', 4), ' ')"""
"""Finds the events that mention names or idempotency keys, by an index (migration 0037); the values
follow."""


def _missed(what: str) -> str:
    """Return the join that finds, for a missing row, the newest event that mentions it; adoptions
    come last, as they were read just before."""
    return f"""LEFT JOIN LATERAL ({EVENTS}{TELLING} && {what} AND found IS NULL
 ORDER BY name = 'NamesAdopted', position DESC LIMIT 1) e ON true
 WHERE found IS NOT NULL OR e.position IS NOT NULL"""


CLAIMS: Final = f"""
SELECT w.kind, w.name, found, e.*
  FROM unnest(%b::text[], %b::text[], %b::text[]) AS w (kind, name, print)
  LEFT JOIN (SELECT kind, name, stream_id AS found FROM ledger.claims) c USING (kind, name)
  {_missed("ARRAY['+' || print, '-' || print]")}"""  # noqa: S608 - all of it is ours

LISTED: Final = """
SELECT w.kind, l.name, l.stream_id
  FROM unnest(%s::text[], %s::int8[], %s::text[]) AS w (kind, count, after),
       LATERAL (SELECT name, stream_id FROM ledger.claims WHERE kind = w.kind AND name > w.after
                 ORDER BY name LIMIT w.count) l"""

SECRETS: Final = """
SELECT owner, purpose, secret FROM ledger.secrets
  JOIN unnest(%b::uuid[], %b::text[]) AS wanted (owner, purpose) USING (owner, purpose)"""

HASTEN: Final = "UPDATE ledger.reminders SET at = %s WHERE what = %s AND at > %s"
ADD: Final = """
INSERT INTO ledger.reminders (what, stream_id, at)
SELECT DISTINCT %s, stream_id, %s::timestamptz FROM ledger.reminders WHERE what = ANY (%s)
ON CONFLICT DO NOTHING"""
DUE: Final = "SELECT what, stream_id FROM ledger.reminders WHERE at <= %s ORDER BY at LIMIT %s"

NUMBERS: Final = """
SELECT prefix, year, last FROM ledger.numbers
  JOIN unnest(%b::text[], %b::int4[]) AS wanted (prefix, year) USING (prefix, year)"""

COUNTS_KEPT: Final = timedelta(days=3)
"""How long counts of a day are stored from its beginning; this allows for clock differences."""
COUNTS: Final = """
SELECT day, who, what, total FROM ledger.counts
  JOIN unnest(%b::date[], %b::uuid[], %b::text[]) AS wanted (day, who, what)
       USING (day, who, what)"""

OUTCOMES: Final = f"""
SELECT w.caller, w.key, request_hash, found, o.mac, e.*
  FROM unnest(%b::text[], %b::text[], %b::text[]) AS w (caller, key, print)
  LEFT JOIN (SELECT caller, key, request_hash, outcome AS found, mac FROM ledger.outcomes) o
       USING (caller, key)
  {_missed("ARRAY['=' || print]")}"""  # noqa: S608 - all of it is ours


class Moved(Exception):
    """Another process wrote first: the decision was made on an older log."""


class Line(NamedTuple):
    """A stored event with the time of its recording, and its MAC."""

    notification: Notification
    recorded_at: datetime
    mac: bytes | None


class Loaded(NamedTuple):
    """The next event of a stream, and its snapshot if it has one; see LOAD."""

    stream: UUID
    snapshot: Snapshot | None
    line: Line | None


class Store:
    """One connection to the ledger's tables, with the queries of the write side."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self.connection = connection

    async def prepare(self) -> None:
        """Act as the role that may only append to the log, if there is one."""
        await self.connection.execute(INDEXES_ONLY)
        await self.connection.execute(PLAN_ONCE)
        await self.connection.execute(IMPATIENT)
        await self.connection.execute(
            "SELECT set_config('role', rolname, false) FROM pg_roles"
            " WHERE rolname = 'rim_service' AND pg_has_role(session_user, oid, 'member')"
        )

    async def write(self, draft: Draft) -> None:
        """Commit the draft, or raise Moved if the head has changed."""
        try:
            if draft.leaves_nothing:
                cursor = await self.connection.execute(HEAD)
            else:
                statement = WRITE if draft.writes_seldom else WRITE_OFTEN
                cursor = await self.connection.execute(statement, draft.parameters())
        except errors.UniqueViolation as error:
            raise Moved from error
        row = await cursor.fetchone()
        if row is None or row[0] != draft.head:
            raise Moved

    async def head(self) -> int:
        """Return the position of the last event; 0 if there is none."""
        ((position,),) = await (await self.connection.execute(HEAD)).fetchall()
        return int(position)

    async def last(self) -> Line | None:
        """Return the last event, if there is one."""
        lines = await self._lines(EVENTS + " ORDER BY position DESC LIMIT 1", [])
        return lines[0] if lines else None

    async def lock(self) -> None:
        """Block every other writer until the transaction ends. Readers are not blocked."""
        await self.connection.execute("SELECT ledger.keep_writers_out()")

    async def after(self, position: int) -> list[Line]:
        """Return the next page of the log."""
        query = EVENTS + " WHERE position > %s ORDER BY position LIMIT %s"
        return await self._lines(query, [position, PAGE])

    async def streams(self, ids: Iterable[UUID], fingerprints: Iterable[str] = ()) -> list[Loaded]:
        """Return the events of these streams, in order; for a stream with a snapshot of one of
        these fingerprints, from the last event in it."""
        cursor = await self.connection.execute(LOAD, [list(ids), list(fingerprints), None])
        return [_loaded(row) async for row in cursor]

    async def claims(
        self, wanted: Mapping[Claim, str]
    ) -> tuple[dict[Claim, UUID], dict[Claim, Line]]:
        """Return the holders of these names (each with its fingerprint); for free ones, the newest
        event that mentions them, if any."""
        held, mentioned = dict[Claim, UUID](), dict[Claim, Line]()
        cursor = await self.connection.execute(CLAIMS, [*_columns(wanted), [*wanted.values()]])
        async for kind, name, stream, *event in cursor:
            if stream:
                held[kind, name] = stream
            else:
                mentioned[kind, name] = _line(event)
        return held, mentioned

    async def listed(
        self, wanted: Mapping[str, int], after: Mapping[str, str] | None = None
    ) -> dict[str, dict[str, UUID]]:
        """Return the first entries of some lists, or the first after an entry; `wanted` is the
        limit per list."""
        found: dict[str, dict[str, UUID]] = {kind: {} for kind in wanted}
        begins = [(after or {}).get(kind, "") for kind in wanted]
        columns = [list(wanted), list(wanted.values()), begins]
        async for kind, name, stream in await self.connection.execute(LISTED, columns):
            found[kind][name] = stream
        return found

    async def keys(self, persons: Iterable[UUID]) -> dict[UUID, bytes | None]:
        cursor = await self.connection.execute(
            "SELECT person, wrapped FROM ledger.personal_keys WHERE person = ANY (%b::uuid[])",
            [list(persons)],
        )
        return {person: wrapped async for person, wrapped in cursor}

    async def secrets(self, wanted: Sequence[Secret]) -> dict[Secret, str]:
        cursor = await self.connection.execute(SECRETS, _columns(wanted))
        return {(owner, purpose): secret async for owner, purpose, secret in cursor}

    async def hasten(self, what: str, at: datetime, beside: Sequence[str] = ()) -> None:
        """Bring forward all reminders of a kind to a time (UTC), and leave one for each stream that
        has a reminder of the kinds `beside`. An early reminder does no harm."""
        await self.connection.execute(HASTEN, [at, what, at])
        await self.connection.execute(ADD, [what, at, list(beside)])

    async def due(self, at: datetime, count: int) -> list[Reminder]:
        """Return the oldest reminders that are due."""
        cursor = await self.connection.execute(DUE, [at, count])
        return [(what, stream) async for what, stream in cursor]

    async def numbers(self, wanted: Sequence[tuple[str, int]]) -> dict[tuple[str, int], int]:
        """Return the last number taken per prefix and year, if there is one."""
        cursor = await self.connection.execute(NUMBERS, _columns(wanted))
        return {(prefix, year): last async for prefix, year, last in cursor}

    async def counts(self, wanted: Sequence[Count]) -> dict[Count, int]:
        """Return these counts as committed, 0 if missing."""
        cursor = await self.connection.execute(COUNTS, _columns(wanted))
        found = {(day, who, what): total async for day, who, what, total in cursor}
        return dict.fromkeys(wanted, 0) | found

    async def outcomes(
        self, wanted: Mapping[tuple[str, str], str]
    ) -> tuple[list[Outcome], dict[tuple[str, str], Line]]:
        """Return the outcomes stored under these keys of callers (each with its fingerprint); for
        missing ones, the newest event that mentions them, if any."""
        stored, mentioned = list[Outcome](), dict[tuple[str, str], Line]()
        cursor = await self.connection.execute(OUTCOMES, [*_columns(wanted), [*wanted.values()]])
        async for caller, key, request_hash, outcome, mac, *event in cursor:
            if outcome is None:
                mentioned[caller, key] = _line(event)
            else:
                stored.append(Outcome(caller, key, request_hash, outcome, mac))
        return stored, mentioned

    async def _lines(self, query: Any, parameters: Sequence[Any]) -> list[Line]:
        cursor = await self.connection.execute(query, parameters)
        return [_line(row) async for row in cursor]


def _columns(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """Return rows, one at least, as the columns of `unnest`."""
    return [[*column] for column in zip(*rows, strict=True)]


def _line(row: Sequence[Any]) -> Line:
    position, stream, version, name, body, recorded_at, mac = row
    return Line(Notification(stream, version, name, bytes(body), position), recorded_at, mac)


def _loaded(row: Sequence[Any]) -> Loaded:
    stream, version, fold, state, code, position, *event = row
    snapshot = None if version is None else Snapshot.found(stream, version, fold, state, code)
    line = None if position is None else _line([position, stream, *event])
    return Loaded(stream, snapshot, line)
