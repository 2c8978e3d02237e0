"""Personal data: sealed under a key per person, so that destroying the key erases the person."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, get_args, get_type_hints
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.event_mac import KeyedHash
from rim_ledger.vault.key_ring import KEY, KEY_ID, NONCE, Purpose, Ring

Fingerprint = Annotated[str, msgspec.Meta(extra={"kept_back": True})]
"""A keyed hash of a phone or an e-mail, to claim and compare it. It is in the log and never shown:
it would link an erased person to a new registration."""

MaybeFingerprint = Annotated[str | None, msgspec.Meta(extra={"kept_back": True})]
"""An optional fingerprint."""


def hashes(*given: str | None) -> frozenset[str]:
    """Return those of an event's fingerprints that are set."""
    return frozenset(filter(None, given))


MARK: Final = "~1."
WRAPPED: Final = "~"
"""Prefix of a wrapped secret; its key's number and a full stop follow."""

Keys = Mapping[UUID, AESGCM | None]
"""The loaded keys; None for an erased person."""


class Vault:
    """Wraps personal keys and shared secrets under the keys of the ring, and fingerprints unique
    values. A wrapped value begins with the number of its key."""

    def __init__(self, ring: Ring, environment: Environment) -> None:
        self._ring, self._environment = ring, environment
        self._wrappers: dict[tuple[Purpose, int], AESGCM] = {}
        self._fingerprint_key = self.key(Purpose.FINGERPRINT)
        self._fingerprint = KeyedHash(self._fingerprint_key)
        self.event_mac = ring.event_mac
        """Authenticates events; None in a ledger whose events have no MACs yet."""

    def key(self, purpose: Purpose) -> bytes:
        """Return the newest key of a purpose."""
        return self._ring.key(purpose, self.newest(purpose))

    def newest(self, purpose: Purpose) -> int:
        """Return the number of the key that wraps now."""
        return self._ring.newest(purpose)

    def fingerprint(self, kind: str, text: str) -> str:
        """Return a keyed hash: equal for equal text, and useless without the key."""
        return self._fingerprint.digest(f"{kind}\0{text}".encode()).hex()

    def short_print(self, kind: str, text: str) -> str:
        """Return a keyed hash of 64 bits, for an index in which a collision does little harm."""
        words = f"{kind}\0{text}".encode()
        return hashlib.blake2b(words, key=self._fingerprint_key, digest_size=8).hexdigest()

    def make_key(self, person: UUID) -> tuple[AESGCM, bytes]:
        """Return a new key for a person, and its wrapped form for the database."""
        key = self._environment.random(KEY)
        return AESGCM(key), self._wrap(Purpose.PERSONAL, key, person.bytes)

    def unwrap(self, person: UUID, wrapped: bytes | None) -> AESGCM | None:
        """Return the key of a database row; None if it was destroyed."""
        if wrapped is None:
            return None
        return AESGCM(self._unwrap(Purpose.PERSONAL, wrapped, person.bytes))

    def wrap_secret(self, owner: UUID, purpose: str, text: str) -> str:
        """Return a secret wrapped for its owner and purpose."""
        place = owner.bytes + purpose.encode()
        wrapped = self._wrap(Purpose.SECRET, text.encode(), place)
        number = int.from_bytes(wrapped[:KEY_ID], "big")
        return f"{WRAPPED}{number}.{urlsafe_b64encode(wrapped[KEY_ID:]).decode()}"

    def unwrap_secret(self, owner: UUID, purpose: str, wrapped: str) -> str:
        """Return a wrapped secret in the clear. Raises InvalidTag if it was wrapped for something
        else."""
        number, _, sealed = wrapped.removeprefix(WRAPPED).partition(".")
        whole = int(number).to_bytes(KEY_ID, "big") + urlsafe_b64decode(sealed)
        return self._unwrap(Purpose.SECRET, whole, owner.bytes + purpose.encode()).decode()

    def secret_print(self, owner: UUID, purpose: str, stored: str) -> str:
        """Return the fingerprint of a stored secret, whatever key wraps it. Raises InvalidTag,
        ValueError or OverflowError if it was not wrapped for this."""
        sealed = stored.startswith(WRAPPED)
        text = self.unwrap_secret(owner, purpose, stored) if sealed else stored
        return self.fingerprint("secret", f"{owner} {purpose} {text}")

    def rewrapped(self, person: UUID, wrapped: bytes) -> bytes:
        """Return a person's key, wrapped under the newest key of the ring."""
        key = self._unwrap(Purpose.PERSONAL, wrapped, person.bytes)
        return self._wrap(Purpose.PERSONAL, key, person.bytes)

    def _wrap(self, purpose: Purpose, secret: bytes, place: bytes) -> bytes:
        number, nonce = self.newest(purpose), self._environment.random(NONCE)
        sealed = self._wrapper(purpose, number).encrypt(nonce, secret, place)
        return number.to_bytes(KEY_ID, "big") + nonce + sealed

    def _unwrap(self, purpose: Purpose, wrapped: bytes, place: bytes) -> bytes:
        number, sealed = int.from_bytes(wrapped[:KEY_ID], "big"), wrapped[KEY_ID:]
        return self._wrapper(purpose, number).decrypt(sealed[:NONCE], sealed[NONCE:], place)

    def _wrapper(self, purpose: Purpose, number: int) -> AESGCM:
        if (wrapper := self._wrappers.get((purpose, number))) is None:
            wrapper = self._wrappers[purpose, number] = AESGCM(self._ring.key(purpose, number))
        return wrapper

    def seal(self, event: Event, person: UUID, key: AESGCM, stream: UUID, event_id: UUID) -> Event:
        """Return the event with its personal fields encrypted, and bound to their place."""
        changes: dict[str, Any] = {}
        place = f"{person.hex}.{stream.hex}.{event_id.hex}"
        for field in personal_fields(type(event)):
            value = getattr(event, field)
            if isinstance(value, dict):
                changes[field] = {
                    name: self._token(each, key, f"{place}.{field}.{name}")
                    for name, each in value.items()
                }
            elif value is not None:
                changes[field] = self._token(value, key, f"{place}.{field}")
        return msgspec.structs.replace(event, **changes) if changes else event

    def _token(self, value: Any, key: AESGCM, place: str) -> str:
        nonce = self._environment.random(NONCE)
        sealed = key.encrypt(nonce, msgspec.json.encode(value), place.encode())
        return f"{MARK}{urlsafe_b64encode(nonce + sealed).decode()}.{place}"


