"""Compares an export with the checkpoint in it, without the database."""

from collections.abc import Callable, Iterator
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow.parquet as pq
from pyarrow import ArrowException

from projections.export import PAGE, Manifest, Progress, Unfitting, digest, manifest_in
from projections.log import Line
from projections.merkle import Edge, leaf_hash
from projections.origins import Origins
from projections.seals import leaf
from projections.signed_note import Checkpoint, Untrue, Verifier

SIGNED: Final = ["position", "stream", "version", "name", "recorded_at", "body"]
"""The columns that a leaf is made of."""


def verify(
    place: Path, verifier: Verifier, progress: Progress = lambda _, __: None
) -> tuple[Checkpoint, Origins, int]:
    """Compare an export of the whole log with its signed checkpoint, without the database; what
    that says, who signed the log, and how many events are in it, of which the last may not be
    sealed. The key may be that of any origin. Raises Unfitting or Untrue."""
    held = manifest_in(place)
    if held is None or held.checkpoint is None or held.first != 1 or held.types:
        raise Unfitting(f"{place} is no export of a whole log with a checkpoint")
    origins = Origins(held.origins)
    origins.require(verifier)
    said, edge = origins.open(held.checkpoint), Edge()
    leaves = _leaves(place, held, lambda position: progress(position, held.last))
    claims = sorted(origins.claims, key=lambda claim: claim.size)
    for claim in [*(each for each in claims if each.size < said.size), said]:
        edge.grow(islice(leaves, claim.size - edge.size))
        if edge.size < claim.size:
            raise Untrue(f"it ends at position {edge.size}, and was signed up to {claim.size}")
        if (edge.size, edge.root) != (claim.size, claim.root):
            raise Untrue(f"the first {claim.size} events are not those that were signed")
    edge.grow(leaves)
    return said, origins, edge.size


def _leaves(place: Path, held: Manifest, progress: Callable[[int], None]) -> Iterator[bytes]:
    """The leaf of each event in an export. Raises Untrue where it is not what was written."""
    size = 0
    for segment in held.segments:
        if segment.first != size + 1:
            raise Untrue(f"position {size + 1} is missing")
        if digest(place / segment.file) != segment.sha256:
            raise Untrue(f"{segment.file} is not the file that was written")
        for hashes in _hashes(place / segment.file):
            yield from hashes
            size += len(hashes)
            progress(size)


def _hashes(file: Path) -> Iterator[list[bytes]]:
    """The hashes of a segment, a page at a time. Raises Untrue where it is none."""
    try:
        for batch in pq.ParquetFile(file).iter_batches(PAGE, columns=SIGNED):
            yield [leaf_hash(leaf(_line(row))) for row in batch.to_pylist()]
    except (ArrowException, LookupError, AttributeError, TypeError):
        raise Untrue(f"{file.name} holds no events of an export") from None


def _line(row: dict[str, Any]) -> Line:
    at = row["recorded_at"].astimezone(UTC)
    stream, body = row["stream"], row["body"].encode()
    return Line(row["position"], stream, row["version"], row["name"], body, at)
