"""Texts with `{{variables}}`: checked when stored, filled in when sent.

There is no logic in them, on purpose: what a template engine evaluates, its author controls.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final

from pydantic import Field

from rim_ledger.engine.command import Form
from rim_ledger.engine.refusals import Invalid, require
from rim_ledger.text import Lines, fits

VARIABLE: Final = re.compile(r"\{\{ ?([A-Za-z][A-Za-z0-9_]{0,39}) ?\}\}")
MARKS: Final = re.compile(r"\{\{|\}\}|\{%|%\}|\{#|#\}")
FILLED_MAX: Final = 200_000
"""Characters of a text with its values."""


Variable = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$", examples=["name"])]
Variables = Annotated[
    tuple[Variable, ...],
    Field(strict=False, max_length=20),
    fits(lambda names: len({*names}) == len(names), "twice", "each variable is named once"),
]
Values = Annotated[dict[Variable, Annotated[Lines, Field(max_length=1000)]], Field(max_length=20)]
"""The value of each variable."""


WORDED: Final = fits(lambda text: bool(text.strip()), "blank", "this must not be blank")


class FillIn(Form):
    """Values for a template's variables."""

    values: Values = {}


def variables_in(field: str, text: str) -> list[re.Match[str]]:
    """Return the variables of a text. Raises Invalid for braces that are no variable."""
    if wrong := MARKS.search(VARIABLE.sub(lambda found: " " * len(found[0]), text)):
        words = f"{wrong[0]} at character {wrong.start() + 1} is no part of a {{{{variable}}}}."
        raise Invalid("not-a-variable", words, f"/{field}")
    return [*VARIABLE.finditer(text)]


def substitute(text: str, values: Mapping[str, str]) -> str:
    """Return a text with its values, in one pass: values are not searched for variables."""
    return VARIABLE.sub(lambda found: values.get(found[1], found[0]), text)


def check(texts: Mapping[str, str], variables: Sequence[str]) -> None:
    """Raise Invalid if the texts (by field name) and the declared variables do not agree."""
    used = set[str]()
    for field, text in texts.items():
        for found in variables_in(field, text):
            if found[1] not in variables:
                place = f"{{{{{found[1]}}}}} at character {found.start() + 1} is not in variables."
                raise Invalid("undeclared-variable", place, f"/{field}")
            used.add(found[1])
    for nth, name in enumerate(variables):
        if name not in used:
            unused = f"{{{{{name}}}}} is declared and stands nowhere."
            raise Invalid("unused-variable", unused, f"/variables/{nth}")


def filled(
    text: str, variables: Sequence[str], values: Values, convert: Callable[[str], str] = str
) -> str:
    """Return a text with its values, in one pass: values are not searched for variables.

    `convert` converts each value, such as to HTML. Raises Invalid for a missing or unknown value,
    and Refused if the result is too long.
    """
    words = {name: convert(_value(name, values)) for name in variables}
    for name in values:
        if name not in words:
            raise Invalid(
                "unknown-value", f"The template has no variable {name}.", f"/values/{name}"
            )
    room = FILLED_MAX - len(text) - sum(len(words[each]) for each in VARIABLE.findall(text))
    require(room >= 0, "message-too-long", f"A message has at most {FILLED_MAX} characters.")
    return substitute(text, words)


def require_enabled(*, enabled: bool, archived: bool) -> None:
    """Refuse a template that is disabled or archived."""
    require(not archived, "template-disabled", "The template was put away; use another one.")
    require(enabled, "template-disabled", "The template is disabled; enable it first.")


def _value(name: str, values: Values) -> str:
    if not (text := values.get(name, "")).strip():
        raise Invalid("missing-value", f"{{{{{name}}}}} needs a value.", f"/values/{name}")
    return text
