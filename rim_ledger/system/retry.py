"""Trying again what certainly had no effect, such as a connection that did not come about."""

from collections.abc import Iterator
from typing import Final

from rim_ledger.engine.environment import Environment

WAITS: Final = (0.2, 0.8)
"""Seconds before the second and the third try, half as long at least and as long at most."""


def pauses(environment: Environment) -> Iterator[float]:
    """The seconds before each of three tries; not all callers wait equally long."""
    yield 0.0
    for wait in WAITS:
        yield wait * (1 + environment.random(1)[0] / 255) / 2
