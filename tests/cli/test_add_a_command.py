"""How to add a command: what the page says is done in a copy of the tree, and works there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.problem_codes import PACKAGES, TREE

PAGE: Final = TREE / "docs" / "how-to" / "add-a-command.md"
NUMBERS: Final = {"three": 3, "four": 4}
STEP: Final = re.compile(r"^## \d\. (?P<heading>.*)\n(?P<text>(?:(?!## ).*\n)*)", re.MULTILINE)
CODE: Final = re.compile(r"```python\n(.*?)```", re.DOTALL)
ASKED: Final = """
from api.catalogue import TABLE
endpoint, parameters = TABLE.find("POST", "/v1/users/x/tags")
assert endpoint.operation_id == "tag_user"
assert parameters == {"id": "x"}
"""


def insert(path: Path, place: str, text: str, *, after: bool = False) -> None:
    """Put a text before what stands once in a file, or after it."""
    before, found, rest = path.read_text().partition(place)
    assert found, f"{path} has no {place!r}"
    path.write_text(before + (found + text if after else text + found) + rest)


def with_text(paths: list[Path], text: str) -> Path:
    """The file that has a text."""
    return next(path for path in paths if text in path.read_text())


def follow(tree: Path) -> set[Path]:
    """Do what the page says in a copy of the tree; the files that were changed."""
    steps = [
        ([tree / path for path in _paths(found["heading"])], CODE.findall(found["text"]))
        for found in STEP.finditer(PAGE.read_text())
    ]
    (events, (event, fold)), (rules, (command,)), (routes, (route,)) = steps
    of_events = with_text(events, "UserEvent = (")
    insert(of_events, "UserEvent = (", f"{event}\n\n")
    insert(of_events, "UserEvent = (\n", "    UserTagged |\n", after=True)
    of_fold = with_text(events, "class User(Aggregate)")
    _, field, _, _, _, *case = fold.splitlines()
    insert(of_fold, "    def evolve(self, event: UserEvent", f"{field}\n\n")
    insert(of_fold, "            case UserContactChanged", "\n".join([*case, ""]))
    name = _module(tree, of_events)
    if of_fold != of_events:
        insert(of_fold, f"from {name} import (\n", "    UserTagged,\n", after=True)
    (of_rules,), (of_routes,) = rules, routes
    imports = f"from {name} import UserTagged\nfrom rim_ledger.values import Word\n"
    of_rules.write_text(f"{of_rules.read_text()}\n\n{imports}\n\n{command}")
    insert(of_routes, '    of_users("POST",', f"    *{route.strip()},\n")
    return {of_events, of_fold, of_rules, of_routes}


def _paths(heading: str) -> list[str]:
    """The files that a heading names, the second of them in the directory of the first."""
    first, *more = re.findall(r"`([\w/]+\.py)`", heading)
    return [first, *(str(Path(first).with_name(each)) for each in more)]


def _module(tree: Path, path: Path) -> str:
    return path.relative_to(tree).as_posix().removesuffix(".py").replace("/", ".")


def test_a_new_command_touches_the_files_that_the_page_says_and_no_other(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", ".venv", ".*cache")
    for each in (*PACKAGES, "tests"):
        shutil.copytree(TREE / each, tmp_path / each, ignore=ignored)
    said = re.search(r"touches (\w+) files", PAGE.read_text())
    assert said
    assert len(follow(tmp_path)) == NUMBERS[said[1]]
    test = CODE.findall(PAGE.read_text().partition("## The test")[2])[0]
    names = "from rim_ledger.lending.user import *\n"
    head = (
        f"from {_of('TagUser', tmp_path)} import *\nfrom tests.lending.test_user import *\n{names}"
    )
    events = f"from {_of('UserTagged', tmp_path)} import UserTagged\n"
    (tmp_path / "tests" / "lending" / "test_tag.py").write_text(f"{head}{events}\n\n{test}")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    only = ("-q", "-n", "0", "-p", "no:cacheprovider", "-c", os.devnull, "-k", "tag")
    for asked in (["-c", ASKED], ["-m", "pytest", "tests/lending/test_tag.py", *only]):
        done = subprocess.run(
            [sys.executable, *asked],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _of(name: str, tree: Path) -> str:
    """The module in which a class is written."""
    files = (tree / "rim_ledger").rglob("*.py")
    return _module(tree, next(path for path in files if f"class {name}(" in path.read_text()))
