"""Encoding and segments of an SMS: GSM 03.38 if possible, else UCS-2."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Struct
from pydantic import AfterValidator, Field

from rim_ledger.text import not_blank, one_line

GSM_7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
"""The basic table of GSM 03.38: one unit each."""
EXTENDED: Final = frozenset("\f^{}\\[~]|€")
"""Its extension table: an escape and a character, so two units."""
BREAKS: Final = re.compile("[\t\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")


class Encoding(StrEnum):
    """The encoding of an SMS."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


LENGTHS: Final = {Encoding.GSM_7: (160, 153), Encoding.UCS_2: (70, 67)}
"""Units of a single message, and of each segment of a longer one."""


class Measured(Struct, frozen=True):
    """Encoding and size of a text as SMS."""

    encoding: Encoding
    units: int
    segments: int
    offending: tuple[str, ...]
    """The distinct characters that are not in GSM-7."""


def measured(text: str) -> Measured:
    """Return encoding, units and segments of a text; no character is split between two segments."""
    offending = tuple(dict.fromkeys(each for each in text if each not in GSM_7 | EXTENDED))
    if offending:
        encoding, sizes = Encoding.UCS_2, [1 + (each > "\uffff") for each in text]
    else:
        encoding, sizes = Encoding.GSM_7, [1 + (each in EXTENDED) for each in text]
    alone, several = LENGTHS[encoding]
    units = sum(sizes)
    segments = 1 if units <= alone else _packed(sizes, several)
    return Measured(encoding, units, segments, offending)


def on_one_line(text: str) -> str:
    """Return a text with spaces for line breaks and tabs."""
    return BREAKS.sub(" ", text)


OneLine = Annotated[str, AfterValidator(on_one_line), AfterValidator(one_line)]
"""A text that is sent on one line: line breaks become spaces."""
Title = Annotated[OneLine, Field(min_length=1, max_length=200), AfterValidator(not_blank)]
"""A heading, such as the subject of an e-mail."""


def _packed(sizes: Iterable[int], room: int) -> int:
    segments, left = 0, 0
    for size in sizes:
        if size > left:
            segments, left = segments + 1, room
        left -= size
    return segments
