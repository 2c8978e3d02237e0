"""No process works on with the tables of another version of the program."""

import httpx
import psycopg
import pytest

from projections.tables.schema import Outdated
from rim_ledger.postgres.server import OWNER, EmbeddedPostgres
from tests.cli.service import PATIENCE, Service, wait_for

PASSWORD = "a long enough Passw0rd"
PROCESSES = ("serve", "follow", "clock", "seal")
TAKEN = "COMMENT ON SCHEMA read IS 'of tomorrow'"


def change(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_all_processes_end_when_another_version_takes_over(service: Service) -> None:
    process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    assert httpx.get(f"{url}/readyz", timeout=PATIENCE).status_code == 200
    database = EmbeddedPostgres.running(service.home / "postgres", OWNER)
    assert database
    change(database, TAKEN)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == Outdated.exit_code, said
    assert "started again" not in said
    assert "Traceback" not in said
    told = [line for line in said.splitlines() if " INFO " not in line]
    assert all(line.startswith("rim-ledger: ") for line in told), said
    wait_for(lambda: not service.processes())


@pytest.mark.parametrize("name", PROCESSES)
def test_each_process_ends_with_one_line_and_is_refused_at_its_next_start(
    service: Service, database: str, name: str
) -> None:
    given = {"DATABASE_URL": database}
    assert service.run("init", **given).returncode == 0
    process = service.start(name, **given)
    query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE %s"

    def watches() -> bool:
        with psycopg.connect(database) as connection:
            return bool(connection.execute(query, ["%pg_namespace%"]).fetchall())

    wait_for(watches)
    change(database, TAKEN)
    said, _ = process.communicate(timeout=PATIENCE)
    begun = ("answers at", " INFO ")
    lines = [line for line in said.splitlines() if not any(each in line for each in begun)]
    assert (process.returncode, len(lines)) == (Outdated.exit_code, 1), said
    assert "another version of the program" in lines[0]
    again = service.run(name, **given)
    assert (again.returncode, again.stderr.count("\n")) == (Outdated.exit_code, 1), again.stderr
    assert "another version of the program" in again.stderr
