"""Transcodes a text file in a body to UTF-8."""

import codecs
from collections.abc import AsyncIterator, Mapping
from typing import Final

from api.http.body import Chunks, Receive
from api.http.content_type import OF_TEXT, require_media_type
from api.http.problem import WrongType

WRONG: Final = b"\xff"
"""Replaces undecodable characters: a byte that is invalid in UTF-8."""
MARKS: Final = {
    codecs.BOM_UTF32_LE: None,  # Before UTF-16, whose mark is a prefix of this one.
    codecs.BOM_UTF32_BE: None,
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
"""Byte order marks with their codecs; None for unsupported ones."""
MARK_MAX: Final = max(map(len, MARKS))

codecs.register_error("rim-ledger.wrong", lambda error: ("\udcff", error.end))  # type: ignore[attr-defined]


class TextFile:
    """The chunks of a file in UTF-8. Undecodable characters become WRONG, so that only their line
    is invalid.

    The encoding is that of a byte order mark, else the named charset, else UTF-8. UTF-8's mark is
    dropped unless kept. Raises WrongType for another media type or charset.
    """

    def __init__(
        self,
        receive: Receive,
        headers: Mapping[bytes, bytes],
        media_type: bytes,
        *,
        seconds: float | None = None,
        keep_mark: bool = False,
    ) -> None:
        self._named = require_media_type(headers, media_type, OF_TEXT)
        self._chunks, self._keep_mark = Chunks(receive, headers, seconds), keep_mark

    async def __aiter__(self) -> AsyncIterator[bytes]:
        head = b""
        async for chunk in self._chunks:
            head += chunk
            if len(head) >= MARK_MAX:
                break
        mark = next((each for each in MARKS if head.startswith(each)), b"")
        decoder = codecs.getincrementaldecoder(self._charset(mark, head))("rim-ledger.wrong")
        yield mark if self._keep_mark and mark == codecs.BOM_UTF8 else b""
        yield _in_utf_8(decoder.decode(head.removeprefix(mark)))
        async for chunk in self._chunks:
            yield _in_utf_8(decoder.decode(chunk))
        yield _in_utf_8(decoder.decode(b"", final=True))

    def _charset(self, mark: bytes, head: bytes) -> str:
        """Python's codec for a file that begins so."""
        if mark:
            if (marked := MARKS[mark]) is None:
                words = "A file in UTF-32 is not taken. Write it in UTF-8 or UTF-16."
                raise WrongType("unsupported-media-type", words)
            return marked
        if self._named == "utf-16":  # These files begin in ASCII, which reveals the byte order.
            return "utf-16-be" if head.startswith(b"\0") else "utf-16-le"
        return self._named or "utf-8"


def _in_utf_8(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
