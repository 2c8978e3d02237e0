"""Receives one file of a multipart form into a temporary file."""

import hashlib
import tempfile
from collections.abc import Mapping
from typing import BinaryIO, Final, Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.http.body import Chunks, Receive
from api.http.content_type import require_media_type
from api.http.problem import Malformed, TooLarge, WrongType
from rim_ledger.engine.refusals import Invalid

FILE_MAX: Final = 10 * 1024 * 1024
FORM_MAX: Final = FILE_MAX + 64 * 1024
"""Maximum bytes of the form."""
IN_MEMORY: Final = 1024 * 1024
"""Bytes of a file kept in memory; a larger one goes to disk."""
MEDIA_TYPE: Final = b"multipart/form-data"
CODINGS: Final = (b"content-encoding", b"content-transfer-encoding")
PLAIN: Final = frozenset({b"identity", b"binary", b"8bit", b"7bit"})
"""Content-Transfer-Encodings of unencoded parts (RFC 7578 allows no other)."""


class Upload:
    """The file of a form: content, size, hash and given name."""

    def __init__(self) -> None:
        # Closed by the upload's own context.
        self.file: BinaryIO = tempfile.SpooledTemporaryFile(IN_MEMORY)  # type: ignore[assignment] # noqa: SIM115
        self.size, self.name = 0, ""
        self._hash = hashlib.sha256()
        self._files, self._whole = 0, False
        self._header, self._value, self._within = b"", b"", False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    async def receive(self, receive: Receive, headers: Mapping[bytes, bytes]) -> None:
        """Read the whole form. Raises WrongType, TooLarge, Malformed or Invalid."""
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > FORM_MAX:
            raise _too_large()
        parser = MultipartParser(
            _boundary(headers),
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name_header,
                "on_header_value": self._say_header,
                "on_header_end": self._end_header,
                "on_part_data": self._take,
                "on_end": self._end,
            },
        )
        received = 0
        async for part in Chunks(receive, headers):
            received += len(part)
            if received > FORM_MAX:
                raise _too_large()
            try:
                parser.write(part)
            except FormParserError:
                raise _malformed() from None
        if not self._whole:
            raise _malformed()
        if self._files != 1 or not self.size:
            raise _no_file()

    def _begin(self) -> None:
        self._within, self._header, self._value = False, b"", b""

    def _name_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _say_header(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, parameters = parse_options_header(self._value)
            self._within = b"filename" in parameters
            self._files += 1 if self._within else 2  # any other field counts as one too many
            if self._files > 1:  # Stop early: a form of many parts would take long to read.
                raise _no_file()
            self.name = parameters.get(b"filename", b"").decode("utf-8", "replace")
        elif self._header.lower() in CODINGS and self._value.strip().lower() not in PLAIN:
            words = "A file stands in its form as it is. Pack the whole body, if you want to."
            raise WrongType("unsupported-content-encoding", words)
        self._header, self._value = b"", b""

    def _take(self, data: bytes, start: int, end: int) -> None:
        self.size += end - start
        if self.size > FILE_MAX:
            raise _too_large()
        if self._within:
            self._hash.update(data[start:end])
            self.file.write(data[start:end])

    def _end(self) -> None:
        self._whole = True


def _boundary(headers: Mapping[bytes, bytes]) -> bytes:
    require_media_type(headers, MEDIA_TYPE)
    _, parameters = parse_options_header(headers.get(b"content-type", b""))
    boundary: bytes = parameters.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise _malformed()
    return boundary


def _no_file() -> Invalid:
    words = "A form has one file, which is not empty, and nothing else."
    return Invalid("no-file", words, "file")


def _too_large() -> TooLarge:
    return TooLarge("attachment-too-large", f"A file has at most {FILE_MAX} bytes.")


def _malformed() -> Malformed:
    return Malformed("malformed-multipart", "The body is no form, or ends too early.")
