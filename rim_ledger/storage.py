"""File storage: a directory, or any object store with a URL."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from rim_ledger.disk import sync
from rim_ledger.engine.refusals import Unavailable

PART: Final = 64 * 1024
"""Bytes per read, at least."""
AT_ONCE: Final = 2
"""Concurrent parts of a large upload: more would only take memory."""
RETRY_TIMEOUT: Final = timedelta(seconds=10)
"""How long an object store that does not answer is retried; then Unavailable is raised."""


class Storage:
    """Files by name. The store is opened on first use; the first file creates a directory."""

    def __init__(self, url: str) -> None:
        self._url = url

    @cached_property
    def _store(self) -> ObjectStore:
        if place := self._directory:
            if not place.is_dir():
                raise FileNotFoundError(place)
            return from_url(self._url)
        return from_url(self._url, retry_config={"retry_timeout": RETRY_TIMEOUT})

    @property
    def _directory(self) -> Path | None:
        """The directory of the files, if they are on this machine."""
        return path_of(self._url) if self._url.startswith("file://") else None

    async def keep(self, name: str, parts: Iterable[bytes] | AsyncIterable[bytes]) -> None:
        """Store a file atomically and durably. Raises Unavailable if that fails."""
        given = parts if isinstance(parts, AsyncIterable) else iter(parts)
        self._clear(name)
        try:
            if place := self._directory:
                place.mkdir(mode=0o700, parents=True, exist_ok=True)
            await obstore.put_async(self._store, name, given, max_concurrency=AT_ONCE)
            if place:
                await asyncio.to_thread(_sync, place / name)
        except (BaseError, OSError):
            raise _unavailable() from None

    async def read(self, name: str, first: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield a file in parts; with `end`, the bytes from `first` up to there. Raises Unavailable
        if it cannot be read."""
        try:
            found = await obstore.get_async(
                self._store, name, options=None if end is None else {"range": (first, end)}
            )
            async for part in found.stream(min_chunk_size=PART):
                yield bytes(part)
        except (BaseError, OSError):
            raise _unavailable() from None

    async def size(self, name: str) -> int | None:
        """Return the size of a file in bytes; None if there is none. Raises Unavailable if that is
        unknown."""
        try:
            return (await obstore.head_async(self._store, name))["size"]
        except FileNotFoundError:
            return None
        except (BaseError, OSError):
            raise _unavailable() from None

    async def drop(self, name: str) -> None:
        """Delete a file, if it exists. Raises Unavailable."""
        self._clear(name)
        try:
            await obstore.delete_async(self._store, name)
        except FileNotFoundError:
            pass
        except (BaseError, OSError):
            raise _unavailable() from None

    def _clear(self, name: str) -> None:
        """Delete temporary files of an interrupted write."""
        if self._directory:
            for begun in self._directory.glob(f"{name}#*"):
                begun.unlink(missing_ok=True)


async def sha256_of(file: Any) -> str:
    """Return the SHA-256 of a binary file in hex, computed while others are served."""
    file.seek(0)
    return (await asyncio.to_thread(hashlib.file_digest, file, "sha256")).hexdigest()


def path_of(url: str) -> Path:
    """Return the path of a file:// URL."""
    return Path(url2pathname(urlsplit(url).path))


def _sync(file: Path) -> None:
    """Sync a file and its directory entry to disk, readable by its owner only."""
    file.chmod(0o600)
    sync(file, file.parent)


def _unavailable() -> Unavailable:
    return Unavailable("storage-unavailable", "The files cannot be reached. Please ask again.")
