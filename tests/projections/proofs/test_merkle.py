"""The tree is the one of RFC 9162: roots and proofs, against the definition and other programs."""

import random

import pytest
from pymerkle import InmemoryTree

from projections.proofs.merkle import (
    EMPTY,
    Edge,
    Tile,
    consistency,
    inclusion,
    leaf_hash,
    node_hash,
    root_of,
    tiles_of,
)

# Of the test suite of Certificate Transparency: eight leaves, and the root of each first n.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def root(hashes: list[bytes]) -> bytes:
    """MTH of RFC 9162, 2.1.1, as it is written there."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(root(hashes[:split]), root(hashes[split:]))


def path(index: int, hashes: list[bytes]) -> list[bytes]:
    """PATH of RFC 9162, 2.1.3.1."""
    if len(hashes) == 1:
        return []
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if index < split:
        return [*path(index, hashes[:split]), root(hashes[split:])]
    return [*path(index - split, hashes[split:]), root(hashes[:split])]


def proof(old: int, hashes: list[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 9162, 2.1.4.1."""
    if old == len(hashes):
        return [] if whole else [root(hashes)]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= split:
        return [*proof(old, hashes[:split], whole=whole), root(hashes[split:])]
    return [*proof(old - split, hashes[split:], whole=False), root(hashes[:split])]


def grown(hashes: list[bytes], step: int) -> tuple[Edge, dict[Tile, bytes]]:
    edge, tiles = Edge(), dict[Tile, bytes]()
    for at in range(0, len(hashes), step):
        tiles |= edge.grow(hashes[at : at + step])
    return edge, tiles


def test_the_roots_of_certificate_transparency_are_ours() -> None:
    edge = Edge()
    assert edge.root == EMPTY
    for leaf, wanted in zip(LEAVES, ROOTS, strict=True):
        edge.grow([leaf_hash(leaf)])
        assert edge.root.hex() == wanted


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 64, 255, 256, 257, 511, 512, 600])
def test_roots_and_proofs_follow_the_definition(size: int) -> None:
    hashes = [leaf_hash(b"%d" % number) for number in range(size)]
    edge, tiles = grown(hashes, 100)
    assert edge.root == root(hashes) == root_of(0, size, tiles)
    for index in {*range(min(size, 20)), size // 2, size - 1, min(size - 1, 256)}:
        ranges = inclusion(index, size)
        assert tiles_of(ranges) <= tiles.keys()
        assert [root_of(*each, tiles) for each in ranges] == path(index, hashes)
    for old in {*range(1, min(size, 20)), (size + 1) // 2, size, min(size, 256)}:
        ranges = consistency(old, size)
        assert [root_of(*each, tiles) for each in ranges] == proof(old, hashes)


def test_a_tree_of_three_levels_grows_the_same_in_any_steps_and_after_a_restart() -> None:
    dice = random.Random(7)
    hashes = [dice.randbytes(32) for _ in range(66_000)]
    edge, tiles = grown(hashes, 1_000)
    other, kept = Edge(), dict[Tile, bytes]()
    while other.size < len(hashes):
        step = dice.choice([1, 255, 256, 257, 5_000])
        kept |= other.grow(hashes[other.size : other.size + step])
        other = Edge(other.size, {at: kept.get(at, b"") for at in Edge.wanted(other.size)})
    assert kept == tiles
    assert {level for level, _ in tiles} == {0, 1, 2}
    assert edge.root == other.root == root(hashes)
    for old in (1, 255, 65_536, 65_537, 65_999):
        ranges = consistency(old, len(hashes))
        assert [root_of(*each, tiles) for each in ranges] == proof(old, hashes)
    for index in (0, 65_535, 65_536, 65_999):
        ranges = inclusion(index, len(hashes))
        assert [root_of(*each, tiles) for each in ranges] == path(index, hashes)


@pytest.mark.parametrize("size", [1, 5, 256, 777])
def test_another_library_finds_the_same_root(size: int) -> None:
    oracle = InmemoryTree(algorithm="sha256")
    edge = Edge()
    for number in range(size):
        oracle.append_entry(b"%d" % number)
        edge.grow([leaf_hash(b"%d" % number)])
    assert edge.root == oracle.get_root()
