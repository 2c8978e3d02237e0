"""`up`: the whole service in the foreground, without processes that outlive it."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from api.cli import logs
from api.cli.listener import address, listen
from api.cli.output import print_once
from api.cli.sealing import make_key, require_consistent
from api.cli.status import RUNNING, readiness
from api.config.database import accepts_connections, database, prepare, update_ledger
from api.config.settings import Settings, variables
from projections.tables.schema import Outdated
from rim_ledger.operator_error import OperatorError
from rim_ledger.postgres.server import EmbeddedPostgres, PostgresUnavailable
from rim_ledger.signals import STOPPING, uninterrupted

POLL_SECONDS: Final = 0.1
"""Poll interval of the children."""
DATABASE_POLL_SECONDS: Final = 1.0
"""Poll interval of the database."""
OUTAGE_RESTART_SECONDS: Final = 1.0
"""Seconds until a child that ended during a database outage is restarted."""
BACK_OFF_MAX: Final = 5.0
"""Maximum of seconds until a crashed child is restarted."""
CRASHES_MAX, CRASHES_WITHIN = 5, 60.0
"""This many crashes of an essential child within this many seconds stop the service. Without
follower or clock it goes on, and `/readyz` reports them."""
METRICS: Final = "metrics"
"""The link in RIM_HOME to where several API processes share what they count."""
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
"""Where Linux keeps files in memory."""
STOP: Final = {"serve": 5.5, "follow": 7.0, "clock": 8.0, "seal": 8.5}
"""Seconds from the stop signal until a child of each kind is killed."""


class Child:
    """One process of the service, restarted when it ends unasked."""

    def __init__(
        self,
        command: str,
        *arguments: str,
        inherit: tuple[int, ...] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
        essential: bool = False,
    ) -> None:
        self.command, self._essential = command, essential
        self._environment = environment
        self._arguments, self._inherit = arguments, inherit
        self._crashes: deque[float] = deque(maxlen=CRASHES_MAX)
        self._due = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def tend(self, url: str) -> None:
        """Start the process if it should run and does not. Raises OperatorError for an essential
        one that keeps crashing, Outdated when another version has taken over."""
        now = time.monotonic()
        if self._process and (code := self._process.poll()) is not None:
            self._ended(code, now, away=not accepts_connections(url))
        if self._process is None and now >= self._due:
            # -P: do not import an `api` from the working directory.
            command = [sys.executable, "-P", "-m", "api.cli.child", self.command]
            with uninterrupted():  # Otherwise a child just started could be missed.
                self._process = subprocess.Popen(
                    [*command, *self._arguments],
                    stdin=subprocess.PIPE,  # Never written to: its end signals ours.
                    env={**inherited(os.environ), **self._environment},
                    pass_fds=self._inherit,
                    start_new_session=True,  # Ctrl-C is for us, who stop the children in order.
                )

    def ask_to_stop(self) -> None:
        if self._process:
            self._process.terminate()

    def stop(self, deadline: float) -> None:
        """Wait for the end, and kill at the deadline (monotonic seconds)."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            _report(f"{self.command} did not stop in time and was killed")
            self._process.kill()
        self._forget()

    def _forget(self) -> None:
        if self._process:
            with self._process:  # Waits for the end, and closes its standard input.
                self._process = None

    def _ended(self, code: int, now: float, *, away: bool) -> None:
        """Schedule the restart. An end during a database outage is not counted as a crash."""
        self._forget()
        if code == Outdated.exit_code:
            raise Outdated(f"{self.command} has ended: the read tables are another version's")
        if not away:
            self._crashes.append(now)
        recent = [crash for crash in self._crashes if crash > now - CRASHES_WITHIN]
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        if len(recent) == CRASHES_MAX and self._essential:
            raise OperatorError(
                f"{self.command} crashed {CRASHES_MAX} times in a minute (last: {how})"
            )
        wait = OUTAGE_RESTART_SECONDS if away else min(BACK_OFF_MAX, 0.25 * 2 ** len(recent))
        self._due = now + wait
        _report(f"{self.command} ended with {how}; it is started again in {wait:g} s")


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child: without secrets that only a start needs."""
    settings = ("admin_password", "officer_password", "database_owner_url")
    withheld = {name for each in settings for name in variables(each)}
    return {name: value for name, value in environment.items() if name.upper() not in withheld}


def up(settings: Settings) -> None:
    """Run everything until a stop signal, then shut down in order within ten seconds.

    Raises OperatorError when the service cannot run here, and Outdated when another version of the
    program takes over its tables.
    """
    with _locked(settings.home), _stopping_once(), listen(settings) as listener:
        (settings.home / RUNNING).write_text(address(listener))
        with database(settings, owner=True) as url:
            bring_up_to_date(settings, url)
            with _shared_metrics(settings) as environment:
                _keep_running(settings, url, listener, environment)
        _report("stopped")


def bring_up_to_date(settings: Settings, url: str) -> list[str]:
    """Make or migrate the ledger in a database, as its owner; gives what was missing."""
    lacking = update_ledger(url)
    asyncio.run(require_consistent(settings, url))
    lacking += prepare(settings, url, first_login)
    asyncio.run(make_key(settings, url))
    return lacking


def _keep_running(
    settings: Settings, url: str, listener: socket.socket, environment: Mapping[str, str]
) -> None:
    fd = listener.fileno()
    children = [
        Child("serve", "--fd", str(fd), inherit=(fd,), environment=environment, essential=True)
        for _ in range(settings.workers)
    ]
    children += [Child("follow"), Child("clock"), Child("seal")]
    ready, look = False, time.monotonic() + DATABASE_POLL_SECONDS
    try:
        while True:
            for child in children:
                child.tend(url)
            if not ready and (ready := readiness(*listener.getsockname()[:2])[0]):
                _report(f"ready at {address(listener)}")
            if settings.database_url is None and time.monotonic() > look:
                _revive(settings)
                look = time.monotonic() + DATABASE_POLL_SECONDS
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        _report("stopping")
    finally:
        listener.close()
        _stop(children)


def first_login(username: str, password: str) -> None:
    """Print a generated password, which is stored nowhere in clear. Raises OperatorError."""
    words = f"the first login is {username} with the password {password} (shown only once)"
    print_once(f"rim-ledger: {words}")


def _stop(children: list[Child]) -> None:
    """Stop one kind after the other: API, follower, clock, sealer."""
    begun = time.monotonic()
    for command, seconds in STOP.items():
        of_kind = [child for child in children if child.command == command]
        for child in of_kind:
            child.ask_to_stop()
        for child in of_kind:
            child.stop(begun + seconds)


def _revive(settings: Settings) -> None:
    """Restart our own PostgreSQL whenever it was killed."""
    home = settings.home / "postgres"
    for left in reversed(range(CRASHES_MAX)):
        if EmbeddedPostgres.running(home) is not None:
            return
        _report("PostgreSQL is gone; it is started again")
        try:
            with EmbeddedPostgres(home):
                pass  # We hold it since the start, so leaving this block does not stop it.
        except PostgresUnavailable:
            if not left:
                raise


@contextlib.contextmanager
def _shared_metrics(settings: Settings) -> Iterator[dict[str, str]]:
    """The environment by which several API processes count in one place, a directory in memory:
    they write to it as to memory, which a full disk would kill them for.

    A link in the home tells where it is, so that what a killed `up` left is removed by the next.
    """
    link = settings.home / METRICS
    if link.is_symlink():
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()
    if settings.workers == 1:
        yield {}
        return
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="rim-ledger-", dir=memory) as place:
        link.symlink_to(place)
        yield {"PROMETHEUS_MULTIPROC_DIR": place}
        link.unlink()


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Hold an exclusive lock on the home; the kernel releases it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(home / RUNNING, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OperatorError(
                f"RIM Ledger already runs on {home}: stop it first, or set another RIM_HOME"
            ) from None
        yield
    finally:
        os.close(file)


@contextlib.contextmanager
def _stopping_once() -> Iterator[None]:
    """Turn the first stop signal into a KeyboardInterrupt, and ignore any other."""

    def stop(*_: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.getsignal(each) for each in STOPPING}
    for each in before:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _report(line: str) -> None:
    logs.report(line, sys.stdout)
