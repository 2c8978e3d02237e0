"""Sealing by a process of its own: it starts, is killed, goes on, and refuses another store."""

import re
from pathlib import Path

import httpx
import psycopg
import pytest

from rim_ledger.postgres import migrations
from rim_ledger.postgres.server import OWNER, EmbeddedPostgres
from tests.cli.service import PATIENCE, Service, stop, wait_for
from tests.engine.test_earlier import NUMBERED

PASSWORD = "a long enough Passw0rd"
SEALING = 240.0
"""Seconds that sealing may take on a busy machine; it is due within ten."""


def sealed(service: Service) -> int:
    """How many events are sealed."""
    found = service.run("status", "--json")
    wanted = re.search(r'"name": "seal", "position": (\d+)', found.stdout)
    assert wanted, found.stdout + found.stderr
    return int(wanted[1])


def kept(service: Service, name: str) -> Path:
    """A file that was kept outside, by the one origin that is known there."""
    (found,) = wait_for(lambda: list((service.home / "checkpoints").glob(f"*/{name}")), SEALING)
    return Path(found)


def test_the_log_is_sealed_verified_and_a_cut_one_is_refused(service: Service) -> None:
    running, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    first = wait_for(lambda: sealed(service), SEALING)
    latest = kept(service, "latest")
    assert kept(service, "key").read_text().startswith("rim-ledger/")
    verified = service.run("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert f"{first} of them sealed" in verified.stdout
    service.child("seal").kill()
    body = {"username": "admin", "password": PASSWORD}
    assert httpx.post(f"{url}/v1/auth/login", json=body, timeout=PATIENCE).status_code == 200
    size = wait_for(lambda: (found := sealed(service)) > first and found, SEALING)
    wait_for(lambda: latest.read_text().split("\n")[1] == str(size), SEALING)
    database = EmbeddedPostgres.running(service.home / "postgres", OWNER)
    assert database
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("DELETE FROM ledger.events WHERE position = %s", [size])
    stop(running)
    refused = service.run("up")
    assert refused.returncode == 1
    assert "contradicts the last checkpoint" in refused.stderr
    assert f"was signed up to {size}" in refused.stderr
    told = service.run("verify")
    assert (told.returncode, f"position {size}: the event is missing" in told.stdout) == (1, True)
    assert latest.read_text().split("\n")[1] == str(size)


def test_another_database_is_not_taken_for_the_one_that_was_signed(
    service: Service, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    running, _, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    kept(service, "latest")
    stop(running)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE another")
    try:
        other = server.replace("/rim_ledger?", "/another?")
        refused = service.run("init", DATABASE_URL=other, RIM_ADMIN_PASSWORD=PASSWORD)
        assert refused.returncode == 1
        assert "contradicts the last checkpoint" in refused.stderr
        with monkeypatch.context() as patched:
            earlier = {name: text for name, text in migrations.scripts().items() if name < NUMBERED}
            patched.setattr(migrations, "scripts", lambda: earlier)
            migrations.migrate(other)
        refused = service.run("init", DATABASE_URL=other, RIM_ADMIN_PASSWORD=PASSWORD)
        assert "not the log that was signed there" in refused.stderr, "it is read as one of today"
        (service.home / "checkpoints").rename(service.home / "checkpoints.old")
        anew = service.run("init", DATABASE_URL=other, RIM_ADMIN_PASSWORD=PASSWORD)
        assert anew.returncode == 0, anew.stderr
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute("DROP DATABASE another WITH (FORCE)")


def test_a_live_stream_ends_in_good_order_when_the_service_stops(service: Service) -> None:
    running, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    body = {"username": "admin", "password": PASSWORD}
    token = httpx.post(f"{url}/v1/auth/login", json=body, timeout=PATIENCE).json()["token"]
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    with httpx.stream("GET", f"{url}/v1/events", headers=headers, timeout=PATIENCE) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        running.terminate()
        ids = [int(line[4:]) for line in lines if line.startswith("id: ")]
    assert ids == [*range(1, len(ids) + 1)]
    stop(running)