def opened(value: Any, keys: Keys) -> Any:
    """Return a sealed value in the clear; None if the person was erased or the key is not loaded.

    Raises cryptography's InvalidTag if the sealed value was moved or changed.
    """
    if isinstance(value, dict):
        return {name: opened(each, keys) for name, each in value.items()}
    if not isinstance(value, str) or not value.startswith(MARK):
        return value
    sealed, place = value.removeprefix(MARK).split(".", 1)
    if (key := keys.get(UUID(place[:32]))) is None:
        return None
    secret = urlsafe_b64decode(sealed)
    return msgspec.json.decode(key.decrypt(secret[:NONCE], secret[NONCE:], place.encode()))


@cache
def personal_fields(event: type[Event]) -> tuple[str, ...]:
    """Return the fields of an event class that are marked as personal."""
    return _marked(event, "personal")


@cache
def kept_back(event: type[Event]) -> tuple[str, ...]:
    """Return the wire names of an event class's fields that are never shown."""
    names = {field.name: field.encode_name for field in msgspec.structs.fields(event)}
    return tuple(names[field] for field in _marked(event, "kept_back"))


def _marked(event: type[Event], mark: str) -> tuple[str, ...]:
    hints = get_type_hints(event, include_extras=True)
    return tuple(
        name
        for name, hint in hints.items()
        for meta in get_args(hint)[1:]
        if isinstance(meta, msgspec.Meta) and (meta.extra or {}).get(mark)
    )
