"""The key ring: created once, wrapped under the master secret, and extended by a rotation."""

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

import psycopg
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from psycopg import Connection

from rim_ledger.engine.environment import Environment
from rim_ledger.engine.event_mac import EventMac
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.operator_error import OperatorError

LOCK: Final = 7_264_006
CONNECT_TIMEOUT_SECONDS: Final = 5
KEY, NONCE, KEY_ID = 32, 12, 4
"""Bytes of a key, of a nonce, and of the number of the wrapping key."""
FIRST: Final = 1


class Purpose(StrEnum):
    """What a key is for. Only the first two are rotated."""

    PERSONAL = "personal"
    SECRET = "secret"  # noqa: S105 - what it is for, not what it is
    FINGERPRINT = "fingerprint"
    REQUEST = "request"
    CURSOR = "cursor"
    EVENT = "event"
    """Authenticates events. Stored with the position from which on events have a MAC."""


DERIVED: Final = {
    Purpose.PERSONAL: b"rim-ledger personal keys",
    Purpose.SECRET: b"rim-ledger secrets",
    Purpose.FINGERPRINT: b"rim-ledger fingerprints",
    Purpose.REQUEST: b"rim-ledger requests",
    Purpose.CURSOR: b"rim-ledger cursors",
}
"""How each key was derived from the master secret before there was a ring."""

HEAD: Final = "SELECT coalesce(max(position), 0) FROM ledger.events"
STORED: Final = "SELECT purpose, id, wrapped FROM ledger.key_ring"

EVENT_KEY: Final = (Purpose.EVENT, FIRST)

Keys = Mapping[tuple[Purpose, int], bytes]


class WrongSecret(OperatorError):
    """The master secret does not open this ledger."""

    def __init__(self) -> None:
        super().__init__(
            "RIM_SECRET_KEY (or RIM_HOME/secret.key) is not the secret that this ledger was"
            " written with: bring the right one back"
        )


class UnknownKey(Unavailable):
    """A value is wrapped under a key that this process cannot load."""

    def __init__(self) -> None:
        words = "The keys were rotated; this process must be started anew with RIM_SECRET_KEY."
        super().__init__("keys-rotated", words)


class Ring:
    """The loaded keys. A missing one is loaded again: a rotation may have added it."""

    def __init__(self, keys: Keys, reload: Callable[[], Keys] = dict) -> None:
        self._keys, self._reload = dict(keys), reload

    def key(self, purpose: Purpose, number: int) -> bytes:
        """Return a key to open with. Raises UnknownKey."""
        if (purpose, number) not in self._keys:
            try:
                self._keys |= self._reload()
            except WrongSecret:
                raise UnknownKey from None
            except psycopg.Error:
                words = "The ledger's database cannot be reached."
                raise Unavailable("store-unavailable", words) from None
        if (key := self._keys.get((purpose, number))) is None:
            raise UnknownKey
        return key

    @property
    def event_mac(self) -> EventMac | None:
        """Authenticates events; None in a ledger whose events have no MACs yet."""
        kept = self._keys.get(EVENT_KEY)
        return EventMac.of(kept) if kept else None

    def newest(self, purpose: Purpose) -> int:
        """Return the number of the key to wrap with."""
        return max(number for of, number in self._keys if of is purpose)


def derived(secret: bytes) -> Ring:
    """Return the first keys of a ledger whose keys are derived from the master secret."""
    mac = EventMac(_derive(secret, b"rim-ledger events"))
    return Ring({**_derived(secret), EVENT_KEY: bytes(mac)})


def open_ring(url: str, secrets: Sequence[bytes], environment: Environment) -> Ring:
    """Return the ring of a ledger; the first call creates it.

    `secrets` are the master secret and, while it is being changed, the former one. Raises
    WrongSecret if none of them opens the ring.
    """

    def read() -> Keys:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
            return stored(connection, secrets)

    if keys := read():
        return Ring(keys, read)
    with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
        connection.execute("SET LOCAL lock_timeout = '60s'")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        if not (keys := stored(connection, secrets)):
            keys = _first_keys(connection, secrets, environment)
            store(connection, keys, secrets[0], environment)
            connection.execute("UPDATE ledger.key_ring SET settled_at = created_at")
    return Ring(keys, read)


