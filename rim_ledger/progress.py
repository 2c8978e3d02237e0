"""How far a long piece of work is, told to whoever waits for it."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Takes how much is done, and of how much, in whatever the work counts."""


def silent(done: int, total: int) -> None:
    """Tells nobody."""
