"""Characters allowed in texts, and folding of names for comparison."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
LINE_BREAK: Final = re.compile(r"\r\n|[\n\t\u2028\u2029]")
"""Allowed in addition in a text of several lines: line breaks, and tabs."""
INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point of Unicode 16, the blank Braille pattern, and the marks of
interlinear annotation."""
UNFIT: Final = re.compile(f"{CONTROL.pattern[:-1]}\\u2028\\u2029]|{INVISIBLE.pattern}")
"""Characters that need a closer check, and are mostly refused."""
FLAG: Final = re.compile("\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f")
"""The flag of a region, such as Scotland's: a black flag, and invisible letters."""
KEYCAP: Final = re.compile("[0-9#*]\ufe0f\u20e3")
ZWNJ, ZWJ, EMOJI_STYLE = "\u200c", "\u200d", "\ufe0f"
DIRECTION: Final = frozenset("\u061c\u200e\u200f\u2066\u2067\u2068\u2069")
"""Marks and isolates for texts of both directions, without embeddings and overrides, which can
misplace characters."""
VIRAMA: Final = 9
"""The combining class of the sign after which joiners choose a form (RFC 5892, A.1)."""


def _is_rtl(character: str) -> bool:
    from_the_right = unicodedata.bidirectional(character) in ("R", "AL")
    return from_the_right and unicodedata.category(character).startswith("L")


def _is_symbol(character: str) -> bool:
    skin_tone = "\U0001f3fb" <= character <= "\U0001f3ff"
    return skin_tone or unicodedata.category(character) in ("So", "Sm")


def _joins(joiner: str, before: str, after: str) -> bool:
    """Return whether a joiner chooses a form there: after a virama, between letters of a
    right-to-left script, or within an emoji."""
    if unicodedata.combining(before) == VIRAMA:
        return True
    if _is_rtl(after) and (_is_rtl(before) or unicodedata.category(before) == "Mn"):
        return True
    return joiner == ZWJ and _is_symbol(after) and (_is_symbol(before) or before == EMOJI_STYLE)


def _selects(selector: str, before: str) -> bool:
    """Return whether a variation selector follows a character whose form it can choose."""
    if unicodedata.category(before) == "Lo":
        return selector not in ("\ufe0e", EMOJI_STYLE)
    wide = before in "\u203c\u2049\u2139\u3030" or _is_symbol(before)
    return wide and not selector >= "\U000e0100"


def _has_use(text: str, at: int) -> bool:
    """Return whether an invisible character shapes its neighbours."""
    if at == 0:
        return False
    character, before, after = text[at], text[at - 1], text[at + 1 : at + 2] or " "
    if character in (ZWNJ, ZWJ):
        return _joins(character, before, after)
    selector = "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"
    return selector and _selects(character, before)


def _unfit(text: str, *, lines: bool) -> Iterator[tuple[int, str]]:
    """Yield the positions of characters that a text must not have, and their kind."""
    allowed = {at for found in FLAG.finditer(text) for at in range(*found.span())}
    allowed |= {found.start() + 1 for found in KEYCAP.finditer(text)}
    if lines:
        allowed |= {at for found in LINE_BREAK.finditer(text) for at in range(*found.span())}
        if not DIRECTION.isdisjoint(text) and any(map(_is_rtl, text)):
            allowed |= {at for at, character in enumerate(text) if character in DIRECTION}
    for found in UNFIT.finditer(text):
        at = found.start()
        if at in allowed or _has_use(text, at):
            continue
        yield at, "an invisible" if INVISIBLE.match(found[0]) else "a control"


def _checked(text: str, *, lines: bool) -> str:
    if not UNFIT.search(text):
        return text
    for at, kind in _unfit(text, lines=lines):
        character = f"U+{ord(text[at]):04X}"
        raise PydanticCustomError(
            "unfit_character",
            "character {place} is {character}, {kind} character",
            {"place": at + 1, "character": character, "kind": kind},
        )
    return text


def plain(text: str) -> str:
    """Return a text on one line without the characters that it must not have."""
    unfit = {at for at, _ in _unfit(text, lines=False)}
    return "".join(character for at, character in enumerate(text) if at not in unfit)


def one_line(text: str) -> str:
    """Return a text on one line. Raises PydanticCustomError for a control character, a line break,
    or an invisible character without effect."""
    return _checked(text, lines=False)


def several_lines(text: str) -> str:
    """Return a text that may have line breaks and tabs, and directional marks beside right-to-left
    letters. Raises PydanticCustomError for what else `one_line` refuses."""
    return _checked(text, lines=True)


def not_blank(text: str) -> str:
    """Return a text without surrounding blanks. Raises PydanticCustomError if nothing is left."""
    if not (text := text.strip()):
        raise PydanticCustomError("blank", "this must not be blank")
    return text


def folded(name: str) -> str:
    """Return the form in which spellings of a name are compared: NFKC, casefolded, without
    invisible characters, and with single spaces."""
    visible = INVISIBLE.sub("", unicodedata.normalize("NFKC", name)).casefold()
    return " ".join(unicodedata.normalize("NFKC", visible).split())


def fits(is_fit: Callable[[Any], bool], kind: str, otherwise: str) -> AfterValidator:
    """Return a validator of what fits. Raises PydanticCustomError, of a kind and with words, for
    anything else."""

    def check(value: Any) -> Any:
        if not is_fit(value):
            raise PydanticCustomError(kind, otherwise)
        return value

    return AfterValidator(check)


Line = Annotated[str, AfterValidator(one_line)]
Lines = Annotated[str, AfterValidator(several_lines)]


NOT_IN_A_SOURCE: Final = re.compile(r"[\x00-/:-@\[-`{-\x7f\s]+")
"""Blanks and ASCII punctuation."""


def folded_source(text: str | None) -> str | None:
    """Return the form in which providers and payment methods are compared: "Pay-Stack" and "pay
    stack" are "paystack". A name of punctuation alone stays as it is."""
    if text is None:
        return None
    name = folded(text)
    return NOT_IN_A_SOURCE.sub("", name) or name
