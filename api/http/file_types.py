"""Detects a file's type by name and content, which must agree."""

import codecs
import re
import struct
import unicodedata
from collections.abc import Callable, Mapping
from typing import BinaryIO, Final

from api.http.problem import WrongType
from rim_ledger.engine.refusals import Invalid
from rim_ledger.text import plain

NAME_MAX: Final = 255
PIXELS_MAX: Final = 40_000_000
"""Maximum pixels of an image, as a few bytes can declare any number."""
SIDE_MAX: Final = 30_000
MARKERS_MAX: Final = 10_000
"""Maximum JPEG markers before the one with the size."""
PART: Final = 64 * 1024

MARKUP: Final = re.compile(rb"\s*<(!doctype|!--|html|head|body|script|svg|\?xml)", re.IGNORECASE)
CONTROL: Final = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
UNSAFE: Final = re.compile(r'["*:<>?|]')
SIZED: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG markers that carry the size (SOF)."""

Size = tuple[int, int]


def safe_name(given: str) -> str:
    """The last part of a path as a plain file name, without control characters."""
    whole = unicodedata.normalize("NFC", given.encode("utf-8", "replace").decode())
    name = UNSAFE.sub("", plain(re.split(r"[/\\]", whole)[-1])).strip(" .")
    while len(name.encode()) > NAME_MAX:
        stem, dot, ending = name.rpartition(".")
        name = stem[:-1] + dot + ending if stem else ending[:-1]
    return name


def media_type(name: str, file: BinaryIO) -> str:
    """The media type of an accepted file. Raises WrongType if it is not accepted or content and
    name disagree, Invalid for an image that is too large."""
    ending = name.rpartition(".")[2].lower() if "." in name else ""
    if ending not in TYPES:
        words = f"Files are taken as {', '.join(TYPES)}."
        raise WrongType("unsupported-attachment", words)
    kind, look = TYPES[ending]
    file.seek(0)
    try:
        size = look(file)
    except (struct.error, ValueError):
        words = f"The file is not what its name says: it is no .{ending} file."
        raise WrongType("unsupported-attachment", words) from None
    if size and (size[0] * size[1] > PIXELS_MAX or max(size) > SIDE_MAX):
        most = f"An image has at most {PIXELS_MAX:,} pixels, and {SIDE_MAX:,} in a row or column."
        raise Invalid("image-too-large", most, "file")
    return kind


def _png(file: BinaryIO) -> Size:
    _require(file.read(8) == b"\x89PNG\r\n\x1a\n")
    _require(file.read(8)[4:] == b"IHDR")
    width, height = struct.unpack(">II", file.read(8))
    return width, height


def _gif(file: BinaryIO) -> Size:
    _require(file.read(6) in (b"GIF87a", b"GIF89a"))
    width, height = struct.unpack("<HH", file.read(4))
    return width, height


def _webp(file: BinaryIO) -> Size:
    head = file.read(30)
    _require(head[:4] == b"RIFF" and head[8:12] == b"WEBP" and len(head) == 30)
    match head[12:16]:
        case b"VP8 ":
            width, height = struct.unpack("<HH", head[26:30])
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            bits = int.from_bytes(head[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            sides = head[24:27], head[27:30]
            width, height = (int.from_bytes(side, "little") + 1 for side in sides)
            return width, height
    raise ValueError


def _jpeg(file: BinaryIO) -> Size:
    _require(file.read(2) == b"\xff\xd8")
    for _ in range(MARKERS_MAX):
        mark, marker = struct.unpack("BB", file.read(2))
        _require(mark == 0xFF)
        if marker == 0xFF:  # Padding.
            file.seek(-1, 1)
            continue
        (length,) = struct.unpack(">H", file.read(2))
        _require(length >= 2)
        if marker in SIZED:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return width, height
        file.seek(length - 2, 1)
    raise ValueError


def _pdf(file: BinaryIO) -> None:
    _require(file.read(5) == b"%PDF-")


def _text(file: BinaryIO) -> None:
    """Check for UTF-8 text that is not markup."""
    decoder, first = codecs.getincrementaldecoder("utf-8")(), True
    while part := file.read(PART):
        _require(not (first and MARKUP.match(part.removeprefix(codecs.BOM_UTF8))))
        _require(not CONTROL.search(decoder.decode(part)))
        first = False
    decoder.decode(b"", final=True)


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError


TYPES: Final[Mapping[str, tuple[str, Callable[[BinaryIO], Size | None]]]] = {
    "png": ("image/png", _png),
    "jpg": ("image/jpeg", _jpeg),
    "jpeg": ("image/jpeg", _jpeg),
    "webp": ("image/webp", _webp),
    "gif": ("image/gif", _gif),
    "pdf": ("application/pdf", _pdf),
    "txt": ("text/plain; charset=utf-8", _text),
    "csv": ("text/csv; charset=utf-8", _text),
}
"""By extension: the media type, and the check of the content."""
