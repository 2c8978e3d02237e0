"""Real PostgreSQL for the tests that ask for it: one server a run, a fresh database a test."""

import atexit
import gc
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
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
settings.load_profile("same")


os.environ["TMPDIR"] = tempfile.tempdir = TEMPORARY  # Of every process of the run.

WHOLE: Final = {Path(__file__).with_name(name): name for name in ("cli", "soak")}
"""Directories of tests that start processes, and a database for them."""


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a database: `make fast` leaves it out."""
    for item in items:
        asks = {"server", "database"} & set(getattr(item, "fixturenames", ()))
        if asks or WHOLE.keys() & set(item.path.parents):
            item.add_marker(pytest.mark.database)


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
            yield url


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
    with psycopg.connect(server, autocommit=True) as connection:
        copied = f"TEMPLATE {template} STRATEGY FILE_COPY"  # Half the CPU time of WAL_LOG.
        connection.execute(f"CREATE DATABASE {name} {copied}".encode())
        yield server.replace("/rim_ledger?", f"/{name}?")
        drop(connection, name)


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
