"""The writes of a batch, and the one statement that commits it."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.activity import AdminActivityLog, RefusedRequest
from rim_ledger.engine.unit_of_work import Reminder
from rim_ledger.engine.view import Claim, Count, Secret


class Outcome(Struct, frozen=True):
    """The stored outcome of an idempotency key: the request it came with, and its answer."""

    caller: str
    key: str
    request_hash: str
    outcome: str
    mac: bytes | None


class Draft(Struct):
    """The writes of a batch, committed as a whole."""

    head: int
    at: datetime
    streams: list[UUID] = []
    versions: list[int] = []
    names: list[str] = []
    bodies: list[str] = []
    macs: list[bytes] = []
    claims: dict[Claim, UUID | None] = {}
    keys: dict[UUID, bytes] = {}
    erased: set[UUID] = set()
    secrets: dict[Secret, str] = {}
    reminders: dict[Reminder, datetime | None] = {}
    numbers: dict[tuple[str, int], int] = {}
    counts: dict[Count, int] = {}
    outcomes: list[Outcome] = []
    activities: list[bytes] = []
    refused_requests: list[bytes] = []
    """Lines of these tables as JSON."""

    @property
    def leaves_nothing(self) -> bool:
        """Whether the batch only reads."""
        written = (self.streams, self.claims, self.keys, self.erased, self.secrets)
        logged = (self.outcomes, self.activities, self.refused_requests)
        return not any((*written, self.reminders, *logged))

    @property
    def writes_seldom(self) -> bool:
        """Whether it has writes of the kinds that few decisions have."""
        gone = (self.erased, not all(self.claims.values()), not all(self.reminders.values()))
        return any((*gone, self.secrets, self.counts, self.refused_requests))

    def parameters(self) -> dict[str, Any]:
        held = [(claim, holder) for claim, holder in self.claims.items() if holder]
        coming = [(*reminder, at) for reminder, at in self.reminders.items() if at]
        past = [reminder for reminder, at in self.reminders.items() if not at]
        free = [claim for claim, holder in self.claims.items() if not holder]
        return {
            "head": self.head,
            "at": self.at,
            "streams": self.streams,
            "versions": self.versions,
            "names": self.names,
            "bodies": self.bodies,
            "macs": self.macs,
            "kinds": [claim[0] for claim, _ in held],
            "claimed": [claim[1] for claim, _ in held],
            "holders": [holder for _, holder in held],
            "free_kinds": [kind for kind, _ in free],
            "free_names": [name for _, name in free],
            "persons": list(self.keys),
            # No statement sees its own rows: a key created and destroyed in one batch is not
            # written.
            "wrapped": [None if each in self.erased else key for each, key in self.keys.items()],
            "erased": list(self.erased),
            "owners": [owner for owner, _ in self.secrets],
            "purposes": [purpose for _, purpose in self.secrets],
            "secrets": list(self.secrets.values()),
            "what": [what for what, _, _ in coming],
            "whom": [stream for _, stream, _ in coming],
            "when": [at for _, _, at in coming],
            "past_what": [what for what, _ in past],
            "past_whom": [stream for _, stream in past],
            "prefixes": [prefix for prefix, _ in self.numbers],
            "years": [year for _, year in self.numbers],
            "lasts": list(self.numbers.values()),
            "callers": [each.caller for each in self.outcomes],
            "keys": [each.key for each in self.outcomes],
            "hashes": [each.request_hash for each in self.outcomes],
            "outcomes": [each.outcome for each in self.outcomes],
            "outcome_macs": [each.mac for each in self.outcomes],
            "activities": _array(self.activities),
            "refused_requests": _array(self.refused_requests),
            "count_days": [day for day, _, _ in self.counts],
            "counted_who": [who for _, who, _ in self.counts],
            "counted_what": [what for _, _, what in self.counts],
            "totals": list(self.counts.values()),
            "notify": bool(self.streams),
        }


def _array(lines: list[bytes]) -> str:
    return f"[{b','.join(lines).decode()}]"


def _columns(line: type[Struct], of: str = "") -> str:
    """Return the columns of a kind of line, with the table's alias if there is one."""
    return ", ".join(f"{of}.{name}".lstrip(".") for name in line.__struct_fields__)


