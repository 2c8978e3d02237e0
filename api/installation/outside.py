"""Checkpoints that are kept outside the database: RIM_HOME/checkpoints, a directory an origin.

In each, `opening` is the note that opened the origin, `key` what its notes are verified with,
`latest` the last one, `2026-01-31` the last of a day.
"""

import contextlib
import os
import tempfile
from datetime import datetime
from pathlib import Path

from projections.origins import Opening, Origins
from projections.signed_note import Checkpoint

OPENING, KEY, LATEST, DAYS = "opening", "key", "latest", "*-*-*"


class Outside:
    """The directory. Whoever may write to the database is better not allowed to write here."""

    def __init__(self, home: Path) -> None:
        self.place = home / "checkpoints"

    def last(self) -> list[Checkpoint]:
        """The last checkpoint of each origin that is known here. Raises Untrue."""
        return [self._last(opening) for opening in self._openings()]

    def all(self) -> list[Checkpoint]:
        """Every checkpoint here. Raises Untrue."""
        found = dict[Checkpoint, None]()
        for opening in self._openings():
            place = self._of(opening)
            names = [OPENING, LATEST, *sorted(each.name for each in place.glob(DAYS))]
            texts = (text for name in names if (text := _read(place / name)))
            found |= dict.fromkeys(map(opening.verifier.open, texts))
        return list(found)

    def know(self, origins: Origins) -> None:
        """Keep how each origin of a log was opened."""
        for opening in origins.openings:
            place = self._of(opening)
            if not (place / OPENING).exists():
                self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
                place.mkdir(mode=0o700, exist_ok=True)
                _write(place / KEY, f"{opening.verifier.key}\n")
                _write(place / OPENING, opening.note)

    def signed(self, origins: Origins) -> Checkpoint:
        """The last checkpoint here of the last origin. Raises Untrue."""
        return self._last(origins.openings[-1])

    def keep(self, note: str, origins: Origins, now: datetime) -> None:
        """Keep a note of the last origin, unless a later one is here."""
        self.know(origins)
        opening = origins.openings[-1]
        if self._last(opening).size < opening.verifier.open(note).size:
            place = self._of(opening)
            _write(place / f"{now:%Y-%m-%d}", note)
            _write(place / LATEST, note)

    def _openings(self) -> list[Opening]:
        texts = (_read(each) for each in sorted(self.place.glob(f"*/{OPENING}")))
        return [Opening.of(text) for text in texts if text]

    def _last(self, opening: Opening) -> Checkpoint:
        text = _read(self._of(opening) / LATEST)
        return opening.verifier.open(text) if text else opening.checkpoint

    def _of(self, opening: Opening) -> Path:
        """The directory of an origin, named after it."""
        return self.place / opening.verifier.origin.rpartition("/")[2]


def _read(path: Path) -> str | None:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return None


def _write(path: Path, text: str) -> None:
    """The file is there as a whole or not at all."""
    handle, new = tempfile.mkstemp(prefix="new-", dir=path.parent)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    Path(new).replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
