"""How an SMS is encoded, and what that costs: GSM 03.38 where it goes, UCS-2 where it must."""

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
    """How the characters of an SMS travel."""

    GSM_7 = "GSM-7"
    UCS_2 = "UCS-2"


LENGTHS: Final = {Encoding.GSM_7: (160, 153), Encoding.UCS_2: (70, 67)}
"""Units of a message that is alone, and of each segment where there are several."""


class Measured(Struct, frozen=True):
    """What a text comes to when it is sent as SMS."""

    encoding: Encoding
    units: int
    segments: int
    offending: tuple[str, ...]
    """The characters, each once, that keep the text from being GSM-7."""


def measured(text: str) -> Measured:
    """Encoding, units and segments of a text; no character is torn apart between two segments."""
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
    """A text without any break of line, or tab: each is a space."""
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
