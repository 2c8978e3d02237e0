"""The file of a backup: pieces of tables and files, compressed, sealed, and listed at its end.

    head      "RIM BACKUP 1\\n", the backup's id, a salt, 16 bytes that tell the right key
    piece     kind, length, sealed bytes; again and again
    manifest  the last piece: what all of them are, and the sha256 of each

Each piece is bound to the backup, its kind and its turn: none can be cut off, moved or replaced.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from rim_ledger.storage import Storage
from rim_ledger.world import World

MAGIC: Final = b"RIM BACKUP 1\n"
SALT, CHECK, LENGTH = 32, 16, 4
HEAD: Final = len(MAGIC) + 16 + SALT + CHECK
PIECE, MANIFEST = b"p", b"m"
PIECE_MAX: Final = 4 * 1024 * 1024
"""Bytes of a table or a file that are sealed together, a line of a table more or less."""
SEALED_MAX: Final = 256 * 1024 * 1024
"""Bytes that no piece has: a length above it was damaged."""
LEVEL: Final = 3
EVENTS: Final = "events"
FILE: Final = "file/"
"""How a piece of a file is named in the manifest; the file's own name follows."""


class Unsound(Exception):
    """A backup cannot be used; says which, where and why."""


class Piece(Struct, frozen=True, kw_only=True):
    """What one piece holds: lines of a table, or a part of a file."""

    of: str
    lines: int
    size: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a backup holds: the events after one position up to another, everything else whole."""

    id: UUID
    parent: UUID | None
    after: int
    position: int
    made_at: datetime
    checkpoint: str | None
    """The last signed note on the log, as far as it goes."""
    migrations: list[str]
    columns: dict[str, list[str]]
    missing: list[UUID]
    """Files that were not in the store any more."""
    pieces: list[Piece]


class Sealer:
    """Seals the pieces of one backup, under a key that only it has."""

    def __init__(self, secret: bytes, id: UUID, world: World) -> None:
        salt = world.random(SALT)
        key, check = _derive(secret, salt)
        self.head = MAGIC + id.bytes + salt + check
        self._key, self._id, self._turn = AESGCM(key), id, 0
        self.pieces: list[Piece] = []
        self._compress = zstandard.ZstdCompressor(level=LEVEL).compress

    def piece(self, of: str, content: bytes, lines: int = 0) -> bytes:
        """One more piece, and its line in the manifest."""
        sealed = self._seal(PIECE, content)
        self.pieces.append(Piece(of=of, lines=lines, size=len(sealed), sha256=_digest(sealed)))
        return _framed(PIECE, sealed)

    def manifest(self, manifest: Manifest) -> bytes:
        """The last piece."""
        return _framed(MANIFEST, self._seal(MANIFEST, msgspec.json.encode(manifest)))

    def _seal(self, kind: bytes, content: bytes) -> bytes:
        place = _place(self._id, kind, self._turn)
        sealed = self._key.encrypt(_nonce(self._turn), self._compress(content), place)
        self._turn += 1
        return sealed


class Archive:
    """A backup that lies in a store, to be read with one of some master secrets."""

    def __init__(self, storage: Storage, name: str, secrets: Sequence[bytes]) -> None:
        self._storage, self.name, self._secrets = storage, name, secrets

    async def size(self) -> int | None:
        """How many bytes it has; None when it is not there."""
        return await self._storage.size(self.name)

    async def manifest(self, told: Callable[[int], None] = lambda _: None) -> Manifest:
        """Read the whole of it and look at every piece; what it holds. Raises Unsound.

        `told` hears of each piece how many bytes it has.
        """
        found = list[tuple[int, str, int]]()
        manifest: Manifest | None = None
        async for kind, sealed, content in self._opened():
            told(len(sealed))
            if manifest:
                raise self._unsound("something follows after its end")
            if kind == MANIFEST:
                manifest = msgspec.json.decode(content, type=Manifest)
            else:
                found.append((len(sealed), _digest(sealed), content.count(b"\n")))
        if manifest is None:
            raise self._unsound(f"it ends after piece {len(found)}, without a manifest")
        if len(found) != len(manifest.pieces):
            raise self._unsound(f"it has {len(found)} of {len(manifest.pieces)} pieces")
        events = 0
        for number, (said, is_) in enumerate(zip(manifest.pieces, found, strict=True), 1):
            if (said.size, said.sha256) != is_[:2]:
                raise self._unsound(f"piece {number} ({said.of}) is not what the manifest says")
            events += is_[2] if said.of == EVENTS else 0
        if events != (said_to_be := manifest.position - manifest.after):
            raise self._unsound(f"it has {events} of {said_to_be} events")
        return manifest

    async def contents(self, manifest: Manifest) -> AsyncIterator[tuple[Piece, bytes]]:
        """Each piece with what is in it. Raises Unsound where it is not what was looked at."""
        pieces = iter(manifest.pieces)
        async for kind, sealed, content in self._opened():
            if kind == MANIFEST:
                return
            piece = next(pieces, None)
            if piece is None or _digest(sealed) != piece.sha256:
                raise self._unsound("it was changed while it was read")
            yield piece, content

    async def _opened(self) -> AsyncIterator[tuple[bytes, bytes, bytes]]:
        """Kind, sealed bytes and content of each piece."""
        rest, key, turn, at = bytearray(), None, 0, HEAD
        id_ = UUID(int=0)
        open_ = zstandard.ZstdDecompressor().decompress
        async for part in self._storage.read(self.name):
            rest += part
            if key is None and len(rest) >= HEAD:
                key, id_ = self._key(bytes(rest[:HEAD]))
                del rest[:HEAD]
            while key and len(rest) > LENGTH:
                kind, size = bytes(rest[:1]), int.from_bytes(rest[1 : 1 + LENGTH], "big")
                if kind not in (PIECE, MANIFEST) or size > SEALED_MAX:
                    raise self._unsound(f"piece {turn + 1}, at byte {at}, has a damaged head")
                if len(rest) < (end := 1 + LENGTH + size):
                    break
                sealed = bytes(rest[1 + LENGTH : end])
                try:
                    content = open_(key.decrypt(_nonce(turn), sealed, _place(id_, kind, turn)))
                except InvalidTag:
                    words = f"piece {turn + 1}, at byte {at}, was changed or damaged"
                    raise self._unsound(words) from None
                yield kind, sealed, content
                del rest[:end]
                turn, at = turn + 1, at + end
        if key is None:
            raise self._unsound("it is too short to be a backup")
        if rest:
            raise self._unsound(f"it ends in the middle of piece {turn + 1}, at byte {at}")

    def _key(self, head: bytes) -> tuple[AESGCM, UUID]:
        if not head.startswith(MAGIC):
            raise self._unsound("it is no backup that this version can read")
        words = head[len(MAGIC) :]
        id_, salt, check = UUID(bytes=words[:16]), words[16 : 16 + SALT], words[16 + SALT :]
        for secret in self._secrets:
            key, own = _derive(secret, salt)
            if own == check:
                return AESGCM(key), id_
        other = "it was sealed under another RIM_SECRET_KEY: set that, or RIM_SECRET_KEY_PREVIOUS"
        raise self._unsound(other)

    def _unsound(self, what: str) -> Unsound:
        return Unsound(f"the backup {self.name} cannot be used: {what}")


def _derive(secret: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """The key of a backup, and what tells that it is the right one."""
    key = HKDF(hashes.SHA256(), 32 + CHECK, salt=salt, info=b"rim-ledger backup").derive(secret)
    return key[:32], key[32:]


def _framed(kind: bytes, sealed: bytes) -> bytes:
    return kind + len(sealed).to_bytes(LENGTH, "big") + sealed


def _digest(sealed: bytes) -> str:
    return hashlib.sha256(sealed).hexdigest()


def _nonce(turn: int) -> bytes:
    return turn.to_bytes(12, "big")


def _place(id: UUID, kind: bytes, turn: int) -> bytes:
    return id.bytes + kind + turn.to_bytes(8, "big")
