"""What is released runs on its own: built, checked, installed into a bare environment, started.

`make release` keeps what was built and checked in the directory that RELEASE names.
"""

import contextlib
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rim_ledger.version import VERSION
from tests.cli.service import PATIENCE, TREE, is_ready, stop, wait_for
from tests.cli.test_tutorial import PASSWORDS, walk
from tests.places import TEMPORARY

pytestmark = pytest.mark.heavy
PYTHON = Path(sys.executable)


def _run(*command: str | Path, **environment: str) -> str:
    answer = subprocess.run(
        command,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of what was built: sources, the wheel that was made of them, constraints.

    It is built in a copy: setuptools writes beside what it packs, and removes it again.
    """
    pytest.importorskip("twine", reason="needs the group `release`")
    dist = Path(os.environ.get("RELEASE") or tmp_path_factory.mktemp("dist"))
    sources = tmp_path_factory.mktemp("sources")
    for packed in ("pyproject.toml", "README.md"):
        shutil.copy(TREE / packed, sources)
    for package in ("rim_ledger", "projections", "api"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(TREE / package, sources / package, ignore=ignored)
    _run(PYTHON, "-m", "build", "--outdir", dist, sources)
    shutil.copy(TREE / "constraints.txt", dist)
    return dist


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory that every user may enter."""
    with tempfile.TemporaryDirectory(prefix="rim-release-", dir=TEMPORARY) as place:
        Path(place).chmod(0o755)
        yield Path(place)


def _ordinary() -> tuple[str, dict[str, Any]]:
    """A Python and, for root, the arguments that start a process as an ordinary user; as root where
    only root may run a Python."""
    if os.geteuid() != 0:
        return sys.executable, {}
    nobody = pwd.getpwnam("nobody")
    user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    fits = "import sys, ensurepip; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            if subprocess.run([python, "-c", fits], cwd="/", check=False, **user).returncode == 0:
                return python, user
    return sys.executable, {}


@pytest.fixture(scope="module")
def bare(dist: Path, place: Path) -> Path:
    """The programs of an environment with the wheel and what that depends on, and nothing else."""
    _run(_ordinary()[0], "-m", "venv", place / "bare")
    (wheel,) = dist.glob("*.whl")
    pip = (place / "bare" / "bin" / "python", "-m", "pip", "install", "--quiet")
    _run(*pip, "--constraint", dist / "constraints.txt", wheel)
    return place / "bare" / "bin"


def test_the_registry_would_take_it(dist: Path) -> None:
    files = sorted(path for path in dist.iterdir() if path.suffix in (".whl", ".gz"))
    assert [path.name for path in files] == [
        f"rim_ledger-{VERSION}-py3-none-any.whl",
        f"rim_ledger-{VERSION}.tar.gz",
    ]
    said = _run(PYTHON, "-m", "twine", "check", "--strict", *files, NO_COLOR="1", COLUMNS="200")
    assert said.count("PASSED") == len(files)


def test_its_bill_of_materials_names_all_that_is_installed(dist: Path, bare: Path) -> None:
    file = dist / f"rim_ledger-{VERSION}.cdx.json"
    make = (PYTHON, "-m", "cyclonedx_py", "environment", "--output-reproducible")
    _run(*make, "--pyproject", TREE / "pyproject.toml", "--output-file", file, bare / "python")
    bill = json.loads(file.read_text())
    listed = json.loads(_run(bare / "python", "-m", "pip", "list", "--format", "json"))
    told = {(each["name"], each["version"]) for each in bill["components"]}
    assert bill["bomFormat"] == "CycloneDX"
    subject = bill["metadata"]["component"]
    assert (subject["name"], subject["version"]) == ("rim-ledger", VERSION)
    assert told | {("rim-ledger", VERSION)} >= {(each["name"], each["version"]) for each in listed}


def test_an_ordinary_user_starts_it_in_an_empty_folder_and_the_first_page_holds(
    bare: Path, place: Path
) -> None:
    folder = place / "folder"
    folder.mkdir()
    _, user = _ordinary()
    os.chown(folder, user.get("user", -1), user.get("group", -1))
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "RIM_PORT": "0", **PASSWORDS}
    told = {"env": environment, "cwd": folder, "text": True, **user}
    version = subprocess.check_output([bare / "rim-ledger", "--version"], **told)
    process = subprocess.Popen(
        [bare / "rim-ledger", "up"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **told
    )
    with process:
        try:
            url = _address(process)
            wait_for(lambda: is_ready(url))
            read = [httpx.get(url + path, timeout=PATIENCE) for path in TELLING]
            walk("README.md", environment | {"RIM": url, "TZ": "UTC"})
            assert "stopped" in stop(process)
        finally:
            process.kill()
    alive, described, followed, counted = read
    assert version == f"{VERSION}\n"
    assert alive.json() == {"status": "alive", "version": VERSION}
    assert described.json()["info"]["version"] == VERSION
    assert followed.json()["info"]["version"] == VERSION
    assert f'rim_build_info{{version="{VERSION}"}} 1.0' in counted.text.splitlines()
    assert [path.name for path in folder.iterdir()] == [".local"]


TELLING = ("/healthz", "/openapi.json", "/asyncapi.json", "/metrics")
"""Where a running service tells its version."""


def _address(process: "subprocess.Popen[str]") -> str:
    """Where the service is ready. Fails with what it said when it ends before."""
    assert process.stdout
    said = ""
    for line in process.stdout:
        said += line
        if ready := re.search(r"ready at (\S+)", line):
            return ready[1]
    raise AssertionError(said)
