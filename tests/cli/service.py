"""A whole service in real processes, started and looked at from outside."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from rim_ledger.postgres.server import EmbeddedPostgres
from tests.cli import forks
from tests.places import TEMPORARY

TREE = Path(__file__).parents[2]
Started = forks.Forked | subprocess.Popen[str]
PATIENCE = 240.0
"""Seconds that anything may take that should be quick; only a failing test waits so long."""


class Service:
    """A home, and the commands that are run on it."""

    def __init__(self, home: Path, *, forked: bool = False) -> None:
        """Name the home, and whether `start` and `up` fork what they start from a process that has
        imported the program; otherwise they run the program as people do."""
        self.home, self.forked = home, forked
        self.started: list[Started] = []

    def environment(self, **settings: str) -> dict[str, str]:
        """The environment of a command: nothing of ours but what a program needs."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        ours = {"PYTHONPATH": str(TREE), "RIM_HOME": str(self.home), "RIM_PORT": "0"}
        return kept | ours | settings

    def run(
        self, *arguments: str, patience: float = PATIENCE, **settings: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end, within some seconds."""
        environment = self.environment(**settings)
        return forks.run(arguments, environment, self.home.parent, patience)

    def start(self, *arguments: str, **settings: str) -> Started:
        """Start a command; its lines can be read as they come."""
        environment, place = self.environment(**settings), self.home.parent
        process: Started
        if self.forked:
            process = forks.Forked(arguments, environment, place)
        else:
            process = subprocess.Popen(
                command(*arguments),
                env=environment,
                cwd=place,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def up(self, **settings: str) -> tuple[Started, str, str]:
        """Start everything; the process, the address and what was said before."""
        process = self.start("up", **settings)
        assert process.stdout
        said = ""
        for line in process.stdout:
            said += line
            if ready := re.search(r"ready at (\S+)", line):
                # It is ready to answer: the others may still be on their way, and reads need them.
                for child in psutil.Process(process.pid).children():
                    wait_for(lambda child=child: is_at_work(child))
                return process, ready[1], said
        raise AssertionError(f"up ended before it was ready:\n{said}")

    def processes(self) -> list[psutil.Process]:
        """Everything that lives on this home: our commands, and PostgreSQL."""
        place, found = str(self.home.parent), []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):  # Also one at its end, which is in no place.
                if process.cwd().startswith(place):
                    found.append(process)
        return found

    def child(self, name: str) -> psutil.Process:
        """The child of `up` that runs a command."""

        def those() -> list[psutil.Process]:
            found = []
            for process in self.processes():
                with contextlib.suppress(psutil.Error):
                    executed = ["api.cli.child", name] == process.cmdline()[3:5]
                    if executed or process.name() == name:
                        found.append(process)
            return found

        return wait_for(those)[0]

    def postmaster(self) -> psutil.Process:
        """The server of its PostgreSQL, once that answers."""

        def found() -> psutil.Process | None:
            for file in (self.home / "postgres").glob("pg*/postmaster.pid"):
                # While it starts, the file may be empty or name the one before.
                with contextlib.suppress(OSError, IndexError, psutil.NoSuchProcess):
                    if EmbeddedPostgres.running(self.home / "postgres"):
                        return psutil.Process(int(file.read_text().split()[0]))
            return None

        return wait_for(found)  # type: ignore[no-any-return]

    def end(self) -> None:
        """Leave nothing behind, not even after a test that failed."""
        for process in self.started:
            with process:
                process.kill()
        with contextlib.suppress(AssertionError):
            wait_for(lambda: not self.processes(), 60)
        for left in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                left.kill()


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "api.cli.main", *arguments]


@contextlib.contextmanager
def a_service(*, forked: bool = False) -> Iterator[Service]:
    """A service on a fresh home, ended and cleared away afterwards."""
    with tempfile.TemporaryDirectory(prefix="rim-up-", dir=TEMPORARY) as place:
        Path(place).chmod(0o755)
        service = Service(Path(place) / "home", forked=forked)
        try:
            yield service
        finally:
            service.end()


def wait_for(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What the condition answers, once that is something."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "this took too long"
        time.sleep(0.05)
    return found


def stop(process: Started, wish: int = signal.SIGTERM) -> str:
    """Ask a command to stop, see that it does so in good order; what it said."""
    process.send_signal(wish)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    return said


def is_ready(url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        # Certificates, which are not needed, take longer to load than the answer takes.
        return httpx.get(f"{url}/readyz", timeout=PATIENCE, verify=False).status_code == 200
    return False


def is_at_work(process: psutil.Process) -> bool:
    """Whether a command has come to its database, and so knows how to stop."""
    with contextlib.suppress(psutil.Error):
        return bool(process.net_connections("unix"))
    return False


@contextlib.contextmanager
def a_taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def a_kept_port() -> tuple[socket.socket, int]:
    """A port for one who listens there later and again: nobody else is given it meanwhile, as it
    is bound already. Whoever listens binds it beside this socket, which does not listen."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept, kept.getsockname()[1]
