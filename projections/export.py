"""The log as Parquet: segments of positions, and a manifest that says what is in them."""

import asyncio
import gzip
import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct
from psycopg import AsyncConnection

from projections import log
from projections.absent import SPAN, Proof, proof_lines
from projections.export_rows import SCHEMA, batch
from projections.log import Line, Wanted
from projections.merkle import Range
from projections.origins import Opening, Origins
from projections.signed_note import said

PAGE: Final = 5_000
GROUP: Final = 20_000
"""Rows of a row group: what is in memory at a time."""
SEGMENT: Final = 200_000
"""Positions of a segment."""
MANIFEST: Final = "manifest.json"

NOTE: Final = """
SELECT note FROM ledger.checkpoints WHERE size <= %s AND size > 0
 ORDER BY number DESC LIMIT 1"""

WRITTEN: Final[dict[str, Any]] = {
    "compression": "gzip",
    "compression_level": 3,
    "store_schema": False,
}
"""How files are written: so that the standard library of Python can read them."""

Progress = Callable[[int, int], None]


class Segment(Struct, frozen=True, rename="camel"):
    """A file: the positions it covers, how many of them are in it, its hash and its bytes."""

    file: str
    first: int
    last: int
    rows: int
    sha256: str
    size: int | None = None
    """None where an earlier version of the program wrote it."""


