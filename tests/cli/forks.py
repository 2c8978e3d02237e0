"""Runs commands in processes that are forked from one that has imported the program.

To import it takes most of the CPU time of a command. Arguments, environment, directory, output and
exit code are the same as those of a process that starts from nothing.
"""

import atexit
import contextlib
import logging
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from multiprocessing.reduction import DupFd
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self

# What commands import, so that the process that forks has it.
from api.cli import (  # noqa: F401
    activity_commands,
    admin_commands,
    backup_commands,
    backup_list,
    clock,
    main,
    server,
    supervisor,
)
from projections.proofs import sealer
from rim_ledger.admin import passwords
from rim_ledger.postgres.server import OWNER, EmbeddedPostgres

FORKS: Final = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([__name__])


class Descriptor:
    """An open file, which a forked process gets as a descriptor of its own."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (DupFd(self.number),)


def _received(sent: Any) -> Descriptor:
    return Descriptor(sent.detach())


class Forked:
    """A command that was started, with what tests use of Popen: `stdout` has all that it prints."""

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str], place: Path
    ) -> None:
        reader, writer = os.pipe()
        self.stdout = os.fdopen(reader)
        self._process = _start(arguments, environment, place, writer, writer)
        os.close(writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        self.wait()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises TimeoutExpired after so many seconds."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("rim-ledger", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """What it prints until its end, which comes within so many seconds after that."""
        with self.stdout:
            printed = self.stdout.read()
        self.wait(timeout)
        return printed, None


def run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    place: Path,
    seconds: float,
    stdout: int | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; what it printed, unless that goes to the descriptor `stdout`.
    Raises TimeoutExpired after so many seconds."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        given = out.fileno() if stdout is None else stdout
        process = _start(arguments, environment, place, given, err.fileno())
        process.join(seconds)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(list(arguments), seconds)
        printed = [file.seek(0) or file.read() for file in (out, err)]
    return subprocess.CompletedProcess(list(arguments), process.exitcode, *printed)


def _start(
    arguments: Sequence[str], environment: Mapping[str, str], place: Path, out: int, err: int
) -> "multiprocessing.context.ForkServerProcess":
    given = arguments, environment, place, _initialized(), Descriptor(out), Descriptor(err)
    process = FORKS.Process(target=_run, args=given)
    process.start()
    return process


@cache
def _initialized() -> Path:
    """The home of a PostgreSQL that was started once."""
    home = Path(tempfile.mkdtemp(prefix="rim-initialized-"))
    atexit.register(shutil.rmtree, home)
    home.chmod(0o755)
    with EmbeddedPostgres(home / "postgres", durable=False, role=OWNER):
        return home / "postgres"


def _run(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    place: Path,
    initialized: Path,
    out: Descriptor,
    err: Descriptor,
) -> None:
    """What a forked process does."""
    for number, output, name in ((1, out, "stdout"), (2, err, "stderr")):
        os.dup2(output.number, number)
        stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        for each in (name, f"__{name}__"):
            setattr(sys, each, stream)
    os.setsid()
    os.chdir(place)
    supervisor.subprocess = SimpleNamespace(**vars(subprocess) | {"Popen": _fork})  # type: ignore[assignment]
    sealer.EVERY_SECONDS = 1.0  # type: ignore[misc]

    def create(made: EmbeddedPostgres) -> None:
        """A data directory is a copy, with the secrets of its roles."""
        files = [*initialized.glob("pg*"), *initialized.glob("*.pgpass")]
        subprocess.run(["cp", "-a", *map(str, files), str(made.home)], check=True)

    EmbeddedPostgres._create = create  # type: ignore[method-assign]
    _become(arguments, environment, ())
    main.main()


def _fork(
    command: Sequence[str], *, env: Mapping[str, str], pass_fds: Collection[int], **more: Any
) -> "subprocess.Popen[bytes]":
    """Start a child of `up`, which is forked as well: it does not come back to execute anything."""

    def run_child() -> None:
        name, *arguments = command[command.index("api.cli.child") + 1 :]
        _become([name, *arguments], env, pass_fds)
        with contextlib.suppress(OSError):  # By its name it is found.
            Path("/proc/self/comm").write_text(name)
        passwords._one_at_a_time = ThreadPoolExecutor(max_workers=1)  # Its thread is in `up`.
        runpy.run_module("api.cli.child", run_name="__main__")

    # The one thread of `up`, which hashes passwords, has nothing to do by now.
    return subprocess.Popen(command, preexec_fn=run_child, pass_fds=pass_fds, **more)  # noqa: PLW1509


def _become(
    arguments: Sequence[str], environment: Mapping[str, str], kept: Collection[int]
) -> None:
    """Forget what the process that forked had: files other than these, environment, log."""
    found = {int(each.name) for each in Path("/dev/fd").iterdir()}
    for number in found - {0, 1, 2, *kept}:
        with contextlib.suppress(OSError):  # That which listed them is closed by now.
            os.close(number)
    logging.root.handlers.clear()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = arguments
    random.seed()
