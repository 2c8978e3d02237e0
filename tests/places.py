"""Where the files of tests live: in memory, where that has room."""

import os
import shutil
from pathlib import Path
from typing import Final

import psutil

MEMORY: Final = Path("/dev/shm")
"""Where Linux keeps files in memory."""
ROOM_BYTES_MIN: Final = 8 << 30
"""What the files of a run may take of memory, with much to spare."""


def _temporary() -> str:
    """A directory open to every user, with a short path.

    A database has a thousand files, which a disk takes long to make and to delete. Memory does
    unless it is short, or may not hold programs: some tests copy them, and run them there.
    """
    if MEMORY.is_dir() and not os.statvfs(MEMORY).f_flag & os.ST_NOEXEC:
        room = min(shutil.disk_usage(MEMORY).free, psutil.virtual_memory().available)
        if room >= ROOM_BYTES_MIN:
            return str(MEMORY)
    return "/tmp"


TEMPORARY: Final = _temporary()