class Manifest(Struct, frozen=True, rename="camel", kw_only=True):
    """What a directory holds. `types` are the events it is limited to, `checkpoint` the last
    signed note on events that are in it; `origins` are the notes that opened the origins of the
    log, and `key` is that of the last of them. `proofs` stand for the events that are left out."""

    format: int = 1
    types: tuple[str, ...] | None = None
    first: int
    segments: tuple[Segment, ...] = ()
    checkpoint: str | None = None
    key: str | None = None
    origins: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether no event is left out."""
        return self.first == 1 and self.types is None

    @property
    def last(self) -> int:
        """The last position that is covered."""
        return self.segments[-1].last if self.segments else self.first - 1


class Unfitting(Exception):
    """The directory holds another export, or one that was changed; the message says which."""


def manifest_in(place: Path) -> Manifest | None:
    """What the directory says it holds. Raises Unfitting."""
    path = place / MANIFEST
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise Unfitting(f"{path} cannot be read: {error}") from None


async def export(
    connection: AsyncConnection[Any],
    place: Path,
    wanted: Manifest,
    progress: Progress = lambda _, __: None,
    *,
    compare: bool = True,
) -> Manifest:
    """Write what the directory lacks up to the end of the log; the manifest as it is then.

    Goes on where an earlier run stopped, however that ended. Raises Unfitting when the directory
    holds something else, or lacks a file that its manifest names. `compare` says whether what is in
    the files is compared with their hashes, or only whether they are there with all their bytes.
    """
    held, end = _begun(place, wanted), await log.head(connection)
    files: list[Segment | Proof] = [*held.segments, *held.proofs]
    for each in files:
        _require_there(place / each.file, each, compare=compare)
    while held.last < end:
        upto = min(held.last + SEGMENT, end)
        segment = await _segment(connection, place, held, upto, lambda n: progress(n, end))
        held = await _told(connection, place, held, wanted, segment)
    return await _told(connection, place, held, wanted)  # What was there may be sealed by now.


async def _told(
    connection: AsyncConnection[Any], place: Path, held: Manifest, wanted: Manifest, *more: Segment
) -> Manifest:
    """The manifest with further segments, and with what signs them all; written where it is new."""
    now = msgspec.structs.replace(
        held, segments=(*held.segments, *more), key=wanted.key, origins=wanted.origins
    )
    row = await (await connection.execute(NOTE, [now.last])).fetchone()
    now = msgspec.structs.replace(now, checkpoint=row[0] if row else None)
    if now.checkpoint and not now.is_whole:
        proofs = await _proved(connection, place, now, said(now.checkpoint).size)
        now = msgspec.structs.replace(now, proofs=proofs)
    if now != held:
        with _whole(place / MANIFEST) as path:
            path.write_bytes(msgspec.json.format(msgspec.json.encode(now), indent=1))
    return now


async def _proved(
    connection: AsyncConnection[Any], place: Path, now: Manifest, size: int
) -> tuple[Proof, ...]:
    """What stands for the events that are left out, up to as many as are signed."""
    done = now.proofs[-1].last if now.proofs else 0
    if done >= size:
        return now.proofs
    name = f"proofs-{done + 1:012}-{size:012}.ndjson.gz"
    cuts = [claim.size for claim in Origins(now.origins).claims]
    with _whole(place / name) as path:
        with gzip.open(path, "wt", compresslevel=6) as lines:
            for start in range(done, size, SPAN):
                span = (start, min(start + SPAN, size))
                positions = _positions(place, now, span)
                for line in await proof_lines(connection, positions, span, cuts):
                    lines.write(f"{line}\n")
        proof = Proof(
            file=name, first=done + 1, last=size, sha256=digest(path), size=path.stat().st_size
        )
    return (*now.proofs, proof)


def _positions(place: Path, now: Manifest, span: Range) -> list[int]:
    """Which events of a span of leaves are exported."""
    found = list[int]()
    for segment in now.segments:
        if segment.first <= span[1] and segment.last > span[0]:
            table = pq.read_table(place / segment.file, columns=["position"])
            found += table.column("position").to_pylist()
    return [each for each in found if span[0] < each <= span[1]]


def _begun(place: Path, wanted: Manifest) -> Manifest:
    """What an earlier run left, freed of what it did not finish."""
    place.mkdir(parents=True, exist_ok=True)
    for left in place.glob("*.partial"):
        left.unlink()
    held = manifest_in(place) or wanted
    if (held.first, held.types) != (wanted.first, wanted.types):
        what = ", ".join(held.types or ["every type"])
        raise Unfitting(f"{place} holds an export from position {held.first} of {what}")
    known = len(held.origins)
    if wanted.origins[:known] != held.origins:
        raise Unfitting(f"{place} holds an export of another log")
    for opening in map(Opening.of, wanted.origins[known:]):
        if opening.after and opening.checkpoint.size < held.last:
            words = f"{place} holds events up to position {held.last}, and then {opening}"
            raise Unfitting(f"{words}: export into another directory")
    return held


def _require_there(file: Path, segment: Segment | Proof, *, compare: bool) -> None:
    """Raise Unfitting for a file that is not the one that was written."""
    if not file.is_file():
        wrong = "is missing"
    elif segment.size is not None and (size := file.stat().st_size) != segment.size:
        wrong = f"has {size} bytes instead of {segment.size}"
    elif compare and digest(file) != segment.sha256:
        wrong = "is not the file that was written"
    else:
        return
    raise Unfitting(f"{file} {wrong}: bring it back, or export into another directory")


async def lines(
    connection: AsyncConnection[Any], types: tuple[str, ...] | None, after: int, upto: int
) -> AsyncIterator[list[Line]]:
    """The log a page at a time; while one is worked on, the next is read."""
    wanted = Wanted(names=types)

    def begin(after: int) -> "asyncio.Task[list[Line]]":
        return asyncio.create_task(log.matching(connection, wanted, after, upto, PAGE))

    coming = begin(after)
    try:
        while page := await coming:
            coming = begin(page[-1].position)
            await asyncio.sleep(0)  # The question goes out now.
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
    with _whole(place / name) as path:
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
    progress(upto)
    return Segment(file=name, first=first, last=upto, rows=rows, sha256=hashed, size=size)


@contextmanager
def _whole(path: Path) -> Any:
    """A path to write to; what was written gets its name when it is there as a whole."""
    partial = path.with_name(f"{path.name}.partial")
    yield partial
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
