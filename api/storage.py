"""Where files are kept: a directory, or any object store that a URL names."""

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from functools import cached_property
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore, from_url

from rim_ledger.core import Unavailable

PART: Final = 64 * 1024
"""Bytes that are read at once, at least."""
PATIENCE: Final = timedelta(seconds=10)
"""How long an object store that does not answer is asked again; then the caller is told."""


class Storage:
    """Files by name. It is opened when the first file is kept or asked for."""

    def __init__(self, url: str) -> None:
        self._url = url

    @cached_property
    def _store(self) -> ObjectStore:
        if self._url.startswith("file:"):
            return from_url(self._url, mkdir=True)
        return from_url(self._url, retry_config={"retry_timeout": PATIENCE})

    async def keep(self, name: str, parts: Iterable[bytes]) -> None:
        """Keep a file whole; Unavailable when that cannot be done."""
        try:
            await obstore.put_async(self._store, name, iter(parts))
        except (BaseError, OSError):
            raise _away() from None

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """A file, part by part; Unavailable when it cannot be had."""
        try:
            found = await obstore.get_async(self._store, name)
            async for part in found.stream(min_chunk_size=PART):
                yield bytes(part)
        except (BaseError, OSError):
            raise _away() from None

    async def drop(self, name: str) -> None:
        """Let go of a file, if it is there."""
        try:
            await obstore.delete_async(self._store, name)
        except FileNotFoundError:
            pass
        except (BaseError, OSError):
            raise _away() from None


def _away() -> Unavailable:
    return Unavailable("storage-unavailable", "The files cannot be reached. Please ask again.")
