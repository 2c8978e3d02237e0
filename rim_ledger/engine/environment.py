"""The environment: the only source of time, ids and randomness."""

import os
import time
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID


class Environment(Protocol):
    """What a decision may not determine by itself. Tests bring their own environment."""

    def now(self) -> datetime:
        """Return the time, UTC, in microseconds."""

    def new_id(self) -> UUID:
        """Return a new UUID of version 7 (RFC 9562)."""

    def random(self, size: int) -> bytes:
        """Return `size` random bytes."""


class SystemEnvironment:
    """The clock and the randomness of this machine. Each id is greater than the one before, so that
    what was created together stays in order."""

    def __init__(self) -> None:
        self._moment, self._last = 0, 0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def new_id(self) -> UUID:
        if (moment := time.time_ns() // 1_000_000) > self._moment:
            self._moment, self._last = moment, uuid7(moment, os.urandom(10)).int
        else:
            self._last += 1
        return UUID(int=self._last)

    def random(self, size: int) -> bytes:
        return os.urandom(size)


def uuid7(milliseconds: int, randomness: bytes) -> UUID:
    """Return a UUID by RFC 9562 §5.7: 48 bits of time, then 74 random bits."""
    tail = int.from_bytes(randomness, "big")
    number = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
    number |= 0x7 << 76 | (tail >> 62 & 0xFFF) << 64
    number |= 0b10 << 62 | tail & 0x3FFF_FFFF_FFFF_FFFF
    return UUID(int=number)
