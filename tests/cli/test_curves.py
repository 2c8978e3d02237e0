"""The tutorial on curves is true: its commands and its Python say what the page shows."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.service import TREE, Service, stop

PAGE: Final = TREE / "docs/tutorial/vintage-and-default-curves.md"
PASSWORD: Final = "correct horse battery"
SECONDS: Final = 400
pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="its commands need bash")


def blocks() -> Iterator[tuple[str, str, str]]:
    """Each block that is run, with its language, and the output that the page shows after it."""
    found = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for (language, code), (next_, shown) in zip(found, [*found[1:], ("", "")], strict=True):
        if language in ("bash", "python"):
            yield language, code, shown if next_ == "text" else ""


def test_the_curves_are_those_of_the_page(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    told = list(blocks())
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    book = str(tmp_path / "book")
    commands = "\n".join(code for language, code, _ in told if language == "bash")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        env=service.environment(RIM=url, BOOK=book, PATH=path),
        capture_output=True, text=True, timeout=SECONDS, check=False, cwd=TREE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    stop(running)
    for shown in (shown for language, _, shown in told if language == "bash" and shown):
        assert shown.replace("http://127.0.0.1:8000", url) in done.stdout
    monkeypatch.setenv("BOOK", book)
    names: dict[str, Any] = {}
    for code, shown in ((code, shown) for language, code, shown in told if language == "python"):
        with contextlib.redirect_stdout(io.StringIO()) as said:
            exec(compile(code, PAGE.name, "exec"), names)
        assert said.getvalue() == shown
