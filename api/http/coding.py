"""Undoes the Content-Encoding of a body: gzip, within bounds."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Final

from api.http.problem import Malformed, TooLarge, WrongType

PIECE_MAX: Final = 64 * 1024
"""Bytes that are unpacked at once."""
FREE_MAX: Final = 16 * 1024 * 1024
"""Bytes that any gzip body may unpack to."""
RATIO_MAX: Final = 100
"""Times its own size that a larger one may unpack to: what is no attack stays far below."""
GZIP_WINDOW: Final = 31
"""What tells zlib to expect the header and the checksum of gzip."""

GZIP: Final = frozenset({"gzip", "x-gzip"})


def is_gzip(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body is packed. Raises WrongType for any coding but one gzip."""
    said = headers.get(b"content-encoding", b"").decode("latin-1").lower().split(",")
    codings = [each for word in said if (each := word.strip()) not in ("", "identity")]
    if len(codings) > 1 or not GZIP.issuperset(codings):
        words = "A body is taken as it is, or with Content-Encoding: gzip once. Send it like that."
        raise WrongType("unsupported-content-encoding", words)
    return bool(codings)


class Gunzip:
    """Unpacks a gzip body as it comes. Never more than a piece of it is in memory here.

    Raises Malformed for what is not gzip, or ends too early; TooLarge for what unpacks to far more
    than its own size.
    """

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(GZIP_WINDOW)
        self._packed = self._unpacked = 0

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes of the body unpack to, piece by piece. Take all of it."""
        self._packed += len(data)
        full = False
        while data or full:
            if self._inflate.eof:  # A gzip file is one member or several.
                self._inflate = zlib.decompressobj(GZIP_WINDOW)
            try:
                piece = self._inflate.decompress(data, PIECE_MAX)
            except zlib.error:
                raise _malformed() from None
            full = len(piece) == PIECE_MAX and not self._inflate.eof
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            self._unpacked += len(piece)
            if self._unpacked > max(FREE_MAX, RATIO_MAX * self._packed):
                words = f"A gzip body unpacks to {RATIO_MAX} times its size at most."
                raise TooLarge("body-too-large", f"{words} Send it as it is, or in parts.")
            yield piece

    def end(self) -> None:
        """The body is over. An empty one is no gzip, and nothing was said either."""
        if self._packed and not self._inflate.eof:
            raise _malformed()


def _malformed() -> Malformed:
    words = "The body is not gzip, as its Content-Encoding says, or ends too early."
    return Malformed("malformed-encoding", words)
