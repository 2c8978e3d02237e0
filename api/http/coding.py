"""Decompresses gzip bodies (Content-Encoding), with limits."""

import zlib
from collections.abc import Iterator, Mapping
from typing import Final

from api.http.problem import Malformed, TooLarge, WrongType

PIECE_MAX: Final = 64 * 1024
"""Bytes decompressed at once."""
FREE_MAX: Final = 16 * 1024 * 1024
"""Bytes that any gzip body may decompress to."""
RATIO_MAX: Final = 100
"""Maximum ratio above FREE_MAX; honest content stays far below."""
GZIP_WINDOW: Final = 31
"""zlib's window bits for gzip header and checksum."""

GZIP: Final = frozenset({"gzip", "x-gzip"})


def is_gzip(headers: Mapping[bytes, bytes]) -> bool:
    """True for a gzip body. Raises WrongType for any coding but a single gzip."""
    names = headers.get(b"content-encoding", b"").decode("latin-1").lower().split(",")
    codings = [each for word in names if (each := word.strip()) not in ("", "identity")]
    if len(codings) > 1 or not GZIP.issuperset(codings):
        words = "A body is taken as it is, or with Content-Encoding: gzip once. Send it like that."
        raise WrongType("unsupported-content-encoding", words)
    return bool(codings)


class Gunzip:
    """Decompresses gzip incrementally, with one piece in memory at most.

    Raises Malformed for invalid or truncated gzip, TooLarge for a decompression bomb.
    """

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(GZIP_WINDOW)
        self._packed = self._unpacked = 0

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed pieces of the next bytes; must be exhausted."""
        self._packed += len(data)
        full = False
        while data or full:
            if self._inflate.eof:  # A gzip file has one or more members.
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
        """Check that the body is complete. An empty body is no gzip."""
        if self._packed and not self._inflate.eof:
            raise _malformed()


def _malformed() -> Malformed:
    words = "The body is not gzip, as its Content-Encoding says, or ends too early."
    return Malformed("malformed-encoding", words)
