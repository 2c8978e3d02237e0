"""How often each caller may ask: a count a minute, told in every answer."""

from collections.abc import Container
from functools import lru_cache
from ipaddress import ip_network
from math import ceil
from typing import Final

from api.wire.call import Call
from rim_ledger.core import Refused

WINDOW: Final = 60
"""Seconds."""
STRANGERS: Final = 10
"""Whoever has not been admitted by a token may ask so many times less often."""
CALLERS_MAX: Final = 100_000
"""Addresses that are told apart within a minute; any others share one count."""


class RateLimited(Refused):
    """More requests in a minute than a caller may make."""

    def __init__(self, most: int, retry_after: int) -> None:
        words = f"One caller may ask {most} times a minute. Please wait {retry_after} s."
        super().__init__("rate-limited", words, retryAfter=retry_after)


class Rates:
    """What each caller has asked for in this minute, in this process.

    A caller is a token that has been admitted lately, or else an address; of IPv6 its network of
    64 bits, which is what one customer has. The counts of a minute are forgotten all at once.
    """

    def __init__(self, most: int) -> None:
        self._asked: dict[str | None, int] = {}
        self._until = 0.0
        few = max(1, most // STRANGERS)
        self._known = (most, b'"caller"', b'"caller";q=%d;w=%d' % (most, WINDOW))
        self._strange = (few, b'"address"', b'"address";q=%d;w=%d' % (few, WINDOW))

    def note(self, call: Call, known: Container[str], now: float) -> None:
        """Count a request at a moment in seconds; its answer will say what is left.

        Raises RateLimited when nothing is.
        """
        if not self._known[0]:
            return
        if now >= self._until:
            self._asked.clear()
            self._until = now + WINDOW
        token = call.token_hash
        caller = token if token in known else _site(call.ip)
        most, name, policy = self._known if caller is token else self._strange
        if caller is not token and caller not in self._asked and len(self._asked) >= CALLERS_MAX:
            caller = None
        self._asked[caller] = asked = self._asked.get(caller, 0) + 1
        left, wait = max(0, most - asked), ceil(self._until - now)
        call.limits = [
            (b"ratelimit-policy", policy),
            (b"ratelimit", b"%b;r=%d;t=%d" % (name, left, wait)),
        ]
        if asked > most:
            raise RateLimited(most, wait)


@lru_cache(10_000)
def _site(ip: str | None) -> str | None:
    return str(ip_network((ip, 64), strict=False)) if ip and ":" in ip else ip
