"""Exports the log as Parquet: segments of positions, the same by event type, and a manifest."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace
from psycopg import AsyncConnection

from projections.analysis.export_files import (
    BadExport,
    Manifest,
    Segment,
    Typed,
    atomic_path,
    begin,
    digest,
    manifest_in,
    proof_file,
    proof_of,
    remove_unfinished,
    typed_file,
    unexpected_files,
    upgrade,
    write_manifest,
)
from projections.analysis.export_rows import SCHEMA, batch
from projections.analysis.export_types import WRITTEN, write_types
from projections.follow import log
from projections.follow.log import EventFilter
from projections.proofs.merkle import Range
from projections.proofs.omitted_events import SPAN, Proof, proof_lines
from projections.proofs.origins import OriginOpening, Origins
from projections.proofs.signed_note import parsed
from rim_ledger.engine.store import Line
from rim_ledger.progress import Progress, unreported

PAGE: Final = 5_000
GROUP: Final = 20_000
"""Rows of a row group, which bounds memory."""
SEGMENT: Final = 200_000
"""Positions of a segment."""

NOTE: Final = """
SELECT note FROM ledger.checkpoints WHERE size <= %s AND size > 0
 ORDER BY number DESC LIMIT 1"""


async def export(
    connection: AsyncConnection[Any],
    place: Path,
    wanted: Manifest,
    progress: Progress = unreported,
    *,
    compare: bool = True,
) -> Manifest:
    """Write the segments that a directory lacks up to the end of the log; gives the manifest.

    Resumes after an interrupted run. Raises BadExport when the directory holds something else, or
    lacks a file of its manifest. `compare` says whether files are compared with their hashes, or
    only by existence and size.
    """
    held, end = _resume(place, wanted), await log.head(connection)
    for segment in held.segments:
        _require_there(place / segment.file, segment, compare=compare)
        for typed in segment.typed or ():
            _require_there(typed_file(place, segment, typed), typed, compare=compare)
    for proof in held.proofs:
        _require_there(proof_file(place, proof), proof, compare=compare)
    held = _with_types(place, held)
    while held.last < end:
        upto = min(held.last + SEGMENT, end)
        segment = await _segment(connection, place, held, upto, lambda n: progress(n, end))
        held = await _with_checkpoint(connection, place, held, wanted, segment)
    return await _with_checkpoint(connection, place, held, wanted)  # Some may be sealed by now.


async def _with_checkpoint(
    connection: AsyncConnection[Any], place: Path, held: Manifest, wanted: Manifest, *more: Segment
) -> Manifest:
    """Write and give the manifest with further segments and the current checkpoint and origins."""
    now = replace(held, segments=(*held.segments, *more), key=wanted.key, origins=wanted.origins)
    row = await (await connection.execute(NOTE, [now.last])).fetchone()
    now = replace(now, checkpoint=row[0] if row else None)
    if now.checkpoint and (now.first > 1 or now.types is not None):
        proofs = await _write_proofs(connection, place, now, parsed(now.checkpoint).size)
        now = replace(now, proofs=proofs)
    if now != held:
        write_manifest(place, now)
    return now


def _with_types(place: Path, held: Manifest) -> Manifest:
    """Add files by type to segments that an earlier version wrote."""
    if all(each.typed is not None for each in held.segments):
        return held
    segments = tuple(
        each if each.typed is not None else replace(each, typed=write_types(place, each))
        for each in held.segments
    )
    now = replace(held, segments=segments)
    write_manifest(place, now)
    return now


async def _write_proofs(
    connection: AsyncConnection[Any], place: Path, now: Manifest, size: int
) -> tuple[Proof, ...]:
    """Write proofs for the omitted events up to the last checkpoint."""
    done = now.proofs[-1].last if now.proofs else 0
    if done >= size:
        return now.proofs
    name = f"proofs-{done + 1:012}-{size:012}.ndjson.gz"
    cuts = [claim.size for claim in Origins(now.origins).claims]
    with atomic_path(place, proof_of(place) / name) as path:
        with gzip.open(path, "wt", compresslevel=6) as lines:
            for start in range(done, size, SPAN):
                span = (start, min(start + SPAN, size))
                positions = _positions(place, now, span)
                for line in await proof_lines(connection, positions, span, cuts):
                    lines.write(f"{line}\n")
        hashed, bytes_ = digest(path), path.stat().st_size
    proof = Proof(file=name, first=done + 1, last=size, sha256=hashed, size=bytes_)
    return (*now.proofs, proof)


def _positions(place: Path, now: Manifest, span: Range) -> list[int]:
    """The exported positions in a range of leaves."""
    found = list[int]()
    for segment in now.segments:
        if segment.first <= span[1] and segment.last > span[0]:
            table = pq.read_table(place / segment.file, columns=["position"])
            found += table.column("position").to_pylist()
    return [each for each in found if span[0] < each <= span[1]]


def _resume(place: Path, wanted: Manifest) -> Manifest:
    """The manifest of an earlier run, after removal of unfinished files."""
    begin(place)
    if (held := manifest_in(place)) is None:
        _require_alone(place, wanted)
        write_manifest(place, wanted)
        held = wanted
    if (held.first, held.types) != (wanted.first, wanted.types):
        what = ", ".join(held.types or ["every type"])
        raise BadExport(f"{place} holds an export from position {held.first} of {what}")
    known = len(held.origins)
    if wanted.origins[:known] != held.origins:
        raise BadExport(f"{place} holds an export of another log")
    for opening in map(OriginOpening.of, wanted.origins[known:]):
        if opening.after and opening.checkpoint.size < held.last:
            words = f"{place} holds events up to position {held.last}, and then {opening}"
            raise BadExport(f"{words}: export into another directory")
    remove_unfinished(place, held)
    _require_alone(place, held)
    return upgrade(place, held)


def _require_alone(place: Path, held: Manifest) -> None:
    for file in unexpected_files(place, held):
        words = f"{file} is none of this export, and readers would take it for a part of it"
        raise BadExport(f"{words}: export into another directory")


def _require_there(file: Path, segment: Segment | Typed | Proof, *, compare: bool) -> None:
    """Raise BadExport if a file is missing or differs."""
    if not file.is_file():
        wrong = "is missing"
    elif segment.size is not None and (size := file.stat().st_size) != segment.size:
        wrong = f"has {size} bytes instead of {segment.size}"
    elif compare and digest(file) != segment.sha256:
        wrong = "is not the file that was written"
    else:
        return
    raise BadExport(f"{file} {wrong}: bring it back, or export into another directory")


async def lines(
    connection: AsyncConnection[Any], types: tuple[str, ...] | None, after: int, upto: int
) -> AsyncIterator[list[Line]]:
    """Yield the log in pages; the next is read while one is processed."""
    wanted = EventFilter(names=types)

    def begin(after: int) -> "asyncio.Task[list[Line]]":
        return asyncio.create_task(log.matching(connection, wanted, after, upto, PAGE))

    coming = begin(after)
    try:
        while page := await coming:
            coming = begin(page[-1].position)
            await asyncio.sleep(0)  # Start the query now.
            yield page
    finally:
        coming.cancel()


async def _segment(
    connection: AsyncConnection[Any],
    place: Path,
    held: Manifest,
    upto: int,
    progress: Callable[[int], None],
) -> Segment:
    first, rows = held.last + 1, 0
    name = f"events-{first:012}-{upto:012}.parquet"
    with atomic_path(place, place / name) as path:
        with pq.ParquetWriter(path, SCHEMA, **WRITTEN) as writer:
            waiting = list[Any]()
            async for page in lines(connection, held.types, first - 1, upto):
                waiting.append(await batch(connection, page))
                rows += len(page)
                if len(waiting) * PAGE >= GROUP:
                    writer.write_table(pa.Table.from_batches(waiting, SCHEMA))
                    waiting.clear()
                progress(page[-1].position)
            writer.write_table(pa.Table.from_batches(waiting, SCHEMA))
        hashed, size = digest(path), path.stat().st_size
    segment = Segment(file=name, first=first, last=upto, rows=rows, sha256=hashed, size=size)
    segment = replace(segment, typed=write_types(place, segment))
    progress(upto)
    return segment
