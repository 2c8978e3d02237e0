"""Pages say what the code does: the reference is pinned, and what a page names exists."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

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
from tests.problem_codes import PACKAGES, TREE, fields, problems

FILE = re.compile(r"(?<![\w/.-])(?:\w+/)*\w+\.py\b")
DIRECTORY = re.compile(rf"`((?:{'|'.join(PACKAGES)}|tests)(?:/\w+)*)/?`")
NAME = re.compile(r"`([A-Z][a-z]\w+(?:\.\w+)?)(?:\(.*?\))?`")
STOP = re.compile(r"\| `([\w/]+\.py)` \| `([\w.]+)` \|$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
MADE = re.compile("[Bb]ranch|^RepaidPerHour$|^RimLedger$|^repayments.py$")
"""What a reader makes by following a page."""
ELSEWHERE = {"EventSource", "FileResponse", "StreamingResponse", "Projection"}
"""Of browsers and libraries."""
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
DOCS = reference.DOCS.parent
PAGES = [TREE / "README.md", *DOCS.rglob("*.md")]
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


def test_every_file_and_every_name_on_a_page_is_in_the_tree() -> None:
    sources = [path for each in (*PACKAGES, "tests") for path in (TREE / each).rglob("*.py")]
    parts = [path.relative_to(TREE).parts for path in [*sources, *DOCS.rglob("*.py")]]
    files = {"/".join(each[start:]) for each in parts for start in range(len(each))}
    words = {word for path in sources for word in re.findall(r"\w+", path.read_text())}
    gone = list[tuple[str, str]]()
    for page in PAGES:
        text = page.read_text()
        paths = {*FILE.findall(text)} - files
        rooms = {each for each in DIRECTORY.findall(text) if not (TREE / each).is_dir()}
        names = NAME.findall(FENCED.sub("", text))
        unknown = {each for each in names if not {*each.split(".")} <= words} - ELSEWHERE
        gone += [(page.name, each) for each in paths | rooms | unknown if not MADE.search(each)]
    assert not gone


def test_every_stop_of_a_request_is_where_the_page_says() -> None:
    stops = STOP.findall((DOCS / "explanation" / "how-it-works.md").read_text())
    assert len(stops) > 20
    assert not [(file, name) for file, name in stops if name not in _functions(TREE / file)]


def _functions(path: Path) -> Iterator[str]:
    """The functions of a module and the methods of its classes, by their qualified names."""
    for node in ast.parse(path.read_text()).body:
        name = getattr(node, "name", "")
        methods = node.body if isinstance(node, ast.ClassDef) else []
        yield from (name, *(f"{name}.{getattr(each, 'name', '')}" for each in methods))


def test_every_link_in_the_documents_leads_somewhere() -> None:
    links = [(page, link) for page in PAGES for link in LINK.findall(page.read_text())]
    assert not [(page.name, link) for page, link in links if not (page.parent / link).exists()]
    linked = {(page.parent / link).resolve() for page, link in links}
    assert not [page.name for page in PAGES[1:] if page.name != "index.md" and page not in linked]


def _same(said: tuple[str, int], told: tuple[str, int]) -> bool:
    return said[1] == told[1] and fnmatch(told[0], said[0])
