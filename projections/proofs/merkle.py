"""The Merkle tree of RFC 9162 in tiles of 256 hashes: roots, proofs, growth."""

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Final, Self

SIZE: Final = 32
"""Bytes of a hash."""
HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
"""Hashes of a full tile."""
EMPTY: Final = sha256(b"").digest()

Tile = tuple[int, int]
"""Level and index."""
Tiles = Mapping[Tile, bytes]
Range = tuple[int, int]
"""Leaves from an index (from 0) up to another, exclusive."""


def leaf_hash(leaf: bytes) -> bytes:
    return sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


def inclusion(index: int, size: int) -> list[Range]:
    """The subtrees of an inclusion proof of a leaf (RFC 9162, 2.1.3.1)."""
    start, end, path = 0, size, list[Range]()
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return path[::-1]


def consistency(old: int, size: int) -> list[Range]:
    """The subtrees of a consistency proof from an older size (RFC 9162, 2.1.4.1)."""
    start, end, path = 0, size, list[Range]()
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append((middle, end))
            end = middle
        else:
            path.append((start, middle))
            start = middle
    return [*([(start, end)] if start else []), *path[::-1]]


def tiles_of(ranges: Iterable[Range]) -> set[Tile]:
    """The tiles needed for the roots of these subtrees."""
    return {_place(each)[0] for start, end in ranges for each in aligned(start, end)}


def root_of(start: int, end: int, tiles: Tiles) -> bytes:
    """The root of a subtree, or of the whole tree from 0."""
    roots = [_perfect_root(each, tiles) for each in aligned(start, end)]
    if not roots:
        return EMPTY
    root = roots.pop()
    while roots:
        root = node_hash(roots.pop(), root)
    return root


class CompactRange:
    """A tree grown by perfect subtrees from left to right; holds only what its root needs."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[tuple[int, bytes]] = []

    def add(self, start: int, end: int, root: bytes) -> None:
        """Add a subtree by its root. Raises ValueError unless it fits at the end."""
        width = end - start
        if start != self.size or width < 1 or width & (width - 1) or start % width:
            raise ValueError(f"leaves {start} to {end} are no perfect subtree after {self.size}")
        self.size = end
        while self._roots and self._roots[-1][0] == width:
            root, width = node_hash(self._roots.pop()[1], root), 2 * width
        self._roots.append((width, root))

    @property
    def root(self) -> bytes:
        if not self._roots:
            return EMPTY
        _, root = self._roots[-1]
        for _, each in reversed(self._roots[:-1]):
            root = node_hash(each, root)
        return root


class Edge:
    """The growing edge of a tree: size, and the last tile of each level unless full.

    Enough to append and to compute the root.
    """

    def __init__(self, size: int = 0, tiles: Tiles | None = None) -> None:
        self.size = size
        self._open = [bytearray((tiles or {})[each]) for each in self.wanted(size)]

    @classmethod
    def wanted(cls, size: int) -> list[Tile]:
        """The tiles of the edge at a size, level by level."""
        return [
            (level, size >> HEIGHT * (level + 1))
            for level in range((size.bit_length() + HEIGHT - 1) // HEIGHT)
        ]

    def grow(self, hashes: Iterable[bytes]) -> dict[Tile, bytes]:
        """Append leaves; gives the changed tiles."""
        changed: dict[Tile, bytes] = {}
        for each in hashes:
            self._add(0, each, changed)
            self.size += 1
        changed.update(self.tiles)
        return changed

    @property
    def tiles(self) -> dict[Tile, bytes]:
        """The tiles that are not full."""
        places = ((level, self.size >> HEIGHT * (level + 1)) for level in range(len(self._open)))
        return {at: bytes(tile) for at, tile in zip(places, self._open, strict=True) if tile}

    @property
    def root(self) -> bytes:
        return root_of(0, self.size, self.tiles)

    def copy(self) -> Self:
        edge = type(self)()
        edge.size, edge._open = self.size, [bytearray(each) for each in self._open]
        return edge

    def _add(self, level: int, digest: bytes, changed: dict[Tile, bytes]) -> None:
        if level == len(self._open):
            self._open.append(bytearray())
        tile = self._open[level]
        tile += digest
        if len(tile) == WIDTH * SIZE:
            full = bytes(tile)
            changed[level, self.size >> HEIGHT * (level + 1)] = full
            tile.clear()
            self._add(level + 1, _combined(full), changed)


def _split(size: int) -> int:
    """The largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def aligned(start: int, end: int) -> Iterator[Range]:
    """The perfect, aligned subtrees of a range, from left to right."""
    while start < end:
        size = start & -start or 1 << (end - start).bit_length()
        while size > end - start:
            size >>= 1
        yield start, start + size
        start += size


def _place(perfect: Range) -> tuple[Tile, int, int]:
    """Where a perfect subtree is stored: tile, first hash and number of hashes."""
    start, end = perfect
    height = (end - start).bit_length() - 1
    level = height // HEIGHT
    number, first = divmod(start >> HEIGHT * level, WIDTH)
    return (level, number), first, 1 << height % HEIGHT


def _perfect_root(perfect: Range, tiles: Tiles) -> bytes:
    tile, first, count = _place(perfect)
    hashes = tiles[tile][first * SIZE : (first + count) * SIZE]
    assert len(hashes) == count * SIZE, "the tile holds the whole subtree"
    return _combined(hashes)


def _combined(hashes: bytes) -> bytes:
    """The root over adjacent hashes; their number is a power of two."""
    while len(hashes) > SIZE:
        pairs = range(0, len(hashes), 2 * SIZE)
        hashes = b"".join(sha256(b"\1" + hashes[at : at + 2 * SIZE]).digest() for at in pairs)
    return hashes
