"""Paths of an export's files, and its manifest.

The log's directory holds only the log, as some readers take all files below a directory as one data
set. Beside it are NAME.types, a data set for each event type, and NAME.proof, with manifest and
proofs.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from projections.proofs.omitted_events import Proof
from rim_ledger.disk import sync
from rim_ledger.operator_error import OperatorError

MANIFEST: Final = "manifest.json"
FORMAT: Final = 2
"""Format 1 had no files by type, and everything in the log's directory."""
FILE: Final = re.compile(r"events-([0-9]{12})-[0-9]{12}\.parquet")


class Typed(Struct, frozen=True, rename="camel"):
    """The file of an event type in a segment: rows, hash and bytes."""

    name: str
    rows: int
    sha256: str
    size: int


class Segment(Struct, frozen=True, rename="camel"):
    """A file of the log: its range of positions, number of rows, hash and bytes, and its files by
    type, which have the same name."""

    file: str
    first: int
    last: int
    rows: int
    sha256: str
    size: int | None = None
    """None if written by an earlier version."""
    typed: tuple[Typed, ...] | None = None
    """None if written by an earlier version."""


class Manifest(Struct, frozen=True, rename="camel", kw_only=True):
    """The contents of an export. `types` limits the events; `checkpoint` is the last signed note on
    exported events; `origins` are the notes that opened the log's origins, `key` is the last one's;
    `proofs` stand for omitted events."""

    format: int = FORMAT
    types: tuple[str, ...] | None = None
    first: int
    segments: tuple[Segment, ...] = ()
    checkpoint: str | None = None
    key: str | None = None
    origins: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()

    @property
    def last(self) -> int:
        """The last position covered."""
        return self.segments[-1].last if self.segments else self.first - 1


class BadExport(OperatorError):
    """The directory holds another or a modified export; the message says which."""


def types_of(place: Path) -> Path:
    """The directory of the data sets by type."""
    return _beside(place, "types")


def proof_of(place: Path) -> Path:
    """The directory of manifest and proofs."""
    return _beside(place, "proof")


def _beside(place: Path, what: str) -> Path:
    place = place.resolve()
    return place.with_name(f"{place.name}.{what}")


def manifest_in(place: Path) -> Manifest | None:
    """Read an export's manifest. Raises BadExport."""
    path = _proof_file(place, MANIFEST)
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise BadExport(f"{path} cannot be read: {error}") from None


def write_manifest(place: Path, held: Manifest) -> None:
    """Write the manifest, once its files exist."""
    with atomic_path(place, proof_of(place) / MANIFEST) as path:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(held), indent=1))


def proof_file(place: Path, proof: Proof) -> Path:
    """The path of a proof file."""
    return _proof_file(place, proof.file)


def _proof_file(place: Path, name: str) -> Path:
    path, earlier = proof_of(place) / name, place / name
    return earlier if not path.exists() and earlier.exists() else path


def typed_file(place: Path, segment: Segment, typed: Typed) -> Path:
    """The path of an event type's file."""
    return types_of(place) / typed.name / segment.file


def upgrade(place: Path, held: Manifest) -> Manifest:
    """Move an export of format 1 to today's layout; gives its manifest. The manifest moves last, so
    that an interrupted run is repeated."""
    if held.format == FORMAT:
        return held
    for name in (*(proof.file for proof in held.proofs), MANIFEST):
        if (place / name).exists():
            (place / name).replace(proof_of(place) / name)
    return msgspec.structs.replace(held, format=FORMAT)


def begin(place: Path) -> None:
    """Make the directories of an export. Raises BadExport where that fails."""
    place.mkdir(parents=True, exist_ok=True)
    if place.is_mount():
        words = f"{place} is where a file system begins, and more is written beside it"
        raise BadExport(f"{words}: name a directory inside of it")
    for each in (proof_of(place), types_of(place)):
        each.mkdir(exist_ok=True)
    for left in (*place.glob("*.partial"), *proof_of(place).glob("*.partial")):
        left.unlink()


def remove_unfinished(place: Path, held: Manifest) -> None:
    """Remove files of a segment that is not in the manifest, and files by type of segments that the
    manifest gives none."""
    untyped = {segment.file for segment in held.segments if segment.typed is None}
    for file in unexpected_files(place, held):
        later = (found := FILE.fullmatch(file.name)) and int(found[1]) > held.last
        if later or (file.name in untyped and file.parent.parent == types_of(place)):
            file.unlink()


def unexpected_files(place: Path, held: Manifest | None) -> Iterator[Path]:
    """Yield files that readers may take for part of the export though its manifest does not name
    them, whatever their names, and links."""
    known = set[Path]()
    for segment in held.segments if held else ():
        known.add(place / segment.file)
        known |= {typed_file(place, segment, each) for each in segment.typed or ()}
    if held and held.format < FORMAT:
        known |= {place / name for name in (MANIFEST, *(proof.file for proof in held.proofs))}
    found: Iterable[Path] = (*place.rglob("*"), *types_of(place).rglob("*"))
    others = (each for each in found if each.is_symlink() or not each.is_dir())
    yield from sorted(each for each in others if each not in known)


@contextmanager
def atomic_path(place: Path, path: Path) -> Iterator[Path]:
    """Give a temporary path, renamed to `path` once it is complete."""
    partial = proof_of(place) / f"{path.parent.name}-{path.name}.partial"
    yield partial
    sync(partial)
    path.parent.mkdir(exist_ok=True)
    partial.replace(path)
    sync(path.parent)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
