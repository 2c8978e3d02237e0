"""Settings that files hold: secrets that are in no environment, as containers and systemd give."""

import os
import stat
from pathlib import Path
from typing import Final

BYTES_MAX: Final = 65_536


class FileUnusable(Exception):
    """The file gives no setting; the message names it and says why, and nothing that it holds."""


def content(path: Path) -> str:
    """The text of a file, without the line's end. Raises FileUnusable."""
    try:
        # A pipe without a writer would be waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise FileUnusable(f"{path} is not a regular file")
            held = file.read(BYTES_MAX + 1)
    except OSError as error:
        raise FileUnusable(f"{path} cannot be read: {error.strerror}") from None
    if len(held) > BYTES_MAX:
        raise FileUnusable(f"{path} has more than {BYTES_MAX} bytes")
    try:
        text = held.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise FileUnusable(f"{path} is not UTF-8 text")
    if not text:
        raise FileUnusable(f"{path} is empty")
    return text
