"""Rate limits per caller and minute, and a limit on bytes in flight."""

from collections import Counter
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from ipaddress import ip_network
from math import ceil
from typing import Final
from uuid import UUID

from api.http.call import Call
from rim_ledger.engine.refusals import Refused

WINDOW: Final = 60
"""Length of a window in seconds."""
UNAUTHENTICATED_DIVISOR: Final = 10
"""Divisor of the limit for unauthenticated callers."""
CALLERS_MAX: Final = 100_000
UNREAD_MAX: Final = 64 * 1024 * 1024
"""Maximum bytes of answers in flight to one caller."""
STREAM: Final = 4 * 1024 * 1024
"""Bytes counted for a streaming answer, which buffers no more: sixteen at once."""


class Rates:
    """Requests per caller in the current minute, in this process.

    A caller is a token seen valid lately, else an address (IPv6: its /64 network). Counts of a
    minute are dropped together.
    """

    def __init__(self, most: int, callers_max: int = CALLERS_MAX) -> None:
        """`callers_max` addresses are counted separately in a minute; others share one count."""
        self._asked: dict[str | None, int] = {}
        self._callers_max = callers_max
        self._unread: Counter[UUID | str | None] = Counter()
        self._until = 0.0
        few = max(1, most // UNAUTHENTICATED_DIVISOR)
        self._authenticated = (most, b'"caller"', b'"caller";q=%d;w=%d' % (most, WINDOW))
        self._unauthenticated = (few, b'"address"', b'"address";q=%d;w=%d' % (few, WINDOW))

    def note(self, call: Call, callers: Container[str], now: float) -> None:
        """Count a request at a time in seconds, and set its rate limit headers.

        Raises Refused when nothing is left.
        """
        if not self._authenticated[0]:
            return
        if now >= self._until:
            self._asked.clear()
            self._until = now + WINDOW
        token = call.token_hash
        caller = token if token in callers else _site(call.ip)
        most, name, policy = self._authenticated if caller is token else self._unauthenticated
        is_new = caller is not token and caller not in self._asked
        if is_new and len(self._asked) >= self._callers_max:
            caller = None
        self._asked[caller] = asked = self._asked.get(caller, 0) + 1
        left, wait = max(0, most - asked), ceil(self._until - now)
        call.limits = [
            (b"ratelimit-policy", policy),
            (b"ratelimit", b"%b;r=%d;t=%d" % (name, left, wait)),
        ]
        if asked > most:
            words = f"One caller may ask {most} times a minute. Please wait {wait} s."
            raise Refused("rate-limited", words, retryAfter=wait)

    @contextmanager
    def room(self, call: Call, callers: Mapping[str, UUID], size: int = STREAM) -> Iterator[None]:
        """Reserve bytes of an answer in flight. The caller is a person, whatever their tokens and
        keys, else an address; no setting disables this.

        Raises Refused when too many bytes are in flight to the caller.
        """
        caller = caller_of(call, callers)
        if self._unread[caller] and self._unread[caller] + size > UNREAD_MAX:
            most = f"At most {UNREAD_MAX // STREAM} downloads, streams and bulk answers"
            words = f"{most} go to one caller at once. Read or close some first."
            raise Refused("too-much-unread", words, retryAfter=5)
        self._unread[caller] += size
        try:
            yield
        finally:
            self._unread[caller] -= size
            if not self._unread[caller]:
                del self._unread[caller]


def caller_of(call: Call, callers: Mapping[str, UUID]) -> UUID | str | None:
    """The person behind a token or key, else the address."""
    return callers.get(call.token_hash) or _site(call.ip)


@lru_cache(10_000)
def _site(ip: str | None) -> str | None:
    return str(ip_network((ip, 64), strict=False)) if ip and ":" in ip else ip
