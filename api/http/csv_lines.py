"""Reads a statement in CSV line by line, with limits; every line gives a result."""

import csv
import re
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from io import TextIOWrapper
from tempfile import SpooledTemporaryFile
from typing import Final

from msgspec import Struct
from pydantic import ValidationError

from api.http.problem import TooLarge, WrongType
from api.http.text import WRONG
from rim_ledger.engine.refusals import Invalid
from rim_ledger.payments.claim_names import reference_claim
from rim_ledger.payments.statement import Finding, LineOutcome
from rim_ledger.payments.statement_matching import StatementLine

LINES_MAX: Final = 100_000
BYTES_MAX: Final = 32 * 1024 * 1024
"""Maximum bytes of a file in UTF-8."""
LINE_MAX: Final = 64 * 1024
"""Maximum bytes of one line."""
MEMORY_MAX: Final = 1024 * 1024
"""Bytes kept in memory; a larger file goes to an unnamed temporary file."""
FIELDS: Final = ("date", "reference", "amount", "provider", "narration")
LINE_END: Final = re.compile(rb"\r\n?|\n")
GOES_ON: Final = "A quote that is opened here or above is not closed in its line."


class Upload(Struct, frozen=True):
    """A complete file, deleted when closed, and the hash of its UTF-8 bytes."""

    text: TextIOWrapper
    sha256: str


class _Bounds:
    """Checks lines, bytes and characters of a file as it arrives. Raises TooLarge or WrongType."""

    def __init__(self) -> None:
        self._lines = self._length = self._size = 0
        self._after_return = False

    def take(self, chunk: bytes) -> None:
        if WRONG in chunk:
            words = "The file is not in UTF-8, or not in the charset that it names."
            more = "Name the right one, such as Content-Type: text/csv; charset=windows-1252."
            raise WrongType("unsupported-media-type", f"{words} {more}")
        if not chunk:
            return
        self._size += len(chunk)
        if self._size > BYTES_MAX:
            raise TooLarge("statement-too-large", f"A statement has at most {BYTES_MAX} bytes.")
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]  # The second half of a CRLF, already counted.
        self._after_return = chunk.endswith(b"\r")
        for number, piece in enumerate(LINE_END.split(chunk)):
            self._lines += number > 0
            self._length = len(piece) + (self._length if number == 0 else 0)
            self._require()

    def end(self) -> None:
        """The end of the file; its last line needs no line end."""
        self._lines += self._length > 0
        self._require()

    def _require(self) -> None:
        if self._lines - 1 > LINES_MAX:  # The header counts too.
            raise TooLarge("too-many-lines", f"A statement has at most {LINES_MAX} lines.")
        if self._length > LINE_MAX:
            raise TooLarge("line-too-long", f"A line has at most {LINE_MAX} bytes.")


async def receive_file(pieces: AsyncIterable[bytes]) -> Upload:
    """Receive a body into a temporary file. Raises TooLarge or WrongType as early as possible."""
    file = SpooledTemporaryFile[bytes](MEMORY_MAX)
    try:
        digest, bounds = sha256(), _Bounds()
        async for piece in pieces:
            bounds.take(piece)
            digest.update(piece)
            file.write(piece)
        bounds.end()
        file.seek(0)
        return Upload(TextIOWrapper(file, "utf-8-sig", newline=""), digest.hexdigest())
    except BaseException:
        file.close()
        raise


def read_lines(text: Iterable[str]) -> Iterator[StatementLine | Finding]:
    """Yield for every line below the header a payment or a finding; blank lines are skipped.

    A record is one line: every line of a quoted field that spans lines is invalid. So a stray quote
    hides no payment, and quoted text becomes none. Raises Invalid for a wrong header.
    """
    lines = iter(text)
    return _lines(lines, _header(next(lines, "")))


def _lines(lines: Iterator[str], names: Sequence[str]) -> Iterator[StatementLine | Finding]:
    seen: dict[tuple[str, str], int] = {}
    number, quoted = 1, False
    for line in lines:
        was, quoted = quoted, _is_quote_open(line, quoted=quoted)
        if not line.replace(",", "").strip():
            continue
        found: StatementLine | Finding | str | None = GOES_ON
        if not (was or quoted):
            found = _read(number, line, names, seen)
        if found is None:
            continue
        if isinstance(found, str):
            found = Finding(line=number, outcome=LineOutcome.INVALID, reason=found)
        yield found
        number += 1


def _is_quote_open(line: str, *, quoted: bool) -> bool:
    """True if a quoted field is open at the end of a line; `quoted` says whether one is at its
    start.

    The CSV reader decides: it asks for another line.
    """
    if not (quoted or '"' in line):
        return False
    asked = False

    def one() -> Iterator[str]:
        nonlocal asked
        yield f'"{line}' if quoted else line
        asked = True

    next(csv.reader(one()), None)
    return asked


def _read(
    number: int, line: str, names: Sequence[str], seen: dict[tuple[str, str], int]
) -> StatementLine | Finding | str | None:
    """Parse a line: a payment or the fault; None for empty fields."""
    try:
        (values,) = csv.reader([line], strict=True)
    except csv.Error as error:
        return f"This is not CSV: {error}."
    values = [value.strip() for value in values]
    if not any(values):
        return None
    if len(values) != len(names):
        return f"This line has {len(values)} fields instead of {len(names)}."
    return _line(number, dict(zip(names, values, strict=True)), seen)


def _header(line: str) -> list[str]:
    try:
        names = [name.strip().lower() for name in next(csv.reader([line], strict=True), [])]
    except csv.Error:
        names = []
    if sorted(names) != sorted(FIELDS):
        words = f"The first line names the fields: {','.join(FIELDS)}."
        raise Invalid("invalid-header", words, "/0")
    return names


def _line(
    number: int, fields: Mapping[str, str], seen: dict[tuple[str, str], int]
) -> StatementLine | Finding | str:
    """Validate the fields of a line that no earlier line repeats; faults do not quote the line."""
    values = {name: fields[name] for name in FIELDS if name != "narration"}
    try:
        line = StatementLine.model_validate({"line": number, **values})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{first['loc'][0]}: {first['msg']}"
    earlier = seen.setdefault(reference_claim(line.provider, line.reference), number)
    if earlier == number:
        return line
    reason = f"Line {earlier} has the same provider and reference."
    return line.found(LineOutcome.DUPLICATE, reason=reason)
