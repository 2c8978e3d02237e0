r"""The file of a backup: pieces of tables and files, compressed, sealed, and listed at its end.

    head      "RIM BACKUP 2\n", the backup's id, a salt, 16 bytes that identify the key
    piece     kind, length, sealed bytes; repeated
    manifest  the last piece: a list of all others, with the sha256 of each

Each piece is bound to the backup, its kind and its number: none can be removed, moved or replaced.
Older files begin with "RIM BACKUP 1\n"; they hold every table but the events in full, unordered.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from rim_ledger.engine.environment import Environment
from rim_ledger.operator_error import OperatorError
from rim_ledger.storage import Storage
from rim_ledger.system.backup_rows import Layout

EVENTS: Final = "events"
FILE: Final = "file/"
"""Prefix of the pieces of a file; the file's name follows."""
CHANGES: Final = "changes/"
"""Prefix of the pieces with a table's changes; the table's name follows."""


class Piece(Struct, frozen=True, kw_only=True):
    """A piece: lines of a table, or a part of a file."""

    of: str
    lines: int
    size: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True, rename="camel"):
    """What a backup holds: the events after one position up to another, and every other table, in
    full or as changes since the parent."""

    id: UUID
    parent: UUID | None
    after: int
    position: int
    made_at: datetime
    checkpoint: str | None
    """The last signed checkpoint of the log."""
    migrations: list[str]
    columns: dict[str, list[str]]
    missing: list[UUID]
    """Attachments that were missing in the store."""
    pieces: list[Piece]
    keys: dict[str, list[str]] = {}
    """Per table, the columns by whose texts its rows are sorted; absent for tables without order.
    """
    changes: list[str] = []
    """The tables of which it holds only the changes."""
    parent_file: str | None = None
    """Name and digest of the parent's file; absent in older files."""
    parent_digest: str | None = None

    @property
    def digest(self) -> str:
        """A hash of its whole content."""
        return hashlib.sha256("".join(each.sha256 for each in self.pieces).encode()).hexdigest()

    def layout(self, table: str) -> Layout:
        """Return how the lines of an ordered table are read."""
        return Layout(self.columns[table], self.keys[table])

    def has(self, table: str, layout: Layout) -> bool:
        """Return whether it has a table with these columns and this order."""
        return table in self.keys and self.layout(table) == layout


MAGIC: Final = b"RIM BACKUP 2\n"
MAGIC_V1: Final = b"RIM BACKUP 1\n"
SALT, CHECK, LENGTH = 32, 16, 4
HEAD: Final = len(MAGIC) + 16 + SALT + CHECK
PIECE, MANIFEST = b"p", b"m"
SEALED_MAX: Final = 256 * 1024 * 1024
"""Limit of a piece in bytes: a greater length was damaged."""
LEVEL: Final = 3


class BackupError(OperatorError):
    """A backup cannot be used; the message says which, where and why."""


class Frame(NamedTuple):
    """Position and sealed size of a piece."""

    kind: bytes
    turn: int
    at: int
    size: int

    @property
    def begin(self) -> int:
        """Offset of its sealed bytes in the file."""
        return self.at + 1 + LENGTH

    @property
    def end(self) -> int:
        return self.begin + self.size


class Sealer:
    """Seals the pieces of one backup under a key of its own."""

    def __init__(self, secret: bytes, id: UUID, environment: Environment) -> None:
        salt = environment.random(SALT)
        key, check = _derive(secret, salt)
        self.head = MAGIC + id.bytes + salt + check
        self._key, self._id, self._turn = AESGCM(key), id, 0
        self.pieces: list[Piece] = []
        self._compress = zstandard.ZstdCompressor(level=LEVEL).compress

    def piece(self, of: str, content: bytes, lines: int = 0) -> bytes:
        """Return a sealed piece, and list it for the manifest."""
        sealed = self._seal(PIECE, content)
        self.pieces.append(Piece(of=of, lines=lines, size=len(sealed), sha256=_digest(sealed)))
        return _framed(PIECE, sealed)

    def manifest(self, manifest: Manifest) -> bytes:
        """Return the sealed manifest, the last piece."""
        return _framed(MANIFEST, self._seal(MANIFEST, msgspec.json.encode(manifest)))

    def _seal(self, kind: bytes, content: bytes) -> bytes:
        place = _place(self._id, kind, self._turn)
        sealed = self._key.encrypt(_nonce(self._turn), self._compress(content), place)
        self._turn += 1
        return sealed


Opener = tuple[AESGCM, UUID]
"""The key of a backup, and its id: what its pieces are opened with."""


