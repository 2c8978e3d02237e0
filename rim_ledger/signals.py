"""Signals that ask a process to stop, and the moments at which that has to wait."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Final

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let signals to stop wait until the end of the block.

    A process that is started in the block hears them as any other, which it would not if they
    were blocked: a mask is inherited. In a thread there is nothing to do, as Python runs what a
    signal asks for in the main thread only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    missed: list[int] = []
    before = {each: signal.getsignal(each) for each in STOPPING}
    for each in before:
        signal.signal(each, lambda number, _: missed.append(number))
    try:
        yield
    finally:
        # SIGINT comes last, which the others are turned into: none raises before all are back.
        for each, handler in reversed(before.items()):
            signal.signal(each, handler)
        for number in missed:
            signal.raise_signal(number)
