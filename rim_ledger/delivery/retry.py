"""Retry of calls that certainly had no effect, such as a failed connection."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from rim_ledger.delivery.egress import Unreachable
from rim_ledger.engine.environment import Environment

WAITS_SECONDS: Final = (0.2, 0.8)
"""Before the second and third attempt, times a random factor from 0.5 to 1."""

T = TypeVar("T")


async def retried(attempt: Callable[[], Awaitable[T]], environment: Environment) -> T:
    """Return the result of an attempt, which is made up to three times. Raises Unreachable if the
    last one does, and any other exception at once."""
    for wait in WAITS_SECONDS:
        with suppress(Unreachable):
            return await attempt()
        await asyncio.sleep(wait * (1 + environment.random(1)[0] / 255) / 2)
    return await attempt()