class Archive:
    """A stored backup, readable with one of several master secrets."""

    def __init__(self, storage: Storage, name: str, secrets: Sequence[bytes]) -> None:
        self._storage, self.name, self._secrets = storage, name, secrets

    async def size(self) -> int | None:
        """Return its size in bytes; None if it does not exist."""
        return await self._storage.size(self.name)

    async def manifest(self, report: Callable[[int], None] = lambda _: None) -> Manifest:
        """Read and verify the whole file, and return its manifest. Raises BackupError.

        `report` is called with the bytes of each piece.
        """
        found = list[tuple[int, str, int]]()
        manifest: Manifest | None = None
        async for kind, sealed, content in self._opened():
            report(len(sealed))
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
        for number, (listed, actual) in enumerate(zip(manifest.pieces, found, strict=True), 1):
            if (listed.size, listed.sha256) != actual[:2]:
                raise self._unsound(f"piece {number} ({listed.of}) is not what the manifest says")
            events += actual[2] if listed.of == EVENTS else 0
        if events != (expected := manifest.position - manifest.after):
            raise self._unsound(f"it has {events} of {expected} events")
        return manifest

    async def outline(self) -> Manifest:
        """Return the manifest without verifying the pieces. Raises BackupError."""
        size, at, turn = await self.size(), HEAD, 0
        if size is None:
            raise self._unsound("its file is gone")
        opener = self._opener(await self._read(0, min(HEAD, size)))
        while at + 1 + LENGTH < size:
            frame = self._frame(await self._read(at, at + 1 + LENGTH), turn, at)
            if frame.kind == MANIFEST and frame.end == size:
                content = self._open(opener, frame, await self._read(frame.begin, size))
                return msgspec.json.decode(content, type=Manifest)
            turn, at = turn + 1, frame.end
        raise self._unsound(f"it ends after piece {turn}, without a manifest")

    async def contents(
        self, manifest: Manifest, wanted: Callable[[str], bool]
    ) -> AsyncIterator[tuple[Piece, bytes]]:
        """Yield the wanted pieces with their content. Raises BackupError if one differs from the
        manifest."""
        opener, at = self._opener(await self._read(0, HEAD)), HEAD
        for turn, piece in enumerate(manifest.pieces):
            frame = Frame(PIECE, turn, at, piece.size)
            at = frame.end
            if wanted(piece.of):
                sealed = await self._read(frame.begin, frame.end)
                if _digest(sealed) != piece.sha256:
                    raise self._unsound("it was changed while it was read")
                yield piece, self._open(opener, frame, sealed)

    async def _read(self, first: int, end: int) -> bytes:
        return b"".join([part async for part in self._storage.read(self.name, first, end)])

    async def _opened(self) -> AsyncIterator[tuple[bytes, bytes, bytes]]:
        """Yield kind, sealed bytes and content of each piece."""
        rest, opener, turn, at = bytearray(), None, 0, HEAD
        async for part in self._storage.read(self.name):
            rest += part
            if opener is None and len(rest) >= HEAD:
                opener = self._opener(bytes(rest[:HEAD]))
                del rest[:HEAD]
            while opener and len(rest) > LENGTH:
                frame = self._frame(bytes(rest[: 1 + LENGTH]), turn, at)
                if len(rest) < (end := frame.end - at):
                    break
                sealed = bytes(rest[1 + LENGTH : end])
                yield frame.kind, sealed, self._open(opener, frame, sealed)
                del rest[:end]
                turn, at = turn + 1, frame.end
        if opener is None:
            raise self._unsound("it is too short to be a backup")
        if rest:
            raise self._unsound(f"it ends in the middle of piece {turn + 1}, at byte {at}")

    def _frame(self, head: bytes, turn: int, at: int) -> Frame:
        frame = Frame(head[:1], turn, at, int.from_bytes(head[1:], "big"))
        if frame.kind not in (PIECE, MANIFEST) or frame.size > SEALED_MAX:
            raise self._unsound(f"piece {turn + 1}, at byte {at}, has a damaged head")
        return frame

    def _open(self, opener: Opener, frame: Frame, sealed: bytes) -> bytes:
        (key, id_), turn = opener, frame.turn
        try:
            opened = key.decrypt(_nonce(turn), sealed, _place(id_, frame.kind, turn))
            return zstandard.ZstdDecompressor().decompress(opened)
        except InvalidTag:
            words = f"piece {frame.turn + 1}, at byte {frame.at}, was changed or damaged"
            raise self._unsound(words) from None

    def _opener(self, head: bytes) -> Opener:
        if len(head) < HEAD:
            raise self._unsound("it is too short to be a backup")
        if not head.startswith((MAGIC, MAGIC_V1)):
            raise self._unsound("it is no backup that this version can read")
        words = head[len(MAGIC) :]
        id_, salt, check = UUID(bytes=words[:16]), words[16 : 16 + SALT], words[16 + SALT :]
        for secret in self._secrets:
            key, own = _derive(secret, salt)
            if own == check:
                return AESGCM(key), id_
        other = "it was sealed under another RIM_SECRET_KEY: set that, or RIM_SECRET_KEY_PREVIOUS"
        raise self._unsound(other)

    def _unsound(self, what: str) -> BackupError:
        return BackupError(f"the backup {self.name} cannot be used: {what}")


def _derive(secret: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """Return the key of a backup, and the check value that identifies it."""
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
