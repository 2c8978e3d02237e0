"""Commands whose standard output is full, closed, or read by nobody any more."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import httpx
import pytest

from tests.cli import forks
from tests.cli.service import PATIENCE, Service, a_service, command, is_ready, stop, wait_for
from tests.cli.test_seals import PASSWORD, kept

FULL = Path("/dev/full")
OUTPUT_LOST = 74
LOST = "rim-ledger: standard output cannot be written to: No space left on device\n"

pytestmark = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    """A service that runs, and whose own output is lost from the first line on."""
    with a_service() as service:
        with FULL.open("w") as full:
            process = subprocess.Popen(
                command("up"),
                env=service.environment(RIM_ADMIN_PASSWORD=PASSWORD),
                cwd=service.home.parent,
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        service.started.append(process)
        wait_for(lambda: list(service.home.glob("checkpoints/*/latest")))
        yield service
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE)
        assert (process.returncode, "Traceback" in said) == (OUTPUT_LOST, False), said
        assert said.endswith(LOST)


def run(service: Service, *words: str, stdout: IO[str], **settings: str) -> tuple[int, str]:
    """A command with another standard output: its exit code, and what it said beside."""
    environment, place = service.environment(**settings), service.home.parent
    done = forks.run(words, environment, place, PATIENCE, stdout.fileno())
    return done.returncode, done.stderr


def run_full(service: Service, *words: str, **settings: str) -> tuple[int, str]:
    with FULL.open("w") as full:
        return run(service, *words, stdout=full, **settings)


def run_unread(service: Service, *words: str, **settings: str) -> tuple[int, str]:
    """The same for a pipe whose reader has left."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        return run(service, *words, stdout=pipe, **settings)


COMMANDS = (
    ["status"],
    ["status", "--json"],
    ["init"],
    ["verify"],
    ["rebuild", "--check"],
    ["unlock", "ada"],
    ["tick"],
    ["export", "--to", "-"],
    ["outbound", "on"],
    ["--help"],
    ["--version"],
    ["verify", "--help"],
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_no_command_minds_where_its_output_goes(running: Service, words: list[str]) -> None:
    code, said = run_full(running, *words)
    assert (code, said.endswith(LOST), said.count("standard output")) == (OUTPUT_LOST, True, 1)
    assert "Traceback" not in said
    code, said = run_unread(running, *words)
    assert (code, "Traceback" in said, "output" in said) == (0, False, False), said


def test_a_log_that_was_changed_is_told_from_an_output_that_was_lost(running: Service) -> None:
    place = str(running.home.parent / "out")
    assert running.run("export", "--to", place).returncode == 0
    words = ["verify", "--export", place, "--key", str(kept(running, "key"))]
    assert run_full(running, *words)[0] == OUTPUT_LOST
    file = next(Path(place).glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-1])
    for code, said in (run_full(running, *words), run_unread(running, *words)):
        assert (code, "Traceback" in said) == (1, False), said


def test_closed_descriptors_are_no_ones_else(running: Service) -> None:
    shell = ["sh", "-c", '"$@" >&- 2>&- <&-', "sh", *command("status")]
    done = subprocess.run(
        shell, env=running.environment(), cwd=running.home.parent, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0


def test_the_first_password_is_said_where_it_is_read_or_not_made(service: Service) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            command("init"),
            env=service.environment(),
            cwd=service.home.parent,
            stdout=full,
            stderr=full,
            check=False,
            timeout=PATIENCE,
        )
    assert done.returncode == 1
    code, said = run_unread(service, "init")
    assert code == 0, said
    (password,) = re.findall(r"the first login is admin with the password (\S+) \(shown", said)
    process, url, said = service.up()
    wait_for(lambda: is_ready(url))
    assert "the first login" not in said
    body = {"username": "admin", "password": password}
    assert httpx.post(f"{url}/v1/auth/login", json=body, timeout=PATIENCE).status_code == 200
    stop(process)


def test_a_password_that_would_go_nowhere_is_said_beside(service: Service) -> None:
    with Path(os.devnull).open("w") as nowhere:
        code, said = run(service, "init", stdout=nowhere)
    assert (code, said.count("the first login is admin")) == (0, 1)
