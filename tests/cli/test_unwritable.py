"""A database that takes no writes for a while: every process waits, says so once, and goes on."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from tests.cli.service import PATIENCE, Service, is_ready, stop, wait_for
from tests.real_loans import log_in

PASSWORD = "a long enough Passw0rd"
NAMES = ("serve", "follow", "clock", "seal")
END = """SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@contextmanager
def read_only(database: str) -> Iterator[None]:
    """As after a failover to a server that only follows."""
    name = conninfo_to_dict(database)["dbname"]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        connection.execute(END)
        yield
        connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())


@contextmanager
def full(database: str) -> Iterator[None]:
    """Nothing can be added to any table of the ledger, nor to those that are read."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION public.no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$"
        )
        tables = ("ledger.events", "ledger.checkpoints", "ledger.tiles", "read.users")
        for table in tables:
            connection.execute(
                f"CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {table}"
                " FOR EACH STATEMENT EXECUTE FUNCTION public.no_room()".encode()
            )
        yield
        connection.execute("DROP FUNCTION public.no_room CASCADE")


@pytest.fixture
def processes(service: Service, database: str) -> dict[str, "subprocess.Popen[str]"]:
    made = service.run("init", DATABASE_URL=database, RIM_ADMIN_PASSWORD=PASSWORD)
    assert made.returncode == 0, made.stderr
    return {name: service.start(name, DATABASE_URL=database) for name in NAMES}


@pytest.mark.parametrize(
    ("trouble", "code"), [(read_only, "database-read-only"), (full, "storage-full")]
)
def test_no_process_ends_and_each_goes_on_by_itself(
    processes: dict[str, "subprocess.Popen[str]"], database: str, trouble: object, code: str
) -> None:
    served = processes["serve"].stdout
    assert served
    url = served.readline().split()[-1]
    wait_for(lambda: is_ready(url))
    with httpx.Client(base_url=url, timeout=PATIENCE) as http:
        token = log_in(http, "admin", PASSWORD)
        user = {"phone": "08031234567", "email": "ada@rim.example", "name": "Ada"}
        before = http.post("/v1/users", json=user, headers=token)
        assert before.status_code == 201, before.text
        with trouble(database):  # type: ignore[operator]
            other = user | {"phone": "08031234568", "email": "obi@rim.example"}
            refused = http.post("/v1/users", json=other, headers=token)
            assert (refused.status_code, refused.json()["code"]) == (503, code)
            unready = http.get("/readyz")
            assert (unready.status_code, unready.json()["code"]) == (503, code)
            assert http.get("/v1/users", headers=token).status_code == 200
            time.sleep(3)  # The others look every second at most.
        wait_for(lambda: is_ready(url))
        after = http.post("/v1/users", json=other, headers=token)
        assert after.status_code == 201, after.text
        seen = token | {"Ledger-Position": after.headers["Ledger-Position"]}
        assert len(http.get("/v1/users", headers=seen).json()["items"]) == 2
    sealed = "SELECT max(size) >= (SELECT max(position) FROM ledger.events) FROM ledger.checkpoints"

    def is_sealed() -> bool:
        with psycopg.connect(database) as connection:
            return connection.execute(sealed).fetchone() == (True,)

    wait_for(is_sealed)
    for name in ("serve", "follow", "clock", "seal"):
        assert processes[name].poll() is None, processes[name].communicate()
        said = stop(processes[name])
        assert "Traceback" not in said
        assert said.count(f"waiting, {code}") <= 1, said


def test_a_process_that_starts_meanwhile_waits_too(
    processes: dict[str, "subprocess.Popen[str]"], service: Service, database: str
) -> None:
    for process in processes.values():
        process.kill()
        process.communicate()
    with read_only(database):
        late = [service.start(name, DATABASE_URL=database) for name in NAMES]
        assert late[0].stdout
        url = late[0].stdout.readline().split()[-1]
        unready = wait_for(lambda: _readyz(url))
        assert unready == (503, "database-read-only")
        time.sleep(3)
    wait_for(lambda: is_ready(url))
    for process in late:
        assert process.poll() is None, process.communicate()
        assert "Traceback" not in stop(process)


def _readyz(url: str) -> tuple[int, str] | None:
    try:
        answer = httpx.get(f"{url}/readyz", timeout=PATIENCE, verify=False)
    except httpx.TransportError:
        return None
    return answer.status_code, answer.json().get("code", "")