# One statement is one transaction and one round trip. A batch is written only at the head it was
# decided on; two processes that write the same position collide at its primary key.
_OFTEN: Final = f"""
events AS (
    INSERT INTO ledger.events (position, stream_id, version, name, body, recorded_at, mac)
    SELECT head.position + e.ordinality, e.stream, e.version, e.name, e.body, %(at)s, e.mac
      FROM head, unnest(%(streams)b::uuid[], %(versions)b::int8[], %(names)b::text[],
                        %(bodies)b::text[], %(macs)b::bytea[])
           WITH ORDINALITY AS e (stream, version, name, body, mac, ordinality)
     WHERE head.position = %(head)s),
taken AS (
    INSERT INTO ledger.claims
    SELECT c.* FROM head, unnest(%(kinds)b::text[], %(claimed)b::text[], %(holders)b::uuid[]) c
     WHERE head.position = %(head)s
    ON CONFLICT (kind, name) DO UPDATE SET stream_id = excluded.stream_id),
keys AS (
    INSERT INTO ledger.personal_keys (person, wrapped, erased_at)
    SELECT k.*, CASE WHEN k.wrapped IS NULL THEN %(at)s END
      FROM head, unnest(%(persons)b::uuid[], %(wrapped)b::bytea[]) AS k (person, wrapped)
     WHERE head.position = %(head)s),
reminded AS (
    INSERT INTO ledger.reminders
    SELECT r.* FROM head, unnest(%(what)b::text[], %(whom)b::uuid[], %(when)b::timestamptz[]) r
     WHERE head.position = %(head)s
    ON CONFLICT (what, stream_id) DO UPDATE SET at = excluded.at),
numbered AS (
    INSERT INTO ledger.numbers
    SELECT n.* FROM head, unnest(%(prefixes)b::text[], %(years)b::int4[], %(lasts)b::int8[]) n
     WHERE head.position = %(head)s
    ON CONFLICT (prefix, year) DO UPDATE SET last = excluded.last),
outcomes AS (
    INSERT INTO ledger.outcomes (caller, key, request_hash, outcome, mac, recorded_at)
    SELECT o.*, %(at)s FROM head, unnest(%(callers)b::text[], %(keys)b::text[], %(hashes)b::text[],
                                         %(outcomes)b::text[], %(outcome_macs)b::bytea[]) o
     WHERE head.position = %(head)s),
activities AS (
    INSERT INTO ledger.activity ({_columns(AdminActivityLog)})
    SELECT {_columns(AdminActivityLog, "a")}
      FROM head, json_populate_recordset(NULL::ledger.activity, %(activities)s::json) a
     WHERE head.position = %(head)s)"""  # noqa: S608 - all of it is ours
_SELDOM: Final = f"""
released AS (
    DELETE FROM ledger.claims
     USING head, unnest(%(free_kinds)b::text[], %(free_names)b::text[]) AS f (kind, name)
     WHERE head.position = %(head)s AND claims.kind = f.kind AND claims.name = f.name),
erased AS (
    UPDATE ledger.personal_keys SET wrapped = NULL, erased_at = %(at)s
      FROM head WHERE head.position = %(head)s AND person = ANY (%(erased)b::uuid[])),
secrets AS (
    INSERT INTO ledger.secrets
    SELECT s.* FROM head, unnest(%(owners)b::uuid[], %(purposes)b::text[], %(secrets)b::text[]) s
     WHERE head.position = %(head)s
    ON CONFLICT (owner, purpose) DO UPDATE SET secret = excluded.secret),
forgotten AS (
    DELETE FROM ledger.reminders
     USING head, unnest(%(past_what)b::text[], %(past_whom)b::uuid[]) AS p (what, stream_id)
     WHERE head.position = %(head)s AND reminders.what = p.what
       AND reminders.stream_id = p.stream_id),
refused AS (
    INSERT INTO ledger.refused_requests ({_columns(RefusedRequest)})
    SELECT {_columns(RefusedRequest, "r")}
      FROM head, json_populate_recordset(NULL::ledger.refused_requests,
                                         %(refused_requests)s::json) r
     WHERE head.position = %(head)s),
counted AS (
    INSERT INTO ledger.counts
    SELECT c.* FROM head, unnest(%(count_days)b::date[], %(counted_who)b::uuid[],
                                 %(counted_what)b::text[], %(totals)b::int8[]) c
     WHERE head.position = %(head)s
    ON CONFLICT (day, who, what) DO UPDATE SET total = excluded.total)"""  # noqa: S608 - all of it is ours


def _writing(*parts: str) -> str:
    statement = f"""
WITH head AS (SELECT coalesce(max(position), 0) AS position FROM ledger.events), {",".join(parts)}
SELECT position, CASE WHEN %(notify)s THEN pg_notify('ledger', '') END FROM head"""  # noqa: S608 - all of it is ours
    return " ".join(statement.split())


WRITE: Final = _writing(_OFTEN, _SELDOM)
"""psycopg caches the parsed form of statements up to 4,096 characters; longer ones are parsed each
time."""
WRITE_OFTEN: Final = _writing(_OFTEN)
"""For drafts without rare writes: a part costs time even without rows."""
