"""Standard output and standard error that may be full, closed or a broken pipe.

Commands print without handling write errors: those neither stop a command nor change its result,
and are reported at its end by an exit code of their own.
"""

import errno
import os
import sys
from typing import Any, TextIO, cast

from rim_ledger.operator_error import OperatorError


class OutputLost(OperatorError):
    """A command's result cannot be written to standard output."""

    exit_code = 74  # EX_IOERR

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written to: {error.strerror or error}")


class Guarded:
    """A text stream that accepts every line, and keeps the first error as `lost`."""

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
    """Guard both streams from here on; gives standard output."""
    for number in (0, 1, 2):
        _occupy(number)
    guarded = [Guarded(_stream(each)) for each in (sys.__stdout__, sys.__stderr__)]
    sys.stdout, sys.stderr = cast("list[TextIO]", guarded)
    return guarded[0]


def _occupy(number: int) -> None:
    """Keep a closed descriptor from being reused for a file that we open."""
    try:
        os.fstat(number)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # Gets the lowest free number, which is this one.


def _stream(stream: TextIO | None) -> TextIO:
    """A line-buffered stream that escapes characters it cannot encode."""
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - it stays open
    cast("Any", stream).reconfigure(line_buffering=True, errors="backslashreplace")
    return stream


def print_once(line: str) -> None:
    """Write what cannot be shown again to standard output, else to standard error. Raises
    OperatorError if both fail."""
    streams = [each for each in (sys.__stdout__, sys.__stderr__) if each is not None]
    for stream in sorted(streams, key=_leads_nowhere):
        try:
            print(line, file=stream, flush=True)
        except OSError:
            continue
        return
    raise OperatorError("neither standard output nor standard error takes what is shown only once")


def _leads_nowhere(stream: TextIO) -> bool:
    return os.path.samestat(os.fstat(stream.fileno()), os.stat(os.devnull))  # noqa: PTH116


def code_of(output: Guarded, code: int) -> int:
    """The exit code of a command, given that its output may have been lost.

    A broken pipe is no error, as the reader needs no more; a failed write to a file is one.
    """
    output.flush()
    if output.lost is None or output.lost.errno == errno.EPIPE or code == OutputLost.exit_code:
        return code
    print(f"rim-ledger: {OutputLost(output.lost)}", file=sys.stderr)  # noqa: T201
    return code or OutputLost.exit_code
