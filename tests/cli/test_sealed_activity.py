"""Somebody with the database's roles hides who looked at a borrower: verify names it."""

from collections.abc import Iterator

import httpx
import psycopg
import pytest
from psycopg import errors

from rim_ledger.postgres.server import OWNER, SERVICE, EmbeddedPostgres
from tests.cli.service import PATIENCE, Service, a_service, is_ready, stop, wait_for
from tests.cli.test_seals import SEALING
from tests.real_loans import log_in

PASSWORD = "a long enough Passw0rd"
PLACES = "SELECT count(*) FROM ledger.activity_places"
LOOK = """
SELECT p.place FROM ledger.activity_places p
  JOIN ledger.activity a ON p.source = 'activity' AND p.number = a.number
 WHERE a.action = 'Read' AND a.resource = 'users' ORDER BY p.place DESC LIMIT 1"""


class Running:
    """A service with a borrower whom somebody looked at, all of it sealed."""

    def __init__(self, service: Service, url: str) -> None:
        self.service, self.url = service, url
        self.user = ""

    def database(self, role: str) -> str:
        found = EmbeddedPostgres.running(self.service.home / "postgres", role)
        assert found
        return found

    def ask(self, query: str) -> int:
        with psycopg.connect(self.database(SERVICE)) as connection:
            row = connection.execute(query.encode()).fetchone()
            return int(row[0]) if row else 0

    def look(self) -> None:
        """Register the borrower at the first time, and look at them."""
        with httpx.Client(base_url=self.url, timeout=PATIENCE) as http:
            token = log_in(http, "admin", PASSWORD)
            if not self.user:
                body = {"phone": "08031234567", "email": "ada@rim.example", "name": "Ada"}
                made = http.post("/v1/users", json=body, headers=token)
                self.user = made.json()["id"]
                token |= {"Ledger-Position": made.headers["Ledger-Position"]}
            assert http.get(f"/v1/users/{self.user}", headers=token).status_code == 200

    def sealed(self) -> None:
        """Wait until all activity is sealed, and kept outside."""
        rows = "SELECT count(*) FROM ledger.activity"
        wait_for(lambda: self.ask(PLACES) == self.ask(rows), SEALING)
        last = f"activity {self.ask(PLACES)} "
        (latest,) = (self.service.home / "checkpoints").glob("*/latest")
        wait_for(lambda: last in latest.read_text(), SEALING)

    def verify(self) -> tuple[int, str]:
        """What verify says."""
        told = self.service.run("verify")
        return told.returncode, told.stdout + told.stderr

    def change(self, *statements: str) -> None:
        """Change the tables as their owner can, past the triggers."""
        with psycopg.connect(self.database(OWNER)) as connection:
            connection.execute("SET session_replication_role = replica")
            for statement in statements:
                connection.execute(statement.encode())


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with a_service(forked=True) as service:
        process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
        wait_for(lambda: is_ready(url))
        found = Running(service, url)
        for _ in range(2):
            found.look()
            found.sealed()
        yield found
        stop(process)


def back(table: str) -> tuple[str, ...]:
    """What brings a table back from its copy."""
    insert = f"INSERT INTO {table} OVERRIDING SYSTEM VALUE SELECT * FROM public.kept"
    return f"DELETE FROM {table}", insert, "DROP TABLE public.kept"


ACTIVITY, NOTES = "ledger.activity", "ledger.checkpoints"
LOOKED = "action = 'Read' AND resource = 'users'"
OTHER = "01a208a3-804d-7d2f-b6f2-2b051c51e98b"
FALSE = f"""
INSERT INTO ledger.activity (id, admin_name, action, resource, details, timestamp, persons)
VALUES ('{OTHER}', 'admin', 'Read', 'users', '{{"outcome":"done"}}', now(), '{{{OTHER}}}')"""


@pytest.mark.parametrize(
    ("table", "statement", "found"),
    [
        (
            ACTIVITY,
            f"DELETE FROM ledger.activity WHERE {LOOKED}",
            "activity {}: the line is missing",
        ),
        (
            ACTIVITY,
            f"UPDATE ledger.activity SET persons = '{{{OTHER}}}' WHERE {LOOKED}",
            "activity {}: the line (Read) is not the one that was sealed",
        ),
        (
            ACTIVITY,
            FALSE,
            f"ledger.activity: the row {OTHER} (Read) was not written by this ledger",
        ),
        (
            NOTES,
            "DELETE FROM ledger.checkpoints WHERE number = 2",
            "checkpoint number 2 is missing",
        ),
    ],
)
def test_what_the_owner_of_the_tables_does_is_named(
    running: Running, table: str, statement: str, found: str
) -> None:
    assert running.verify()[0] == 0
    place = running.ask(LOOK)
    running.service.child("seal").suspend()  # It would refuse to go on, and say so.
    try:
        running.change(f"CREATE TABLE public.kept AS TABLE {table}", statement)
        code, told = running.verify()
        running.change(*back(table))
    finally:
        running.service.child("seal").resume()
    assert (code, found.format(place) in told) == (1, True), told
    assert running.verify()[0] == 0


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM ledger.activity WHERE {LOOKED}",
        "UPDATE ledger.activity SET persons = NULL",
        "DELETE FROM ledger.activity_places",
        "UPDATE ledger.activity_places SET number = 1",
        "DELETE FROM ledger.activity_tiles",
        "DELETE FROM ledger.activity_spans",
        "DELETE FROM ledger.checkpoints",
    ],
)
def test_the_role_of_the_service_may_change_none_of_it(running: Running, statement: str) -> None:
    with (
        psycopg.connect(running.database(SERVICE)) as connection,
        pytest.raises(errors.InsufficientPrivilege, match="permission denied"),
    ):
        connection.execute("SET rim_ledger.drops_span = 'on'")
        connection.execute(statement.encode())


def test_a_false_line_of_the_service_is_named_and_never_sealed(service: Service) -> None:
    process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    running = Running(service, url)
    wait_for(lambda: is_ready(url))
    running.look()
    running.sealed()
    count = running.ask(PLACES)
    with psycopg.connect(running.database(SERVICE)) as connection:
        connection.execute(FALSE.encode())
    code, told = running.verify()
    assert (code, OTHER in told) == (1, True), told
    again = service.run("seal")
    assert (again.returncode, "was not written by this ledger" in again.stderr) == (1, True)
    assert running.ask(PLACES) == count
    stop(process)


def test_a_day_that_is_gone_from_outside_is_missed(running: Running) -> None:
    (latest,) = (running.service.home / "checkpoints").glob("*/latest")
    (day,) = (each for each in latest.parent.glob("*-*-*"))
    aside = day.with_name("aside")
    day.rename(aside)
    code, told = running.verify()
    aside.rename(day)
    assert (code, f"{day} is missing" in told) == (1, True), told
    assert running.verify()[0] == 0


def test_activity_is_dropped_by_the_owner_alone_and_after_its_retention(running: Running) -> None:
    early = running.service.run("activity", "drop", "2026-01-01", "--reason", "too early")
    assert (early.returncode, "kept for 1825 days" in early.stderr) == (1, True), early.stderr
    nothing = running.service.run("activity", "drop", "2020-01-01", "--reason", "five years")
    assert (nothing.returncode, "no activity from before" in nothing.stdout) == (0, True)
