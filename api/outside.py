"""Checkpoints that are kept outside the database, in RIM_HOME/checkpoints.

`latest` is the last one, `2026-01-31` the last of a day, `key` what they are verified with.
"""

import contextlib
import os
import tempfile
from datetime import datetime
from pathlib import Path

from projections.signed_note import Checkpoint, Verifier

LATEST, KEY = "latest", "key"


class Outside:
    """The directory. Whoever may write to the database is better not allowed to write here."""

    def __init__(self, home: Path) -> None:
        self.place = home / "checkpoints"

    @property
    def verifier(self) -> Verifier | None:
        """What the notes here are verified with, if there are any. Raises Untrue."""
        text = self._read(KEY)
        return Verifier.of(text) if text else None

    @property
    def latest(self) -> str | None:
        """The last note."""
        return self._read(LATEST)

    def notes(self, verifier: Verifier) -> dict[int, str]:
        """Every note here, by the number of events it covers. Raises Untrue."""
        names = [LATEST, *sorted(each.name for each in self.place.glob("*-*-*"))]
        texts = [text for name in names if (text := self._read(name))]
        return {verifier.open(text).size: text for text in texts}

    def keep(self, note: str, said: Checkpoint, verifier: Verifier, now: datetime) -> None:
        """Keep a note, unless a later one is here; each file is there as a whole or not at all."""
        self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._read(KEY) is None:
            self._write(KEY, f"{verifier.key}\n")
        before = self._read(LATEST)
        if before is None or verifier.open(before).size < said.size:
            self._write(f"{now:%Y-%m-%d}", note)
            self._write(LATEST, note)

    def _read(self, name: str) -> str | None:
        with contextlib.suppress(FileNotFoundError):
            return (self.place / name).read_text()
        return None

    def _write(self, name: str, text: str) -> None:
        handle, new = tempfile.mkstemp(prefix="new-", dir=self.place)
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(handle)
        Path(new).replace(self.place / name)
        directory = os.open(self.place, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
