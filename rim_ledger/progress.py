"""Progress of long-running work."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Takes the done and the total amount of work, in any unit."""


def unreported(done: int, total: int) -> None:
    """Report nothing."""
