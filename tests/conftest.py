"""Real PostgreSQL for the tests that ask for it: one server a run, a fresh database a test."""

import atexit
import gc
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NoReturn
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from psycopg import generators

from rim_ledger.postgres.migrations import migrate
from rim_ledger.postgres.programs import PostgresPrograms
from rim_ledger.postgres.server import OWNER, EmbeddedPostgres
from tests.places import TEMPORARY

# Each run tries the same examples, however slowly; `make soak` tries others.
settings.register_profile(
    "same", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("few", settings.get_profile("same"), max_examples=10)
settings.load_profile("same")


os.environ["TMPDIR"] = tempfile.tempdir = TEMPORARY  # Of every process of the run.

WHOLE: Final = {Path(__file__).with_name(name): name for name in ("cli", "soak")}
"""Directories of tests that start processes, and a database for them."""
LONG: Final = {*WHOLE, Path(__file__).with_name("postgres")}


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of async tests."""
    return "asyncio"


def pytest_configure(config: pytest.Config) -> None:
    """Name a path that is not there: its workers would only say that they ran no test."""
    for each in config.args:
        path = each.partition("::")[0]
        if not (config.invocation_params.dir / path).exists():
            raise pytest.UsageError(f"there is no file or directory {path}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what is left out whole."""
    left_out, name = str(config.option.markexpr), WHOLE.get(collection_path)
    return bool(name and ("not database" in left_out or f"not {name}" in left_out)) or None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """While tests are imported hardly anything becomes garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """What is there now stays: the collector of garbage need not look at it again and again."""
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # Some libraries count at the end what was not freed.


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, object, object]:
    """Mark what needs a database: `make fast` leaves it out. Each worker begins with its share of
    the longest modules, so that none is left with one at the end."""
    for item in items:
        asks = {"server", "database"} & set(getattr(item, "fixturenames", ()))
        if asks or WHOLE.keys() & set(item.path.parents):
            item.add_marker(pytest.mark.database)
    result = yield
    modules = [list(some) for _, some in groupby(items, lambda item: item.path)]
    modules.sort(key=lambda some: LONG.isdisjoint(some[0].path.parents))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    items[:] = [item for nth in range(workers) for some in modules[nth::workers] for item in some]
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    with _as_marked(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    with _as_marked(item):
        return (yield)


@contextmanager
def _as_marked(item: pytest.Item) -> Iterator[None]:
    """A test that is not marked fails when it starts PostgreSQL or connects to one."""
    with pytest.MonkeyPatch.context() as patch:
        if not item.get_closest_marker("database"):
            patch.setattr(generators, "connect", _refuse)
            patch.setattr(PostgresPrograms, "run", _refuse)
        yield


def _refuse(*_: object, **__: object) -> NoReturn:
    pytest.fail("only a test that is marked `database` uses PostgreSQL")


@contextmanager
def a_server() -> Iterator[str]:
    """A PostgreSQL server, with a migrated template database; its libpq URL."""
    with tempfile.TemporaryDirectory(prefix="rim-ledger-") as place:
        Path(place).chmod(0o755)
        with EmbeddedPostgres(Path(place) / "home", durable=False, role=OWNER) as url:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("CREATE DATABASE template_ledger")
            migrate(url.replace("/rim_ledger?", "/template_ledger?"))
            with closing(_owner(url)):
                yield url


@cache
def _owner(server: str) -> psycopg.Connection[Any]:
    """The connection that makes and drops databases."""
    return psycopg.connect(server, autocommit=True)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The server of all tests."""
    with a_server() as url:
        yield url


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """The URL of an empty, migrated ledger."""
    with a_database(server, "template_ledger") as url:
        yield url


@contextmanager
def a_database(server: str, template: str = "template0") -> Iterator[str]:
    """The URL of a database of its own, a copy of the template."""
    name = f"test_{uuid4().hex}"
    copied = f"TEMPLATE {template} STRATEGY FILE_COPY"  # Half the CPU time of WAL_LOG.
    _owner(server).execute(f"CREATE DATABASE {name} {copied}".encode())
    yield server.replace("/rim_ledger?", f"/{name}?")
    drop(_owner(server), name)


def drop(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop a database, whoever is in it or on the way there.

    A client that was cancelled before it logged in may keep its connection until its memory is
    collected. DROP DATABASE waits for every process of the server, for such a one a minute.
    """
    connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'starting'"
    )
    connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def empty(server: str) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    with a_database(server) as url:
        yield url
