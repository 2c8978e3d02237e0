"""Checkpoints outside the database: RIM_HOME/checkpoints, one directory for each origin.

In each, `opening` is the note that opened the origin, `key` its public key, `latest` its last
checkpoint, `2026-01-31` the last of a day.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from projections.proofs.origins import OriginOpening, Origins
from projections.proofs.signed_note import Checkpoint, VerificationError
from rim_ledger.disk import sync
from rim_ledger.operator_error import OperatorError

OPENING, KEY, LATEST, DAYS = "opening", "key", "latest", "*-*-*"


class CheckpointFiles:
    """The directory; best not writable by the database's owner.

    Raises OperatorError where it cannot be read or written, or a note in it is not validly signed.
    """

    def __init__(self, home: Path) -> None:
        self.place = home / "checkpoints"

    def openings(self) -> list[OriginOpening]:
        """The openings of all origins in the directory."""
        with self._good():
            return self._openings()

    def last(self) -> list[Checkpoint]:
        """The last checkpoint of each origin in the directory."""
        with self._good():
            return [self._last(opening) for opening in self._openings()]

    def all(self) -> list[Checkpoint]:
        """All checkpoints in the directory."""
        found = dict[Checkpoint, None]()
        with self._good():
            for opening in self._openings():
                place = self._of(opening)
                names = [OPENING, LATEST, *_days(place)]
                texts = [text for name in names if (text := _read(place / name)) is not None]
                found |= dict.fromkeys(map(opening.verifier.open, texts))
        return list(found)

    def signed(self, origins: Origins) -> Checkpoint:
        """The last checkpoint here of the last of these origins that is here."""
        with self._good():
            return self._last(origins.openings[-1])

    def unknown(self, origins: Origins) -> OriginOpening | None:
        """The first origin of a log that is missing here although others of that log are here: no
        restore with access to this directory opened it."""
        known = {opening.verifier.origin for opening in self.openings()}
        lacking = [each for each in origins.openings if each.verifier.origin not in known]
        return lacking[0] if known and lacking else None

    def know(self, origins: Origins) -> None:
        """Store the opening of each origin of a log."""
        with self._good():
            for opening in origins.openings:
                place = self._of(opening)
                if not (place / OPENING).exists():
                    self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
                    place.mkdir(mode=0o700, exist_ok=True)
                    write_whole(place / KEY, f"{opening.verifier.key}\n")
                    write_whole(place / OPENING, opening.note)

    def keep(self, note: str, origins: Origins, now: datetime) -> None:
        """Store a note of the last origin, unless a later one is here. Raises VerificationError."""
        self.know(origins)
        opening = origins.openings[-1]
        claim = opening.verifier.open(note)
        with self._good():
            if _order(self._last(opening)) < _order(claim):
                place = self._of(opening)
                day = claim.day[0] if claim.day else f"{now:%Y-%m-%d}"
                # A clock set back overwrites no older day.
                write_whole(place / max([day, *_days(place)]), note)
                write_whole(place / LATEST, note)

    def faults(self) -> Iterator[str]:
        """Yield missing checkpoints: each names the last one of an earlier day, which must be here
        as well if the origin signed it."""
        with self._good():
            for opening in self._openings():
                place, first = self._of(opening), opening.checkpoint.number or 0
                found = {name: opening.verifier.open(text) for name, text in _texts(place)}
                numbers = {first, *(each.number for each in found.values())}
                for name, claim in found.items():
                    date, before = claim.day or (name, 0)
                    if date != name != LATEST:
                        yield f"{place / name} holds a checkpoint of {date}"
                    if date not in found:
                        yield f"{place / date} is missing"
                    if before > first and before not in numbers:
                        words = f"the last checkpoint before {date}, number {before}, is missing"
                        yield f"{place}: {words}"

    def _openings(self) -> list[OriginOpening]:
        if not self.place.exists():
            return []
        found = list[OriginOpening]()
        for place in sorted(each for each in self.place.iterdir() if each.is_dir()):
            if (text := _read(place / OPENING)) is not None:
                opening = OriginOpening.of(text)
                if self._of(opening) != place:
                    raise VerificationError(
                        f"{place.name} holds what {opening.verifier.origin} signed"
                    )
                found.append(opening)
            elif (place / LATEST).exists() or _days(place):
                raise VerificationError(f"{place.name} lacks the file {OPENING}")
            # Otherwise the process stopped while creating it: nothing was signed yet.
        return found

    def _last(self, opening: OriginOpening) -> Checkpoint:
        place = self._of(opening)
        for name in (LATEST, *_days(place)[-1:]):
            if (text := _read(place / name)) is not None:
                return opening.verifier.open(text)
        return opening.checkpoint

    def _of(self, opening: OriginOpening) -> Path:
        return self.place / opening.verifier.origin.rpartition("/")[2]

    @contextlib.contextmanager
    def _good(self) -> Iterator[None]:
        try:
            yield
        except (VerificationError, OSError) as error:
            raise OperatorError(
                f"{self.place} is no good: {error}. Bring a copy of it back; to begin anew on"
                " purpose, move it away"
            ) from None


def _days(place: Path) -> list[str]:
    return sorted(each.name for each in place.glob(DAYS))


def _order(claim: Checkpoint) -> tuple[int, int]:
    """Sort key of checkpoints; those without a number (of earlier versions) come first."""
    return claim.number or 0, claim.size


def _texts(place: Path) -> Iterator[tuple[str, str]]:
    """The (file name, note) pairs in a directory, but for its opening."""
    for name in (*_days(place), LATEST):
        if (text := _read(place / name)) is not None:
            yield name, text


def _read(path: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        return path.read_bytes().decode(errors="replace")
    return None


def write_whole(path: Path, text: str) -> None:
    """Write a file atomically."""
    handle, new = tempfile.mkstemp(prefix="new-", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(text.encode())
    sync(Path(new))
    Path(new).replace(path)
    sync(path.parent)
