"""Receives one file of a multipart form into a temporary file."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from api.http.body import Chunks, Receive
from api.http.content_type import require_media_type
from api.http.problem import Malformed, TooLarge, WrongType
from rim_ledger.engine.refusals import Invalid

FILE_MAX: Final = 10 * 1024 * 1024
FORM_MAX: Final = FILE_MAX + 64 * 1024
"""Maximum bytes of the form."""
IN_MEMORY: Final = MultiPartParser.spool_max_size
"""Bytes of a file kept in memory; a larger one goes to disk."""
MEDIA_TYPE: Final = b"multipart/form-data"
CODINGS: Final = ("content-encoding", "content-transfer-encoding")
PLAIN: Final = ("", "identity", "binary", "8bit", "7bit")
"""Content-Transfer-Encodings of unencoded parts (RFC 7578 allows no other)."""


class _Form(MultiPartParser):
    """Starlette's parser; `whole` once it has come to the end of the form."""

    whole = False

    def on_end(self) -> None:
        self.whole = True


@asynccontextmanager
async def one_file(receive: Receive, headers: Mapping[bytes, bytes]) -> AsyncIterator[UploadFile]:
    """Read a form with one file and nothing else; the file is closed at the end of the block.
    Raises WrongType, TooLarge, Malformed or Invalid."""
    require_media_type(headers, MEDIA_TYPE)
    _, parameters = parse_options_header(headers.get(b"content-type", b""))
    length = headers.get(b"content-length", b"0")
    if not 1 <= len(parameters.get(b"boundary", b"")) <= 70:
        raise _malformed()
    if length.isdigit() and int(length) > FORM_MAX:
        raise _too_large()

    async def bounded() -> AsyncGenerator[bytes, None]:
        received = 0
        async for part in Chunks(receive, headers):
            received += len(part)
            if received > FORM_MAX:
                raise _too_large()
            yield part
        if not form.whole:
            raise _malformed()

    form = _Form(Headers(raw=[*headers.items()]), bounded(), max_files=1, max_fields=0)
    try:
        found = await form.parse()
    except MultiPartException as error:
        raise (_no_file() if error.message.startswith("Too many") else _malformed()) from None
    try:
        yield _good(*(each for _, each in found.multi_items() if isinstance(each, UploadFile)))
    finally:
        await found.close()


def _good(*files: UploadFile) -> UploadFile:
    if not files or not files[0].size:
        raise _no_file()
    if files[0].size > FILE_MAX:
        raise _too_large()
    if any(files[0].headers.get(name, "").strip().lower() not in PLAIN for name in CODINGS):
        words = "A file stands in its form as it is. Pack the whole body, if you want to."
        raise WrongType("unsupported-content-encoding", words)
    return files[0]


def _no_file() -> Invalid:
    words = "A form has one file, which is not empty, and nothing else."
    return Invalid("no-file", words, "file")


def _too_large() -> TooLarge:
    return TooLarge("attachment-too-large", f"A file has at most {FILE_MAX} bytes.")


def _malformed() -> Malformed:
    return Malformed("malformed-multipart", "The body is no form, or ends too early.")
