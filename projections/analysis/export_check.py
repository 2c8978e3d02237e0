"""Verifies an export against its checkpoint, without the database."""

from collections.abc import Iterator
from datetime import UTC
from heapq import merge
from itertools import chain, combinations
from operator import attrgetter
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec

from projections.analysis.export_files import (
    BadExport,
    Manifest,
    digest,
    manifest_in,
    proof_file,
    unexpected_files,
)
from projections.analysis.export_rows import SCHEMA, values_of
from projections.analysis.export_types import Comparison, rows_in
from projections.cloud_events import Reader, persons_in
from projections.proofs.merkle import CompactRange, leaf_hash
from projections.proofs.omitted_events import TOMBSTONE, OmittedSubtree, read_proofs
from projections.proofs.origins import Origins
from projections.proofs.signed_note import Checkpoint, VerificationError, Verifier
from rim_ledger.engine.store import Line
from rim_ledger.progress import Progress, unreported

STEP: Final = 5_000
"""Events between two progress reports."""
Part = OmittedSubtree
"""A part of the tree: an exported event, or a subtree of omitted ones."""


def verify(
    place: Path, verifier: Verifier, progress: Progress = unreported
) -> tuple[Checkpoint, Origins, int]:
    """Verify every column of every exported event, and the tree of all events, against the signed
    checkpoint. Gives the checkpoint, the log's origins, and the number of exported events, the last
    of which may not be sealed yet. The key may be of any origin. Raises BadExport or
    VerificationError."""
    held = manifest_in(place)
    if held is None or held.checkpoint is None:
        raise BadExport(f"{place} is no export with a checkpoint")
    origins = Origins(held.origins)
    origins.require(verifier)
    checkpoint = origins.open(held.checkpoint)
    _Comparison(place, held, progress).run(checkpoint, origins)
    return checkpoint, origins, sum(segment.rows for segment in held.segments)


class _Comparison:
    """One pass over an export in order of positions, in constant memory."""

    def __init__(self, place: Path, held: Manifest, progress: Progress) -> None:
        self._place, self._held, self._progress = place, held, progress
        self._tree = CompactRange()
        self._hidden: dict[UUID, int] = {}
        """Persons masked as erased, with the first position."""
        self._erased, self._erased_lately = set[UUID](), set[UUID]()
        """Persons erased by sealed events, and by events not yet sealed."""

    def run(self, checkpoint: Checkpoint, origins: Origins) -> None:
        """Raise VerificationError where the export differs from what was signed."""
        for file in unexpected_files(self._place, self._held):
            raise VerificationError(f"{file.parent.name}/{file.name} is none of the export's files")
        parts = merge(self._rows(), self._absent(), key=attrgetter("start"))
        claims = sorted(origins.claims, key=attrgetter("size"))
        for claim in [*(each for each in claims if each.size < checkpoint.size), checkpoint]:
            while self._tree.size < claim.size:
                if (part := next(parts, None)) is None:
                    words = f"it ends at position {self._tree.size}, and was signed up to"
                    raise VerificationError(f"{words} {claim.size}")
                self._add(part)
                self._erased |= _erased_by(part)
            if (self._tree.size, self._tree.root) != (claim.size, claim.root):
                raise VerificationError(
                    f"the first {claim.size} events are not those that were signed"
                )
        for part in parts:
            if self._held.types is None:
                self._add(part)
            self._erased_lately |= _erased_by(part)
        self._require_erased()

    def _add(self, part: Part) -> None:
        if part.start > self._tree.size:
            raise VerificationError(f"position {self._tree.size + 1} is missing")
        if part.start < self._tree.size:
            raise VerificationError(f"position {part.start + 1} is there twice")
        try:
            self._tree.add(part.start, part.end, part.root)
        except ValueError:
            raise VerificationError(f"the proofs are none at position {part.start + 1}") from None

    def _require_erased(self) -> None:
        for person in sorted(self._hidden, key=lambda each: self._hidden[each]):
            position = self._hidden[person]
            words = f"position {position} hides words of {person} as erased, who"
            if person not in self._erased | self._erased_lately:
                raise VerificationError(f"{words} was not")
            if person not in self._erased:
                raise BadExport(f"{words} was so lately that it is not sealed yet: export again")

    def _absent(self) -> Iterator[Part]:
        for proof in self._held.proofs:
            file = proof_file(self._place, proof)
            if digest(file) != proof.sha256:
                raise VerificationError(f"{proof.file} is not the file that was written")
            for each in read_proofs(file):
                if self._held.types is None and each.end >= self._held.first:
                    raise VerificationError(
                        f"position {max(each.start + 1, self._held.first)} is missing"
                    )
                yield each

    def _rows(self) -> Iterator[Part]:
        last = self._held.first - 1
        for segment in self._held.segments:
            file, rows = self._place / segment.file, 0
            if segment.first != last + 1:
                raise VerificationError(f"position {last + 1} is missing")
            if digest(file) != segment.sha256:
                raise VerificationError(f"{segment.file} is not the file that was written")
            types = Comparison(self._place, segment)
            for row in rows_in(file, SCHEMA):
                line = self._require_derived(segment.file, row)
                types.require_same(row)
                if not segment.first <= line.position <= segment.last:
                    raise VerificationError(
                        f"{segment.file}: position {line.position} is none of its own"
                    )
                entry = line.leaf
                kept = entry if line.name == TOMBSTONE else None
                yield Part(line.position - 1, line.position, leaf_hash(entry), kept)
                rows += 1
                if rows % STEP == 0:
                    self._progress(line.position, self._held.last)
            types.require_whole()
            if rows != segment.rows:
                raise VerificationError(
                    f"{segment.file} has {rows} events instead of {segment.rows}"
                )
            last = segment.last

    def _require_derived(self, file: str, row: dict[str, Any]) -> Line:
        """The event in a row, from which all columns must follow. Raises VerificationError."""
        place = f"{file}: position {row['position']}"
        line = _line(file, row)
        try:
            persons = sorted(persons_in([line]))
            for erased in chain.from_iterable(
                combinations(persons, count) for count in range(len(persons) + 1)
            ):
                values = values_of(line, Reader(sees=False, keys=dict.fromkeys(erased), origin=""))
                right = dict(zip(SCHEMA.names, values, strict=True))
                if right == row:
                    for person in erased:
                        self._hidden.setdefault(person, line.position)
                    return line
        except (msgspec.MsgspecError, LookupError, ValueError, TypeError):
            raise VerificationError(f"{place}: its body is none of an event") from None
        wrong = ", ".join(name for name in SCHEMA.names if right[name] != row[name])
        raise VerificationError(f"{place}: {wrong} does not follow from its body")


def _line(file: str, row: dict[str, Any]) -> Line:
    try:
        at, body = row["recorded_at"].astimezone(UTC), row["body"].encode()
        return Line(row["position"], row["stream"], row["version"], row["name"], body, at)
    except (AttributeError, TypeError):
        raise VerificationError(f"{file} holds no events of an export") from None


def _erased_by(part: Part) -> set[UUID]:
    """The persons erased by an event."""
    if part.entry is None:
        return set()
    _, stream, _, name, _ = part.entry.split(b"\n", 5)[:5]
    return {UUID(stream.decode())} if name.decode() == TOMBSTONE else set()
