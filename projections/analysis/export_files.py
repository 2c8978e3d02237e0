"""Where the files of an export lie, and what its manifest says of them.

The log's own directory has nothing but the log in it, since some readers take all that is below a
directory as one data set. What else there is lies beside it: a data set for each type of event in
NAME.types, and the manifest and the proofs in NAME.proof.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from projections.proofs.omitted_events import Proof

MANIFEST: Final = "manifest.json"
FORMAT: Final = 2
"""Exports of format 1 have no files by type, and all else in the directory of the log."""
FILE: Final = re.compile(r"events-([0-9]{12})-[0-9]{12}\.parquet")


class Typed(Struct, frozen=True, rename="camel"):
    """The file of one type of event in a segment: how many rows, its hash and its bytes."""

    name: str
    rows: int
    sha256: str
    size: int


class Segment(Struct, frozen=True, rename="camel"):
    """A file: the positions it covers, how many of them are in it, its hash and its bytes; and the
    files by type, which have its name too."""

    file: str
    first: int
    last: int
    rows: int
    sha256: str
    size: int | None = None
    """None where an earlier version of the program wrote it."""
    typed: tuple[Typed, ...] | None = None
    """The same."""


class Manifest(Struct, frozen=True, rename="camel", kw_only=True):
    """What an export holds. `types` are the events it is limited to, `checkpoint` the last
    signed note on events that are in it; `origins` are the notes that opened the origins of the
    log, and `key` is that of the last of them. `proofs` stand for the events that are left out."""

    format: int = FORMAT
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


def types_of(place: Path) -> Path:
    """The directory of the data sets by type."""
    return _beside(place, "types")


def proof_of(place: Path) -> Path:
    """The directory of the manifest and the proofs."""
    return _beside(place, "proof")


def _beside(place: Path, what: str) -> Path:
    place = place.resolve()
    return place.with_name(f"{place.name}.{what}")


def manifest_in(place: Path) -> Manifest | None:
    """What an export says it holds. Raises Unfitting."""
    path = _proof_file(place, MANIFEST)
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.MsgspecError as error:
        raise Unfitting(f"{path} cannot be read: {error}") from None


def write_manifest(place: Path, held: Manifest) -> None:
    """Write down what an export holds; its files are there."""
    with whole(place, proof_of(place) / MANIFEST) as path:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(held), indent=1))


def proof_file(place: Path, proof: Proof) -> Path:
    """Where a file of proofs is."""
    return _proof_file(place, proof.file)


def _proof_file(place: Path, name: str) -> Path:
    path, earlier = proof_of(place) / name, place / name
    return earlier if not path.exists() and earlier.exists() else path


def typed_file(place: Path, segment: Segment, typed: Typed) -> Path:
    """Where the file of a type of event is."""
    return types_of(place) / typed.name / segment.file


def bring_up(place: Path, held: Manifest) -> Manifest:
    """The manifest of an export that lies as those of today do. The manifest of an earlier one is
    the last to move, so that a run that is broken off here is run again."""
    if held.format == FORMAT:
        return held
    for name in (*(proof.file for proof in held.proofs), MANIFEST):
        if (place / name).exists():
            (place / name).replace(proof_of(place) / name)
    return msgspec.structs.replace(held, format=FORMAT)


def begin(place: Path) -> None:
    """Make the directories of an export. Raises Unfitting where they cannot lie beside it."""
    place.mkdir(parents=True, exist_ok=True)
    if place.is_mount():
        words = f"{place} is where a file system begins, and more is written beside it"
        raise Unfitting(f"{words}: name a directory inside of it")
    for each in (proof_of(place), types_of(place)):
        each.mkdir(exist_ok=True)
    for left in (*place.glob("*.partial"), *proof_of(place).glob("*.partial")):
        left.unlink()


def take_away_unfinished(place: Path, held: Manifest) -> None:
    """Take away the files of a segment that a run broke off in before its manifest was written, and
    files by type of segments that have none according to it."""
    untyped = {segment.file for segment in held.segments if segment.typed is None}
    for file in strange(place, held):
        later = (found := FILE.fullmatch(file.name)) and int(found[1]) > held.last
        if later or (file.name in untyped and file.parent.parent == types_of(place)):
            file.unlink()


def strange(place: Path, held: Manifest | None) -> Iterator[Path]:
    """What readers may take for a part of the export, and its manifest does not name: whatever its
    name, since some of them ask for none, and follow links."""
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
def whole(place: Path, path: Path) -> Iterator[Path]:
    """A path to write to; what was written gets its name when it is there as a whole."""
    partial = proof_of(place) / f"{path.parent.name}-{path.name}.partial"
    yield partial
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    path.parent.mkdir(exist_ok=True)
    partial.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
