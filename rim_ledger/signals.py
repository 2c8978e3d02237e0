"""Stop signals of a process, and critical sections that defer them."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Final

STOPPING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Defer stop signals until the end of the block.

    They are not blocked, because a process that is started in the block would inherit the mask. In
    other threads nothing is done, as Python handles signals in the main thread only.
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
        # SIGINT is restored last; the others are turned into it, so none raises before all are
        # back.
        for each, handler in reversed(before.items()):
            signal.signal(each, handler)
        for number in missed:
            signal.raise_signal(number)
