"""Reads a statement in CSV line by line: bounded, and no line is lost."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from io import TextIOWrapper
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from pydantic import ValidationError

from api.wire.body import Chunks, Receive
from api.wire.problem import TooLarge
from rim_ledger.core import Invalid
from rim_ledger.payments.payment import reference_claim
from rim_ledger.payments.settling import StatementLine
from rim_ledger.payments.statement import Finding, LineOutcome

if TYPE_CHECKING:
    from _csv import Reader

LINES_MAX: Final = 100_000
LINE_MAX: Final = 64 * 1024
"""Bytes of one line."""
MEMORY_MAX: Final = 1024 * 1024
"""Bytes of a file that are kept in memory; a longer one waits on the disk, without a name."""
FIELDS: Final = ("date", "reference", "amount", "provider", "narration")


class Upload(Struct, frozen=True):
    """A whole file, gone once it is closed, and the hash of its bytes."""

    text: TextIOWrapper
    sha256: str


async def receive_file(receive: Receive) -> Upload:
    """The file in a body, set aside. Raises TooLarge as soon as it is known to be."""
    file = SpooledTemporaryFile[bytes](MEMORY_MAX)
    try:
        digest, lines, length = sha256(), 0, 0
        async for chunk in Chunks(receive):
            for number, piece in enumerate(chunk.split(b"\n")):
                lines += number > 0
                length = len(piece) + (length if number == 0 else 0)
                _require_bounded(lines, length)
            digest.update(chunk)
            file.write(chunk)
        _require_bounded(lines + (length > 0), length)  # The last line needs no end.
        file.seek(0)
        text = TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")
        return Upload(text, digest.hexdigest())
    except BaseException:
        file.close()
        raise


def _require_bounded(lines: int, length: int) -> None:
    """`lines` counts the header too."""
    if lines - 1 > LINES_MAX:
        raise TooLarge("too-many-lines", f"A statement has at most {LINES_MAX} lines.")
    if length > LINE_MAX:
        raise TooLarge("line-too-long", f"A line has at most {LINE_MAX} bytes.")


def read_lines(text: Iterable[str]) -> Iterator[StatementLine | Finding]:
    """Every line below the header: a payment to be looked for, or what is wrong with it.

    Raises Invalid when the header is not as it should be. A quote that is never closed makes
    every line that it swallows an invalid one.
    """
    reader = csv.reader(text, strict=True)
    return _lines(reader, _header(reader))


def _lines(reader: "Reader", names: list[str]) -> Iterator[StatementLine | Finding]:
    seen: dict[tuple[str, str], int] = {}
    number = 1
    while True:
        begins = reader.line_num
        try:
            read: Mapping[str, str] | str = _fields(names, next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            read = f"This is not CSV: {error}."
        if not read:
            continue
        found = _line(number, read, seen) if isinstance(read, Mapping) else read
        if not isinstance(found, str):
            yield found
            number += 1
            continue
        for _ in range(reader.line_num - begins):
            yield Finding(line=number, outcome=LineOutcome.INVALID, reason=found)
            number += 1


def _header(reader: "Reader") -> list[str]:
    try:
        names = [name.strip().lower() for name in next(reader, [])]
    except csv.Error:
        names = []
    if sorted(names) != sorted(FIELDS):
        words = f"The first line names the fields: {','.join(FIELDS)}."
        raise Invalid("invalid-header", words, "/0")
    return names


def _fields(names: list[str], values: list[str]) -> Mapping[str, str] | str:
    if values and len(values) != len(names):
        return f"This line has {len(values)} fields instead of {len(names)}."
    return {name: value.strip() for name, value in zip(names, values, strict=False)}


def _line(
    number: int, fields: Mapping[str, str], seen: dict[tuple[str, str], int]
) -> StatementLine | Finding | str:
    """The payment in a line, unless an earlier line has it; or what is wrong, not repeating it."""
    said = {name: fields[name] for name in FIELDS if name != "narration"}
    try:
        line = StatementLine.model_validate({"line": number, **said})
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return f"{first['loc'][0]}: {first['msg']}"
    earlier = seen.setdefault(reference_claim(line.provider, line.reference), number)
    if earlier == number:
        return line
    reason = f"Line {earlier} has the same provider and reference."
    return line.found(LineOutcome.DUPLICATE, reason=reason)
