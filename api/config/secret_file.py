"""The generated master secret: one private file, never changed."""

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

from rim_ledger.disk import sync

FILE: Final = "secret.key"
SECRET_MIN: Final = 32
"""Minimum characters of a secret."""


class SecretUnusable(Exception):
    """The file is not private or not complete; the message says what to do."""


def kept_secret(home: Path) -> bytes:
    """The secret of this home, made at the first call; safe under races.

    Raises OSError where the home is not writable, SecretUnusable for an invalid file.
    """
    path = home / FILE
    if not path.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    return _read(path)


def found_secret(home: Path) -> bytes:
    """The secret of this home, or b"" where there is no usable one; makes none."""
    with contextlib.suppress(OSError, SecretUnusable):
        return _read(home / FILE)
    return b""


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        status = os.fstat(file.fileno())
        secret = file.read().strip()
    if status.st_uid not in (0, os.geteuid()) or stat.S_IMODE(status.st_mode) & 0o077:
        raise SecretUnusable(f"{path} must belong to you alone: chown it, then chmod 600")
    if len(secret) < SECRET_MIN:
        raise SecretUnusable(f"{path} is too short: restore it from where it was kept")
    return secret


def _make(path: Path) -> None:
    """Write the secret to a temporary file and link it to its name, atomically."""
    handle, new = tempfile.mkstemp(prefix="new-secret-", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{secrets.token_urlsafe(32)}\n")
        sync(Path(new))
        # Of several processes one links; all read what it wrote.
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
    finally:
        Path(new).unlink()
    sync(path.parent)
