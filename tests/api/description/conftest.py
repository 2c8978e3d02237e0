"""Other people's tools, installed once outside the tree. Where that cannot be, tests skip."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rim-ledger"
NODE_MIN: Final = (20, 19)
NODE_PACKAGES: Final = ("@redocly/cli@2.77.0", "openapi-typescript@7.13.0", "typescript@5.9.3")
PYTHON_PACKAGES: Final = ("openapi-python-client==0.29.1",)
INSTALL_SECONDS_MAX: Final = 90
RUN_SECONDS_MAX: Final = 120

Run = Callable[..., "subprocess.CompletedProcess[str]"]
"""Runs a tool in a directory, to its end: its name, its arguments, and `cwd`."""


@pytest.fixture(scope="session")
def node() -> Run:
    """The tools of npm. Skips without Node, npm, or what npm installs."""
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("needs Node and npm, which this machine has not")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    found = tuple(int(part) for part in re.findall(r"\d+", version.stdout)[:2])
    if found < NODE_MIN:
        pytest.skip(f"needs Node {NODE_MIN[0]}.{NODE_MIN[1]}; this is {version.stdout.strip()}")
    quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--fetch-retries=1")
    place = installed(("npm", "install", *quiet, "--prefix"), NODE_PACKAGES, version.stdout)
    bins = place / "node_modules/.bin"
    still = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    return lambda name, *arguments, cwd: run([str(bins / name), *arguments], cwd, still)


@pytest.fixture(scope="session")
def python_generator() -> Run:
    """openapi-python-client, with libraries of its own. Skips where pip cannot install it."""
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--retries=1", "--target")
    place = installed(pip, PYTHON_PACKAGES, sys.version)
    path = {"PYTHONPATH": str(place), "PATH": f"{place / 'bin'}:{os.environ['PATH']}"}
    program = [sys.executable, "-m", "openapi_python_client"]
    return lambda *arguments, cwd: run([*program, *arguments], cwd, path)


def installed(command: Sequence[str], packages: Sequence[str], runtime: str) -> Path:
    """The directory of these packages: one that an earlier run left, or a new one that appears
    when it is complete. Skips when they cannot be installed."""
    name = hashlib.sha256("\n".join([*command, *packages, runtime]).encode()).hexdigest()[:16]
    place = CACHE / name
    if place.exists():
        return place
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        pytest.skip(f"needs the directory {CACHE}: {error.strerror}")
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="new-") as scratch:
        made = Path(scratch) / name
        made.mkdir()
        words = f"{packages[0]} and the like cannot be installed here"
        try:
            done = subprocess.run(
                [*command, str(made), *packages],
                cwd=scratch,
                capture_output=True,
                text=True,
                timeout=INSTALL_SECONDS_MAX,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"{words}: it took longer than {INSTALL_SECONDS_MAX} seconds")
        if done.returncode:
            pytest.skip(f"{words}: {command[0]} ended with {done.returncode}")
        with suppress(OSError):  # Another run was first.
            made.rename(place)
    return place


def run(
    command: Sequence[str], cwd: Path, more: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, with an environment of ours and some more."""
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS_MAX,
        check=False,
    )
