"""The statement that writes a batch."""

from typing import Final

from msgspec import Struct

from rim_ledger.engine.activity import AdminActivityLog
from rim_ledger.engine.counts import KEEP
from rim_ledger.engine.refused_request import RefusedRequest


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
     WHERE head.position = %(head)s),{KEEP}"""  # noqa: S608 - all of it is ours


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
