"""What README and tutorial show is true: their commands are run on a service of their own."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Final

import httpx
import pytest

from tests.cli.service import PATIENCE, TREE, Service, a_service, stop, wait_for

PAGES: Final = ("README.md", "docs/tutorial/lend-and-repay.md")
PASSWORDS: Final = {
    "RIM_ADMIN_PASSWORD": "correct horse battery",
    "RIM_OFFICER_PASSWORD": "tortoise in harmattan",
}
LANGUAGES: Final = ("bash", "psql")
SHIFTING: Final = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f-]*…?|~1\.[\w-]+"  # ids, sealed words
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z|-20\d\d-|curl/[\d.]+"  # times, years
)
"""What differs from run to run."""
POSITION: Final = re.compile(r'("position": ?|^ +)(\d+)(?=[,}]| +\|)', re.MULTILINE)
"""A position of the log, in JSON or at the start of a row."""

NEEDED: Final = ("bash", "curl")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, NEEDED)), reason=f"they need {' and '.join(NEEDED)}"
)


def blocks(page: str) -> list[tuple[str, str, str]]:
    """Each block of commands with its language, and the output that the page shows after it."""
    found = re.findall(r"```(\w+)\n(.*?)```", (TREE / page).read_text(), re.DOTALL)
    after = [*found[1:], ("", "")]
    return [
        (language, commands, shown if next_ == "text" else "")
        for (language, commands), (next_, shown) in zip(found, after, strict=True)
        if language in LANGUAGES
    ]


@pytest.fixture
def service() -> Iterator[tuple[Service, str]]:
    with a_service(forked=True) as service:
        process, url, _ = service.up(**PASSWORDS)
        wait_for(lambda: httpx.get(f"{url}/readyz", timeout=PATIENCE).json()["lag"] == 0)
        yield service, url
        stop(process)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_run_and_answer_what_the_page_says(
    page: str, service: tuple[Service, str]
) -> None:
    home, url = service
    walk(page, home.environment(RIM=url, PAGER="cat", TZ="UTC"))  # As the ledger numbers things.


def walk(page: str, environment: Mapping[str, str]) -> None:
    """Run the commands of a page, and compare what they print with what the page shows."""
    told = [each for each in blocks(page) if each[0] == "bash" or shutil.which("psql")]
    parts = [f"{commands}\necho; echo '--- {n}'" for n, (_, commands, _) in enumerate(told)]
    outcome = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "exec 2>&1\n" + "\n".join(parts)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    said = re.split(r"^--- \d+$", outcome.stdout, flags=re.MULTILINE)
    by = first_position(outcome.stdout) - first_position("".join(shown for *_, shown in told))
    for (_, commands, shown), output in zip(told, said[:-1], strict=True):
        for piece in re.split(r"…|\n", plain(moved(shown, by))):
            assert piece.strip(' ",') in plain(output), commands


def first_position(text: str) -> int:
    """The position that a text tells first: how many events a start makes is not a page's word."""
    found = POSITION.search(text)
    assert found
    return int(found[2])


def moved(text: str, by: int) -> str:
    """A text whose positions are all so much greater."""
    return POSITION.sub(lambda found: f"{found[1]}{int(found[2]) + by}", text)


def plain(text: str) -> str:
    """Without ids, times and the width of a table, which are others each time."""
    return re.sub(r" +|-{4,}[-+]*", " ", SHIFTING.sub("", text))
