"""Standard output and standard error, which may be full, closed, or read by nobody any more.

Every command prints as if it always could: what cannot be written stops none of them and changes
nothing that it found out. At its end it says so, with an exit code of its own.
"""

import errno
import os
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO, cast

from api.config.database import OperatorError

OUTPUT_LOST: Final = 74
"""The exit code of a command that did what it should and could not say so (EX_IOERR)."""


class OutputLost(Exception):
    """What a command was asked to write cannot be written to standard output."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written to: {error.strerror or error}")


class Guarded:
    """A stream of text that takes every line, and knows why some were `lost`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        try:
            self._stream.write(text)
        except OSError as error:
            self.lost = error
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self.lost = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard() -> Guarded:
    """Guard both streams from here on; that of standard output."""
    for number in (0, 1, 2):
        _occupy(number)
    guarded = [Guarded(_stream(each)) for each in (sys.__stdout__, sys.__stderr__)]
    sys.stdout, sys.stderr = cast("list[TextIO]", guarded)
    return guarded[0]


def _occupy(number: int) -> None:
    """See to it that a descriptor which was closed is given to nothing else that we open."""
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # The lowest that is free, which is this one.


def _stream(stream: TextIO | None) -> TextIO:
    """A stream that writes each line at once, whatever characters it has."""
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - it stays open
    cast("Any", stream).reconfigure(line_buffering=True, errors="backslashreplace")
    return stream


def print_once(line: str) -> None:
    """Write what nobody can be told again to standard output, or where that does not take it, to
    standard error. Raises Unfit where neither does."""
    for stream in sorted(_streams(), key=_leads_nowhere):
        try:
            print(line, file=stream, flush=True)
        except OSError:
            continue
        return
    raise OperatorError("neither standard output nor standard error takes what is shown only once")


def _streams() -> Iterable[TextIO]:
    return [each for each in (sys.__stdout__, sys.__stderr__) if each is not None]


def _leads_nowhere(stream: TextIO) -> bool:
    return os.path.samestat(os.fstat(stream.fileno()), os.stat(os.devnull))  # noqa: PTH116


def code_of(output: Guarded, code: int) -> int:
    """The exit code of a command that ended with one, as its output may have been lost.

    A reader that has left needs no more. Whoever was to keep the output should know.
    """
    output.flush()
    if output.lost is None or output.lost.errno == errno.EPIPE or code == OUTPUT_LOST:
        return code
    print(f"rim-ledger: {OutputLost(output.lost)}", file=sys.stderr)  # noqa: T201
    return code or OUTPUT_LOST
