"""A process of `up`: one command of rim-ledger, which ends when its parent does.

The parent keeps the other end of standard input open and never writes. However it dies, the
kernel closes that end; so nothing outlives it, on every system and whoever was killed how.
"""

import os
import signal
import threading
import time
from typing import Final

from api.cli.main import main

STOP_TIMEOUT_SECONDS: Final = 30.0
"""An orphan has so long to stop in good order: the last one also stops PostgreSQL."""


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_TIMEOUT_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    main()
