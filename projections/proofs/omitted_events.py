"""Proofs for events omitted from an export, so that part of a log can be verified.

They are roots of subtrees, and the events by which persons were erased.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from psycopg import AsyncConnection

from projections.follow import log
from projections.follow.log import EventFilter
from projections.proofs.merkle import Range, aligned, leaf_hash, root_of, tiles_of
from projections.proofs.signed_note import VerificationError
from projections.proofs.trees import EVENTS
from rim_ledger.lending.user import UserErased

TOMBSTONE: Final = UserErased.__name__
SPAN: Final = 200_000
"""Events whose subtrees are read together."""


class Proof(Struct, frozen=True, rename="camel"):
    """A file with the proofs for all omitted events of a range of positions."""

    file: str
    first: int
    last: int
    sha256: str
    size: int


class OmittedSubtree(Struct, frozen=True):
    """A perfect subtree of omitted events: its leaves, from 0, and its root; or the leaf of an
    event that erased someone."""

    start: int
    end: int
    root: bytes
    entry: bytes | None = None


def gaps(positions: Iterable[int], start: int, end: int, cuts: Iterable[int]) -> Iterator[Range]:
    """Yield the subtrees of the leaves from `start` to `end` that are at none of these positions,
    split at the sizes in `cuts`, where the log was signed."""
    stops = [(position - 1, True) for position in positions]
    stops += [(cut, False) for cut in (*cuts, end) if start <= cut <= end]
    for stop, is_there in sorted(stops):
        yield from aligned(start, stop)
        start = stop + is_there


async def proof_lines(
    connection: AsyncConnection[Any], positions: Iterable[int], span: Range, cuts: Iterable[int]
) -> list[str]:
    """The proofs, as lines of JSON, for the sealed events of a range of leaves that are at none of
    these positions."""
    start, end = span
    wanted = EventFilter(names=(TOMBSTONE,))
    erasing = await log.matching(connection, wanted, start, end, end - start)
    exported = set(positions)
    entries = {each.position: each.leaf for each in erasing} if erasing else {}
    entries = {at: entry for at, entry in entries.items() if at not in exported}
    ranges = [*gaps([*exported, *entries], start, end, cuts)]
    tiles = await EVENTS.tiles(connection, tiles_of(ranges))
    lines = {at: {"from": at, "to": to, "root": root_of(at, to, tiles).hex()} for at, to in ranges}
    lines |= {at - 1: {"entry": entry.decode()} for at, entry in entries.items()}
    return [json.dumps(lines[at]) for at in sorted(lines)]


def read_proofs(file: Path) -> Iterator[OmittedSubtree]:
    """Yield a proof file's subtrees, in order. Raises VerificationError."""
    try:
        with gzip.open(file, "rt") as lines:
            for line in lines:
                match json.loads(line):
                    case {"from": int(start), "to": int(end), "root": str(root)}:
                        yield OmittedSubtree(start, end, bytes.fromhex(root))
                    case {"entry": str(entry)}:
                        leaf, position = entry.encode(), int(entry.split("\n")[0])
                        yield OmittedSubtree(position - 1, position, leaf_hash(leaf), leaf)
                    case _:
                        raise VerificationError(f"{file.name} holds no proofs of an export")
    except (OSError, EOFError, ValueError):
        raise VerificationError(f"{file.name} holds no proofs of an export") from None
