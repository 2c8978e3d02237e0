"""Authenticates stored events: an HMAC for each, with a key that the database never has."""

import hmac
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from hmac import trans_5C, trans_36
from typing import Final, Self
from uuid import UUID

import msgspec

from rim_ledger.engine.refusals import Unavailable

BLOCK: Final = 64
"""Block size of SHA-256 in bytes."""


class KeyedHash:
    """HMAC-SHA-256 (RFC 2104). The two padded keys are hashed once: `hmac.digest` takes three times
    as long, mostly to look up SHA-256 each time."""

    def __init__(self, key: bytes) -> None:
        """A key of at most BLOCK bytes."""
        block = key.ljust(BLOCK, b"\0")
        self._inner, self._outer = (
            sha256(block.translate(trans_36)),
            sha256(block.translate(trans_5C)),
        )

    def digest(self, message: bytes) -> bytes:
        """Return the 32-byte HMAC of a message."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


POSITION: Final = 8
"""Bytes of a position, as stored with the key."""


class Forged(Unavailable):
    """An event in the database was not written by this ledger."""

    def __init__(self, position: int) -> None:
        words = f"The event at position {position} was not written by this ledger, or was changed"
        super().__init__("log-forged", f"{words}; nothing is decided on it. Run rim-ledger verify.")


class RowForged(Unavailable):
    """A row beside the log does not follow from it."""

    def __init__(self, table: str, of: object) -> None:
        words = f"A row of ledger.{table} for {of} does not follow from the log"
        super().__init__("row-forged", f"{words}; nothing is decided on it. Run rim-ledger verify.")


class EventMac:
    """Creates and checks the MACs (HMAC-SHA-256) of all events after the position `since`."""

    def __init__(self, key: bytes, since: int = 0) -> None:
        self._key, self.since = key, since
        self._hash = KeyedHash(key)

    @classmethod
    def of(cls, kept: bytes) -> Self:
        """Return the instance that was stored as bytes."""
        return cls(kept[:-POSITION], int.from_bytes(kept[-POSITION:], "big"))

    def __bytes__(self) -> bytes:
        return self._key + self.since.to_bytes(POSITION, "big")

    def code(self, leaf: bytes) -> bytes:
        """Return the 32-byte MAC of an event's leaf."""
        return self._hash.digest(leaf)

    def row_code(self, table: str, *columns: str, body: bytes = b"") -> bytes:
        """Return the 32-byte MAC of a row beside the log, of which one column may be bytes; no leaf
        of an event begins like it."""
        return self.code(msgspec.json.encode([table, *columns]) + body)

    def is_right(self, position: int, leaf: bytes, code: bytes | None) -> bool:
        """Return whether an event's MAC is right; none is needed up to `since`."""
        return position <= self.since or self.is_own(leaf, code)

    def is_own(self, entry: bytes, code: bytes | None) -> bool:
        """Return whether the MAC is that of these bytes."""
        return code is not None and hmac.compare_digest(code, self.code(entry))


def leaf(
    position: int, stream: UUID, version: int, name: str, *, recorded_at: datetime, body: bytes
) -> bytes:
    """Return the bytes of an event in the Merkle tree, and under its MAC;
    docs/reference/verifiable-log.md defines them."""
    at = _written(recorded_at)
    return f"{position}\n{stream}\n{version}\n{name}\n{at}\n".encode() + body


@lru_cache(1)
def _written(at: datetime) -> str:
    """Return a UTC time, to the microsecond. A batch has only one."""
    return f"{at.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"
