"""Which characters a text may have, and when two names are the same name."""

import pytest
from pydantic import TypeAdapter, ValidationError

from rim_ledger.notifications.sms_text import Title
from rim_ledger.text import folded, plain
from rim_ledger.values import Description, Name, Note, Text

NAME, NOTE, TEXT = TypeAdapter(Name), TypeAdapter(Note), TypeAdapter(Text)
TITLE, DESCRIPTION = TypeAdapter(Title), TypeAdapter(Description)

SPOKEN = [
    "Zoë O’Neill-Nwachukwu",
    "محمد الأمين",
    "می\u200cخواهم",
    "क्\u200dष",
    "ന\u0d4d\u200d",
    "葛\U000e0100城",
    "Team 👨\u200d👩\u200d👧",
    "👩🏽\u200d⚕\ufe0f",
    "🙂\u200d↔\ufe0f",
    "❤\ufe0f\u200d🔥",
    "1\ufe0f\u20e3",
    "ℹ\ufe0f",
    "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
]
UNSPOKEN = [
    "\u200b",
    "Ada\u200b",
    "Ad\u200da",
    "\u200dAda",
    "Ada\u200c",
    "é\u200dé",
    "泰\u200d国",
    "\ufeffAda",
    "A\u00adda",
    "Ad\u2060a",
    "A\u034fda",
    "\u3164",
    "\u2800",
    "\u115f",
    "A\ufe0fda",
    "1\ufe0f",
    "A\U000e0100da",
    "\U000e0041da",
    "\u202eadA",
    "\u2066Ada\u2069",
    "Ada\u200f",
    "Ada\x07",
    "Ada\x1b[2J",
    "Ada\x7f",
    "Ada\x9b",
    "Ada\uffff",
]


@pytest.mark.parametrize("text", SPOKEN)
def test_what_people_write_is_a_name_and_a_text(text: str) -> None:
    assert NAME.validate_python(text) == text
    assert NOTE.validate_python(text) == text
    assert plain(text) == text


@pytest.mark.parametrize("text", UNSPOKEN)
@pytest.mark.parametrize("kind", [NAME, NOTE, TEXT, TITLE, DESCRIPTION])
def test_what_nobody_sees_is_in_no_text(kind: TypeAdapter[str], text: str) -> None:
    with pytest.raises(ValidationError) as error:
        kind.validate_python(text)
    assert error.value.errors()[0]["type"] == "unfit_character"


@pytest.mark.parametrize("blank", ["", " ", "\u00a0", "\u3000", " \u2003 "])
def test_a_blank_text_says_nothing(blank: str) -> None:
    for kind in (NAME, NOTE, TEXT, TITLE):
        with pytest.raises(ValidationError):
            kind.validate_python(blank)
    assert DESCRIPTION.validate_python(blank) == ""


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\t", "\u2028", "\u2029"])
def test_a_text_has_several_lines_and_a_name_has_one(break_: str) -> None:
    lines = f"one{break_}two"
    assert NOTE.validate_python(lines) == TEXT.validate_python(lines) == lines
    assert TITLE.validate_python(lines) == "one two"
    with pytest.raises(ValidationError):
        NAME.validate_python(lines)


def test_marks_of_direction_go_with_letters_that_are_written_from_the_right() -> None:
    mixed = "\u2068محمد\u2069\u200f paid"
    assert NOTE.validate_python(mixed) == mixed
    for unfit in (f"{mixed}\u202e", "\u2068Ada\u2069 paid"):
        with pytest.raises(ValidationError):
            NOTE.validate_python(unfit)
    with pytest.raises(ValidationError):
        NAME.validate_python(mixed)


def test_a_refusal_says_where_and_what() -> None:
    with pytest.raises(ValidationError, match=r"character 3 is U\+200B, an invisible character"):
        NAME.validate_python("Ad\u200ba")
    with pytest.raises(ValidationError, match=r"character 4 is U\+0007, a control character"):
        NAME.validate_python("Ada\x07")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café", "Cafe\u0301"),
        ("Café", "CAFÉ"),
        ("Straße", "STRASSE"),
        ("ﬁnance", "Finance"),
        ("Ｃａｒｅ", "care"),
        ("Desk Ⅷ", "desk viii"),
        ("Two  words", "two\u00a0words"),
        ("می\u200cخواهم", "میخواهم"),
        ("❤\ufe0f", "❤"),
        ("ά\u0345", "ΆΙ"),
    ],
)
def test_two_spellings_are_one_name(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_other_names_are_others() -> None:
    assert len({folded(each) for each in ("Cafe", "Café", "Caffè", "Ca fe")}) == 4
