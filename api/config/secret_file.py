"""The master secret that is made when none is set: one private file, the same for ever."""

import contextlib
import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

FILE: Final = "secret.key"
SECRET_MIN: Final = 32
"""Characters a secret has at least."""


class SecretUnusable(Exception):
    """The file of the secret is not private or not whole; the message says what to do."""


def kept_secret(home: Path) -> bytes:
    """The secret of this home, made at the first call, whoever calls first.

    Raises OSError where the home cannot be written, SecretUnusable where the file is no good.
    """
    path = home / FILE
    if not path.exists():
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        _make(path)
    return _read(path)


def found_secret(home: Path) -> bytes:
    """The secret of this home, or nothing where there is none that may be used; makes none."""
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
    """Write a secret elsewhere and link it to its name: it is there as a whole or not at all."""
    handle, new = tempfile.mkstemp(prefix="new-secret-", dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(handle)
        # Of several that race, one links; all of them use what it wrote.
        with contextlib.suppress(FileExistsError):
            os.link(new, path)
    finally:
        Path(new).unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
