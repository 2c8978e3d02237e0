"""`rotate-keys` from outside: killed in the middle, beside a running service, and refused."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator

import httpx
import psycopg

from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.postgres.server import EmbeddedPostgres
from rim_ledger.vault.key_ring import open_ring
from rim_ledger.vault.personal_keys import Vault
from tests.cli.service import PATIENCE, Service, command, stop

OLD, NEW = "the master secret of the beginning", "the master secret that comes after it"
BOTH = {"RIM_SECRET_KEY": NEW, "RIM_SECRET_KEY_PREVIOUS": OLD}
PASSWORD = "correct horse battery staple"
ADA = {"phone": "08031234567", "email": "ada@example.com", "name": "Ada Obi"}
PERSONS = 5_000


@contextlib.contextmanager
def _log_in(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, timeout=PATIENCE) as http:
        body = {"username": "admin", "password": PASSWORD}
        token = http.post("/v1/auth/login", json=body).raise_for_status().json()["token"]
        http.headers["authorization"] = f"Bearer {token}"
        yield http


def _register(http: httpx.Client, number: int) -> dict[str, str]:
    """A borrower's row as it is read again."""
    body = ADA | {"phone": f"0803123456{number}", "email": f"ada{number}@example.com"}
    prefer = {"prefer": "return=representation"}
    return dict(http.post("/v1/users", json=body, headers=prefer).raise_for_status().json())


def test_the_keys_are_rotated_while_the_service_runs_and_it_goes_on_with_the_new_secret(
    service: Service,
) -> None:
    old = {"RIM_SECRET_KEY": OLD, "RIM_ADMIN_PASSWORD": PASSWORD}
    process, url, _ = service.up(**old)
    with _log_in(url) as http:
        before = _register(http, 1)
    stop(process)

    process, url, _ = service.up(**BOTH)
    with _log_in(url) as http:
        rotated = service.run("rotate-keys", **BOTH)
        assert (rotated.returncode, rotated.stdout) == (
            0,
            "the keys are rotated; wrapped anew: 4\n",
        )
        assert http.get(f"/v1/users/{before['id']}").json() == before
        sent = http.patch(f"/v1/users/{before['id']}", json={"name": "Ada Eze"})
        assert sent.is_success, "the person's words are sealed under a key that was wrapped anew"
        assert _register(http, 2)["name"] == "Ada Obi"
    stop(process)

    refused = service.run("up", RIM_SECRET_KEY=OLD)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "RIM_SECRET_KEY" in refused.stderr
    assert OLD not in refused.stderr

    process, url, _ = service.up(RIM_SECRET_KEY=NEW)
    with _log_in(url) as http:
        assert http.get(f"/v1/users/{before['id']}").json()["name"] == "Ada Eze"
        taken = http.post("/v1/users", json=ADA | {"phone": "08031234561"})
        assert taken.json()["code"] == "phone-taken", "a phone is known by the same fingerprint"
    stop(process)


def test_a_rotation_that_is_killed_in_the_middle_is_brought_to_its_end(service: Service) -> None:
    assert service.run("init", RIM_SECRET_KEY=OLD).returncode == 0
    environment = SystemEnvironment()
    with EmbeddedPostgres(service.home / "postgres") as url:
        vault = Vault(open_ring(url, [OLD.encode()], environment), environment)
        people = {environment.new_id() for _ in range(PERSONS)}
        rows = [(person, vault.make_key(person)[1]) for person in people]
        with psycopg.connect(url) as connection:
            insert = "INSERT INTO ledger.personal_keys VALUES (%s, %s)"
            connection.cursor().executemany(insert, rows)

        process = subprocess.Popen(
            command("rotate-keys"),
            env=service.environment(**BOTH),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        with process:
            assert process.stderr
            assert process.stderr.readline().startswith("keys: ")
            process.send_signal(signal.SIGKILL)
        rest = service.run("rotate-keys", RIM_SECRET_KEY=NEW)
        assert rest.returncode == 0, rest.stderr
        vault = Vault(open_ring(url, [NEW.encode()], environment), environment)
        query = "SELECT person, wrapped FROM ledger.personal_keys"
        with psycopg.connect(url) as connection:
            kept = connection.execute(query).fetchall()
        assert len({wrapped[:4] for _, wrapped in kept}) == 1, "all under one key"
        assert people <= {person for person, wrapped in kept if vault.unwrap(person, wrapped)}
