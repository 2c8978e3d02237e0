"""The reference says what the code does: generated pages are pinned, and every code is told of."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch

import pytest

from api.http.problem import OWN_STATUS
from projections.analysis.export_columns import fields_of
from projections.analysis.export_rows import SCHEMA
from projections.catalogue import TABLES, VIEWS
from projections.tables import dictionary
from projections.tables.meanings import MEANINGS
from rim_ledger.catalogue import EVENTS
from tests import reference
from tests.golden import pinned
from tests.problem_codes import fields, problems

LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
PROBLEMS = (reference.DOCS / "problems.md").read_text()


def rows(cells: int) -> Iterator[list[str]]:
    """The rows of the tables that have so many cells, the first of which is a code."""
    for line in PROBLEMS.splitlines():
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and len(row) == cells:
            yield [row[0].strip("`"), *row[1:]]


@pytest.mark.parametrize("page", reference.PAGES)
def test_the_page_is_what_follows_from_the_code(page: str) -> None:
    text = reference.text(page)
    assert pinned(page, text, reference.DOCS) == text, "make golden writes it anew"


def test_every_event_is_in_the_catalogue() -> None:
    page = (reference.DOCS / "events.md").read_text()
    assert [name for name in EVENTS if f"\n| `{name}` |" not in page] == []


def test_the_dictionary_tells_of_every_column_and_of_no_other() -> None:
    columns = [
        *(("export", name) for name in SCHEMA.names),
        *((each.owner, each.name) for name in EVENTS for each in fields_of(name)),
        *((row.TABLE, name) for row in (*TABLES.values(), *VIEWS) for name in row.COLUMNS),
    ]
    keys = [dictionary.keys(*column) for column in columns]
    assert not [own for own, name in keys if MEANINGS.keys().isdisjoint((own, name))]
    used = {own if own in MEANINGS else name for own, name in keys}
    assert not MEANINGS.keys() - used, "there is no such column"
    known = {each for key in keys for each in key}
    assert not (dictionary.UNITS.keys() | dictionary.ORDINALS) - known


def test_what_has_no_meaning_is_named() -> None:
    with pytest.raises(LookupError, match=r"does not say what loans\.colour means"):
        dictionary.meaning("loans", "colour")


def test_every_code_of_a_problem_is_documented_with_its_status_and_no_other() -> None:
    told = [(code, int(status)) for code, status, when, remedy in rows(4) if when and remedy]
    assert len(set(told)) == len(told), "a code stands there once"
    said = problems()
    assert set(OWN_STATUS) <= {code for code, _ in said}, "a code of its own status is said"
    silent = [each for each in said if not any(_same(each, one) for one in told)]
    gone = [one for one in told if not any(_same(each, one) for each in said)]
    assert not silent, "problems.md does not tell of these"
    assert not gone, "problems.md tells of what the code does not say"


def test_every_code_of_a_field_is_documented_and_no_other() -> None:
    told = {code for code, meaning in rows(2) if meaning}
    said = fields()
    assert not [each for each in said if not any(fnmatch(one, each) for one in told)]
    assert not [one for one in told if not any(fnmatch(one, each) for each in said)]


def test_every_link_in_the_documents_leads_somewhere() -> None:
    pages = [reference.DOCS.parents[1] / "README.md", *reference.DOCS.parent.rglob("*.md")]
    links = [(page, link) for page in pages for link in LINK.findall(page.read_text())]
    assert not [(page.name, link) for page, link in links if not (page.parent / link).exists()]
    linked = {(page.parent / link).resolve() for page, link in links}
    assert not [page.name for page in pages[1:] if page.name != "index.md" and page not in linked]


def _same(said: tuple[str, int], told: tuple[str, int]) -> bool:
    return said[1] == told[1] and fnmatch(told[0], said[0])
