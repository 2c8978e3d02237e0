"""A file sealed in pieces under a personal key, so that it is unreadable once the key is gone."""

from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rim_ledger.engine.environment import Environment

PIECE: Final = 64 * 1024
"""Bytes of a file per sealed piece."""
PREFIX: Final = 7
TAG: Final = 16


def seal_file(
    file: BinaryIO, key: AESGCM, place: bytes, environment: Environment
) -> Iterator[bytes]:
    """Yield the sealed pieces of a file, bound to `place`. Each piece is bound to its number, and
    the last one to being the last: none can be removed, moved or put into another file."""
    yield (prefix := environment.random(PREFIX))
    file.seek(0)
    turn, piece = 0, file.read(PIECE)
    while True:
        coming = file.read(PIECE)
        yield key.encrypt(_nonce(prefix, turn, last=not coming), piece, place)
        if not coming:
            return
        turn, piece = turn + 1, coming


async def open_file(
    sealed: AsyncIterable[bytes], key: AESGCM, place: bytes
) -> AsyncIterator[bytes]:
    """Yield the file's content. Raises InvalidTag if it was changed, or ends too early."""
    turn, prefix, rest = 0, b"", b""
    async for part in sealed:
        rest += part
        if not prefix and len(rest) >= PREFIX:
            prefix, rest = rest[:PREFIX], rest[PREFIX:]
        while prefix and len(rest) > PIECE + TAG:
            piece, rest = rest[: PIECE + TAG], rest[PIECE + TAG :]
            yield key.decrypt(_nonce(prefix, turn, last=False), piece, place)
            turn += 1
    if not prefix:
        raise InvalidTag
    yield key.decrypt(_nonce(prefix, turn, last=True), rest, place)


def _nonce(prefix: bytes, turn: int, *, last: bool) -> bytes:
    return prefix + turn.to_bytes(4, "big") + bytes([last])
