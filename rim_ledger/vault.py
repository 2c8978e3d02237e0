"""Personal words: sealed under a key per person, so that destroying the key erases the person."""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, get_args, get_type_hints
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rim_ledger.core import Event
from rim_ledger.world import World

MARK: Final = "~1."
NONCE: Final = 12

Keys = Mapping[UUID, AESGCM | None]
"""The keys at hand; None for a person who was erased."""


class Vault:
    """Wraps the persons' keys and shared secrets under the master secret, and fingerprints what
    must be unique."""

    def __init__(self, secret: bytes, world: World) -> None:
        self._wrapper = AESGCM(_derive(secret, b"rim-ledger personal keys"))
        self._fingerprint_key = _derive(secret, b"rim-ledger fingerprints")
        self._secrets = AESGCM(_derive(secret, b"rim-ledger secrets"))
        self._world = world

    def fingerprint(self, kind: str, text: str) -> str:
        """A keyed hash: equal for equal text, and of no use without the secret."""
        words = f"{kind}\0{text}".encode()
        return hmac.new(self._fingerprint_key, words, hashlib.sha256).hexdigest()

    def make_key(self, person: UUID) -> tuple[AESGCM, bytes]:
        """A new key for a person, and its wrapped form for the database."""
        key, nonce = self._world.random(32), self._world.random(NONCE)
        return AESGCM(key), nonce + self._wrapper.encrypt(nonce, key, person.bytes)

    def unwrap(self, person: UUID, wrapped: bytes | None) -> AESGCM | None:
        """The key in a row of the database; None when it was destroyed."""
        if wrapped is None:
            return None
        return AESGCM(self._wrapper.decrypt(wrapped[:NONCE], wrapped[NONCE:], person.bytes))

    def wrap_secret(self, owner: UUID, purpose: str, text: str) -> str:
        """A secret that will be needed again, bound to its owner and its purpose."""
        nonce = self._world.random(NONCE)
        sealed = self._secrets.encrypt(nonce, text.encode(), owner.bytes + purpose.encode())
        return urlsafe_b64encode(nonce + sealed).decode()

    def unwrap_secret(self, owner: UUID, purpose: str, wrapped: str) -> str:
        """The secret again. Raises InvalidTag when it was wrapped for something else."""
        sealed = urlsafe_b64decode(wrapped)
        place = owner.bytes + purpose.encode()
        return self._secrets.decrypt(sealed[:NONCE], sealed[NONCE:], place).decode()

    def seal(self, event: Event, person: UUID, key: AESGCM, stream: UUID, event_id: UUID) -> Event:
        """The event with each personal field encrypted and bound to its place in the log."""
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
        nonce = self._world.random(NONCE)
        sealed = key.encrypt(nonce, msgspec.json.encode(value), place.encode())
        return f"{MARK}{urlsafe_b64encode(nonce + sealed).decode()}.{place}"


def opened(value: Any, keys: Keys) -> Any:
    """What was sealed, in the clear; null where the person was erased or the key is not at hand.

    Raises cryptography's InvalidTag when somebody moved or changed the sealed words.
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
    """The fields of an event class that are marked as personal."""
    hints = get_type_hints(event, include_extras=True)
    return tuple(
        name
        for name, hint in hints.items()
        for meta in get_args(hint)[1:]
        if isinstance(meta, msgspec.Meta) and (meta.extra or {}).get("personal")
    )


def _derive(secret: bytes, purpose: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt=None, info=purpose).derive(secret)
