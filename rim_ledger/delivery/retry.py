"""The one retry: of what certainly had no effect, such as a connection that did not come about."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

from rim_ledger.delivery.egress import Unreachable
from rim_ledger.engine.environment import Environment

WAITS_SECONDS: Final = (0.2, 0.8)
"""Before the second and the third try, half as long at least and as long at most: not all callers
wait equally long."""

T = TypeVar("T")


async def retried(attempt: Callable[[], Awaitable[T]], environment: Environment) -> T:
    """What comes of an attempt, which is made three times at most. Raises Unreachable, where the
    last one did, and at once whatever else is raised."""
    for wait in WAITS_SECONDS:
        with suppress(Unreachable):
            return await attempt()
        await asyncio.sleep(wait * (1 + environment.random(1)[0] / 255) / 2)
    return await attempt()
