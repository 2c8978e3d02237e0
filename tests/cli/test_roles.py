"""The processes of the service log in as a role that cannot change the log."""

import os
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from rim_ledger.postgres.server import OWNER, SERVICE, EmbeddedPostgres
from tests.cli.service import PATIENCE, Service, a_service, is_ready, stop, wait_for
from tests.real_loans import log_in

PASSWORD = "a long enough Passw0rd"
KEPT = ("ledger.events", "ledger.checkpoints", "ledger.activity", "ledger.refused_requests")


@pytest.fixture
def service() -> Iterator[Service]:
    """A service whose processes run the program from the start, as people do."""
    with a_service() as service:
        yield service


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Service, str]]:
    with a_service() as service:
        process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
        wait_for(lambda: is_ready(url))
        yield service, url
        stop(process)


def database(service: Service, role: str = SERVICE) -> str:
    found = EmbeddedPostgres.running(service.home / "postgres", role)
    assert found
    return found


def test_every_session_of_the_service_is_of_the_role_that_may_only_add(
    running: tuple[Service, str],
) -> None:
    service, url = running
    with httpx.Client(base_url=url, timeout=PATIENCE) as http:
        token = log_in(http, "admin", PASSWORD)
        body = {"phone": "08031234567", "email": "ada@rim.example", "name": "Ada"}
        made = http.post("/v1/users", json=body, headers=token)
        assert made.status_code == 201, made.text
        seen = token | {"Ledger-Position": made.headers["Ledger-Position"]}
        assert http.get("/v1/users", headers=seen).json()["items"]
    # A connection that is just being made has no role yet.
    query = (
        "SELECT DISTINCT usename FROM pg_stat_activity WHERE backend_type = 'client backend'"
        " AND pid <> pg_backend_pid() AND usename IS NOT NULL"
    )
    with psycopg.connect(database(service, OWNER)) as connection:
        assert connection.execute(query).fetchall() == [(SERVICE,)]
        rights = "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles"
        of_service = f"{rights} WHERE rolname = '{SERVICE}'".encode()
        assert connection.execute(of_service).fetchone() == (False,) * 4


@pytest.mark.parametrize("table", KEPT)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_that_role_cannot_change_what_is_kept(
    running: tuple[Service, str], table: str, statement: str
) -> None:
    changes = ("body = '{}'", "note = ''", "action = ''", "amount = 1")
    columns = dict(zip(KEPT, changes, strict=True))
    with (
        psycopg.connect(database(running[0])) as connection,
        pytest.raises(errors.InsufficientPrivilege, match="permission denied"),
    ):
        connection.execute(statement.format(table, columns[table]).encode())


@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE rim_owner",
        "SET session_replication_role = replica",
        "ALTER TABLE ledger.events DISABLE TRIGGER ALL",
        "CREATE TABLE ledger.mine ()",
        "DROP TABLE read.users",
        "CREATE ROLE another",
        "ALTER ROLE rim_service SUPERUSER",
    ],
)
def test_that_role_cannot_become_more(running: tuple[Service, str], statement: str) -> None:
    with (
        psycopg.connect(database(running[0])) as connection,
        pytest.raises(errors.InsufficientPrivilege),
    ):
        connection.execute(statement.encode())


def test_every_command_works_as_its_role(running: tuple[Service, str]) -> None:
    service, _ = running
    for words in (["tick"], ["status"], ["verify"], ["backup"], ["unlock", "ada"], ["init"]):
        done = service.run(*words)
        assert done.returncode == 0, (words, done.stdout + done.stderr)
    for words in (["rebuild"], ["rotate-keys"], ["export", "--to", str(service.home / "out")]):
        done = service.run(*words)
        assert done.returncode == 0, (words, done.stdout + done.stderr)


def test_no_child_is_told_the_first_password(running: tuple[Service, str]) -> None:
    service, _ = running
    for name in ("serve", "follow", "clock", "seal"):
        told = service.child(name).environ()
        assert told["RIM_HOME"] == str(service.home)
        assert PASSWORD not in told.values()


def test_with_a_database_of_ones_own_two_roles_do_as_well(
    service: Service, database: str, server: str
) -> None:
    """The owner by RIM_DATABASE_OWNER_URL, the processes as a member of rim_service."""
    name, there = f"rim_app_{os.getpid()}", conninfo_to_dict(database)
    make = f"CREATE ROLE {name} LOGIN PASSWORD 'secret' IN ROLE rim_service"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(make.encode())
    url = f"postgresql://{name}:secret@/{there['dbname']}?host={there['host']}&port=5432"
    users = (
        "SELECT DISTINCT usename FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    try:
        process, api, _ = service.up(
            DATABASE_URL=url, RIM_DATABASE_OWNER_URL=database, RIM_ADMIN_PASSWORD=PASSWORD
        )
        wait_for(lambda: is_ready(api))
        with psycopg.connect(database) as connection:
            users = (
                "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = current_database()"
            )
            found = {user for (user,) in connection.execute(f"{users} AND pid <> pg_backend_pid()")}
        assert found == {name}
        assert "RIM_DATABASE_OWNER_URL" not in service.child("serve").environ()
        said = stop(process)
        assert "Traceback" not in said
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP ROLE {name}".encode())