def begin_event_macs(url: str, secrets: Sequence[bytes], environment: Environment) -> bool:
    """Let every later event have a MAC, in a ledger that began without; return False if it has
    them. Raises WrongSecret."""
    with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        if EVENT_KEY in stored(connection, secrets):
            return False
        connection.execute("SELECT ledger.keep_writers_out()")
        ((head,),) = connection.execute(HEAD).fetchall()
        mac = EventMac(environment.random(KEY), head)
        store(connection, {EVENT_KEY: bytes(mac)}, secrets[0], environment)
        settled = "UPDATE ledger.key_ring SET settled_at = created_at WHERE purpose = %s"
        connection.execute(settled, [Purpose.EVENT])
    return True


def stored(connection: Connection[Any], secrets: Sequence[bytes]) -> Keys:
    """Return the keys in the database. Raises WrongSecret."""
    return unlocked(connection.execute(STORED).fetchall(), secrets)


def unlocked(rows: Iterable[tuple[str, int, bytes]], secrets: Sequence[bytes]) -> Keys:
    """Return the keys of STORED rows, in the clear. Raises WrongSecret."""
    wrappers = [_wrapper(secret) for secret in secrets]
    return {
        (Purpose(purpose), number): _unwrapped(wrappers, wrapped, _place(purpose, number))
        for purpose, number, wrapped in rows
    }


def store(connection: Connection[Any], keys: Keys, secret: bytes, environment: Environment) -> None:
    """Store keys wrapped under a master secret; existing ones are wrapped again."""
    wrapper = _wrapper(secret)
    for (purpose, number), key in keys.items():
        nonce = environment.random(NONCE)
        connection.execute(
            "INSERT INTO ledger.key_ring (purpose, id, wrapped) VALUES (%s, %s, %s)"
            " ON CONFLICT (purpose, id) DO UPDATE SET wrapped = excluded.wrapped",
            [purpose, number, nonce + wrapper.encrypt(nonce, key, _place(purpose, number))],
        )


def _first_keys(
    connection: Connection[Any], secrets: Sequence[bytes], environment: Environment
) -> Keys:
    """Return random keys, or the derived ones of a ledger that began with them."""
    if connection.execute("SELECT FROM ledger.events LIMIT 1").fetchone() is None:
        mac = EventMac(environment.random(KEY))
        return {(each, FIRST): environment.random(KEY) for each in DERIVED} | {
            EVENT_KEY: bytes(mac)
        }
    query = "SELECT person, wrapped FROM ledger.personal_keys WHERE wrapped IS NOT NULL LIMIT 1"
    row = connection.execute(query).fetchone()
    for secret in reversed(secrets):
        keys = _derived(secret)
        if row is None:
            return keys
        with contextlib.suppress(WrongSecret):
            _unwrapped([AESGCM(keys[Purpose.PERSONAL, FIRST])], row[1][KEY_ID:], row[0].bytes)
            return keys
    raise WrongSecret


def _derived(secret: bytes) -> Keys:
    return {(each, FIRST): _derive(secret, info) for each, info in DERIVED.items()}


def _unwrapped(wrappers: Sequence[AESGCM], wrapped: bytes, place: bytes) -> bytes:
    for wrapper in wrappers:
        with contextlib.suppress(InvalidTag):
            return wrapper.decrypt(wrapped[:NONCE], wrapped[NONCE:], place)
    raise WrongSecret


def _place(purpose: str, number: int) -> bytes:
    """Return the associated data of a wrapped key."""
    return f"{purpose}.{number}".encode()


def _wrapper(secret: bytes) -> AESGCM:
    return AESGCM(_derive(secret, b"rim-ledger key ring"))


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), KEY, salt=None, info=purpose).derive(secret)
