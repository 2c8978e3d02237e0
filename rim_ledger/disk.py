"""What is on disk before anything depends on it."""

import os
from pathlib import Path


def sync(*paths: Path) -> None:
    """Sync files to disk, and the entries of directories."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
