"""A child process of `up`: runs one command of rim-ledger, and ends when its parent ends.

The parent holds the other end of standard input open. The kernel closes it however the parent dies,
so no child outlives it.
"""

import os
import signal
import threading
import time
from typing import Final

from api.cli.main import main

STOP_TIMEOUT_SECONDS: Final = 30.0
"""Time for an orphan to shut down; the last one also stops PostgreSQL."""


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_TIMEOUT_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    main()
