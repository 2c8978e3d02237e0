"""Key rotation: adds keys to the ring, and wraps everything again while the service runs."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg.errors import LockNotAvailable

from rim_ledger.engine.environment import Environment
from rim_ledger.operator_error import OperatorError
from rim_ledger.progress import Progress
from rim_ledger.vault.key_ring import KEY, KEY_ID, Purpose, Ring, store, stored
from rim_ledger.vault.personal_keys import WRAPPED, Vault

ROTATING: Final = 7_264_007
LINGERING: Final = 5_000
"""Milliseconds in which the session of a killed rotation ends and releases its lock."""
ROTATED: Final = (Purpose.PERSONAL, Purpose.SECRET)
"""Fingerprints must not change, and values of the other keys are short-lived."""
BATCH: Final = 1000

LEFT: Final = """
SELECT (SELECT count(*) FROM ledger.personal_keys WHERE substr(wrapped, 1, 4) <> %s)
     + (SELECT count(*) FROM ledger.secrets WHERE secret LIKE %s AND secret NOT LIKE %s)"""

PERSONS: Final = """
SELECT person, wrapped FROM ledger.personal_keys
 WHERE person > %s AND substr(wrapped, 1, 4) <> %s ORDER BY person LIMIT %s"""

SECRETS: Final = """
SELECT owner, purpose, secret FROM ledger.secrets
 WHERE (owner, purpose) > (%s, %s) AND secret LIKE %s AND secret NOT LIKE %s
 ORDER BY owner, purpose LIMIT %s"""

# Only if unchanged meanwhile: an erased person stays erased.
WRAP_PERSONS: Final = """
UPDATE ledger.personal_keys k SET wrapped = n.anew
  FROM unnest(%b::uuid[], %b::bytea[], %b::bytea[]) AS n (person, before, anew)
 WHERE k.person = n.person AND k.wrapped = n.before"""

WRAP_SECRETS: Final = """
UPDATE ledger.secrets s SET secret = n.anew
  FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[]) AS n (owner, purpose, before, anew)
 WHERE s.owner = n.owner AND s.purpose = n.purpose AND s.secret = n.before"""


class RotationInProgress(OperatorError):
    """Another rotation of the same ledger is running."""


class Rotated(NamedTuple):
    """How many values were wrapped, and whether an interrupted rotation was resumed."""

    wrapped: int
    resumed: bool


def rotate(
    url: str, secrets: Sequence[bytes], environment: Environment, progress: Progress
) -> Rotated:
    """Wrap the ring under the first of the secrets, and everything else under new keys of the ring.

    If interrupted, it can be started again and continues. Raises WrongSecret if none of the secrets
    opens the ring, RotationInProgress if another one is running.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        _claim(connection)
        vault, resumed = _begin(connection, secrets, environment)
        done = 0
        while left := _left(connection, vault):
            total = done + left
            for count in chain(_persons(connection, vault), _secrets(connection, vault)):
                done += count
                progress(done, max(done, total))
        connection.execute("UPDATE ledger.key_ring SET settled_at = now() WHERE settled_at IS NULL")
        return Rotated(done, resumed)


def _claim(connection: Connection[Any]) -> None:
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = {LINGERING}".encode())
            connection.execute("SELECT pg_advisory_lock(%s)", [ROTATING])
    except LockNotAvailable:
        raise RotationInProgress("another rotation is under way") from None


def _begin(
    connection: Connection[Any], secrets: Sequence[bytes], environment: Environment
) -> tuple[Vault, bool]:
    """Wrap the ring again, with new keys unless an interrupted rotation added them."""
    with connection.transaction():
        keys = dict(stored(connection, secrets))
        unsettled = "SELECT FROM ledger.key_ring WHERE settled_at IS NULL"
        resumed = connection.execute(unsettled).fetchone() is not None
        if not resumed:
            ring = Ring(keys)
            keys |= {(each, ring.newest(each) + 1): environment.random(KEY) for each in ROTATED}
        store(connection, keys, secrets[0], environment)
    return Vault(Ring(keys), environment), resumed


def _left(connection: Connection[Any], vault: Vault) -> int:
    """Return how many values are not wrapped under the newest keys yet."""
    values = [_mark(vault), *_sealed(vault)]
    ((count,),) = connection.execute(LEFT, values).fetchall()
    return int(count)


def _persons(connection: Connection[Any], vault: Vault) -> Iterator[int]:
    """Wrap personal keys again; yield the count of each batch."""
    last, mark = UUID(int=0), _mark(vault)
    while rows := connection.execute(PERSONS, [last, mark, BATCH]).fetchall():
        persons, before = zip(*rows, strict=True)
        fresh = [vault.rewrapped(*row) for row in rows]
        yield connection.execute(WRAP_PERSONS, [list(persons), list(before), fresh]).rowcount
        last = persons[-1]


def _secrets(connection: Connection[Any], vault: Vault) -> Iterator[int]:
    """Wrap sealed secrets again; hashes stay as they are."""
    owner, purpose = UUID(int=0), ""
    while rows := connection.execute(SECRETS, [owner, purpose, *_sealed(vault), BATCH]).fetchall():
        fresh = [
            vault.wrap_secret(owner, purpose, vault.unwrap_secret(owner, purpose, secret))
            for owner, purpose, secret in rows
        ]
        columns = [list(column) for column in zip(*rows, strict=True)]
        yield connection.execute(WRAP_SECRETS, [*columns, fresh]).rowcount
        owner, purpose, _ = rows[-1]


def _mark(vault: Vault) -> bytes:
    """Return the prefix of a personal key wrapped under the newest key."""
    return vault.newest(Purpose.PERSONAL).to_bytes(KEY_ID, "big")


def _sealed(vault: Vault) -> tuple[str, str]:
    """Return the LIKE patterns of sealed secrets, and of those under the newest key."""
    return f"{WRAPPED}%", f"{WRAPPED}{vault.newest(Purpose.SECRET)}.%"
