"""The whole service starts with one command, and nothing of it outlives the command."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from api.cli import supervisor
from api.config import database as databases
from api.config.settings import Settings
from projections.proofs import sealer
from rim_ledger.operator_error import OperatorError
from rim_ledger.postgres.server import EmbeddedPostgres
from tests.cli.service import (
    PATIENCE,
    Service,
    a_kept_port,
    a_service,
    a_taken_port,
    is_at_work,
    is_ready,
    stop,
    wait_for,
)

PASSWORD = "a long enough Passw0rd"
LATE = "3"
"""Seconds after which the service that the tests share is not ready."""


@pytest.fixture
def executed() -> Iterator[Service]:
    """A service whose processes run the program from the start, as people do."""
    with a_service() as service:
        yield service


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Service, str]]:
    """A service that runs, for the tests that leave it running."""
    with a_service() as service:
        process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD, RIM_LATE_SECONDS_MAX=LATE)
        yield service, url
        stop(process)


def test_it_is_alive_and_ready_and_says_where(running: tuple[Service, str]) -> None:
    _, url = running
    wait_for(lambda: is_ready(url))  # The tables may be on their way when it answers.
    for path in ("/healthz", "/readyz"):
        answer = httpx.get(url + path, timeout=PATIENCE)
        assert answer.status_code == 200
        assert "server" not in answer.headers


def test_a_second_one_on_the_same_home_is_refused_kindly(running: tuple[Service, str]) -> None:
    service, url = running
    second = service.run("up")
    assert second.returncode == 1
    assert second.stderr == (
        f"rim-ledger: RIM Ledger already runs on {service.home}: stop it first, or set another"
        " RIM_HOME\n"
    )
    wait_for(lambda: is_ready(url))


def test_status_tells_address_database_position_and_lag(running: tuple[Service, str]) -> None:
    service, url = running

    def ready() -> dict[str, Any] | None:
        """It asks for a second only, which on a busy machine may be too short."""
        now = service.run("status", "--json")
        told: dict[str, Any] = json.loads(now.stdout)
        assert (now.returncode == 0) is told["ready"], now.stderr
        return told if told["ready"] else None

    told = wait_for(ready)
    assert told["address"] == url  # Though RIM_PORT is 0.
    assert told["position"] > 0
    assert [each["name"] for each in told["processes"]] == ["clock", "follow", "seal"]
    assert all(each["lag"] >= 0 for each in told["processes"])
    text = service.run("status").stdout
    assert f"position  {told['position']}" in text
    storage = told["storage"]
    (events,) = (each for each in storage["tables"] if each["table"] == "ledger.events")
    assert events["bytesPerEvent"] == (events["rows"] + events["indexes"]) // told["position"] > 0
    assert storage["bytesPerEvent"] == storage["bytes"] // told["position"]
    assert storage["retentionDays"]["ledger.outcomes"] == 37
    assert f"{events['bytesPerEvent']:,} ledger.events\n" in text
    assert "kept      for days: ledger.outcomes 37, ledger.refused_entries 30, " in text


def is_unready(url: str, reason: str) -> bool:
    """Whether the service says that it is not ready, for a reason that this expression finds: on a
    busy machine another may be said before."""
    answer = httpx.get(f"{url}/readyz", timeout=PATIENCE, verify=False)
    return answer.status_code == 503 and bool(re.search(reason, answer.json()["reason"]))


@pytest.mark.parametrize("name", ["follow", "clock", "seal"])
def test_a_process_that_hangs_is_named_and_the_service_not_ready(
    running: tuple[Service, str], name: str
) -> None:
    service, url = running
    wait_for(lambda: is_ready(url))
    child = service.child(name)
    child.suspend()
    try:
        wait_for(lambda: is_unready(url, f"{name} is dead: no sign of life for"))
        now = service.run("status", RIM_LATE_SECONDS_MAX=LATE)
        assert now.returncode == 1
        assert re.search(f"not ready: .*{name} is dead", now.stdout), "others may be late as well"
        assert f"process   {name}: {name} is dead" in now.stdout
        gauge = rf'rim_process_silent_seconds{{process="{name}"}} (\S+)'
        silent = re.search(gauge, httpx.get(f"{url}/metrics", timeout=PATIENCE).text)
        assert silent
        assert float(silent[1]) > 1
    finally:
        child.resume()
    wait_for(lambda: is_ready(url))


def test_who_holds_the_lock_of_the_sealer_is_noticed(running: tuple[Service, str]) -> None:
    service, url = running
    wait_for(lambda: is_ready(url))
    database = EmbeddedPostgres.running(service.home / "postgres")
    assert database
    with psycopg.connect(database) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [sealer.LOCK])
        body = {"username": "admin", "password": PASSWORD}
        assert httpx.post(f"{url}/v1/auth/login", json=body, timeout=PATIENCE).status_code == 200
        wait_for(lambda: is_unready(url, r"\bseal is \d+ s behind$"))
    wait_for(lambda: is_ready(url))


def test_a_tick_runs_beside_it_and_takes_a_time_with_an_offset(
    running: tuple[Service, str],
) -> None:
    service, _ = running
    assert service.run("tick", "--at", "2026-01-31T09:00:00+01:00").returncode == 0
    naive = service.run("tick", "--at", "2026-01-31T09:00:00")
    assert (naive.returncode, naive.stderr.count("\n")) == (1, 1)
    assert "with an offset" in naive.stderr


def test_a_rebuild_beside_it_tells_its_progress_and_finds_the_tables_right(
    running: tuple[Service, str],
) -> None:
    service, _ = running
    for more in (["--check"], []):
        answer = service.run("rebuild", *more)
        assert answer.returncode == 0, answer.stderr
        assert re.fullmatch(
            r"(compared|swapped in) at position \d+; 0 rows differed\n", answer.stdout
        )
        assert answer.stderr.startswith("events: ")


@pytest.mark.parametrize("victim", ["follow", "serve", "clock", "seal"])
def test_a_killed_child_is_started_again(running: tuple[Service, str], victim: str) -> None:
    service, url = running
    first = service.child(victim)
    first.kill()
    second = wait_for(lambda: (found := service.child(victim)).pid != first.pid and found)
    assert second.is_running()
    wait_for(lambda: is_ready(url))


def test_a_killed_postgres_is_started_again(running: tuple[Service, str]) -> None:
    service, url = running
    first = service.postmaster()
    first.kill()
    second = wait_for(lambda: (found := service.postmaster()) != first and found)
    assert second.is_running()
    wait_for(lambda: is_ready(url))


@pytest.mark.parametrize("wish", [signal.SIGTERM, signal.SIGINT])
def test_a_wish_to_stop_leaves_nothing_running(executed: Service, wish: int) -> None:
    process, _, _ = executed.up()
    assert executed.processes()
    process.send_signal(wish)
    said = stop(process, wish)
    assert said.splitlines()[-1] == "rim-ledger: stopped"
    assert not executed.processes()


def test_a_wish_to_stop_is_heard_during_the_start(service: Service) -> None:
    process = service.start("up")
    wait_for((service.home / "up.lock").exists)
    stop(process)
    assert not service.processes()


def test_a_child_that_does_not_stop_is_killed_and_the_others_stop_in_good_order(
    service: Service,
) -> None:
    process, _, _ = service.up()
    service.child("clock").suspend()
    said = stop(process)
    assert "rim-ledger: clock did not stop in time and was killed\n" in said
    assert said.splitlines()[-1] == "rim-ledger: stopped"
    assert not service.processes()


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_goes_well(
    executed: Service,
) -> None:
    process, _, said = executed.up()
    assert "the first login is officer" in said
    assert "the first login is admin" in said
    secret = (executed.home / "secret.key").read_bytes()
    process.kill()
    process.communicate()
    wait_for(lambda: not executed.processes())
    process, url, said = executed.up()
    wait_for(lambda: is_ready(url))
    assert "the first login" not in said
    assert (executed.home / "secret.key").read_bytes() == secret
    stop(process)


def test_a_taken_port_is_said_before_anything_is_started(service: Service) -> None:
    with a_taken_port() as port:
        answer = service.run("up", RIM_PORT=str(port))
    assert answer.returncode == 1
    assert answer.stderr == (
        f"rim-ledger: cannot listen on 127.0.0.1:{port}: Address already in use; set another"
        " RIM_PORT\n"
    )
    assert not (service.home / "postgres").exists()


def test_a_ledger_of_another_secret_is_left_alone(service: Service, database: str) -> None:
    first, second = "first" * 8, "second" * 8
    assert service.run("init", DATABASE_URL=database, RIM_SECRET_KEY=first).returncode == 0
    for name in ("init", "follow"):
        again = service.run(name, DATABASE_URL=database, RIM_SECRET_KEY=second)
        assert (again.returncode, again.stderr.count("\n")) == (1, 1)
        assert "RIM_SECRET_KEY" in again.stderr


def test_each_process_runs_alone_on_one_database(service: Service, database: str) -> None:
    outcome = service.run("init", DATABASE_URL=database, RIM_ADMIN_PASSWORD=PASSWORD)
    assert outcome.returncode == 0, outcome.stderr
    assert PASSWORD not in outcome.stdout + outcome.stderr
    alone: list[subprocess.Popen[str]] = [
        service.start(name, DATABASE_URL=database) for name in ("serve", "follow", "clock", "seal")
    ]
    assert alone[0].stdout
    url = alone[0].stdout.readline().split()[-1]
    wait_for(lambda: is_ready(url))
    for process in alone:
        wait_for(lambda one=process: is_at_work(psutil.Process(one.pid)))
        stop(process)


def test_a_password_made_of_the_name_is_refused(service: Service, database: str) -> None:
    answer = service.run("init", DATABASE_URL=database, RIM_ADMIN_PASSWORD="admin-admin-1")
    assert answer.returncode == 1
    assert answer.stderr.startswith("rim-ledger: RIM_ADMIN_PASSWORD is not right: ")
    assert answer.stderr.count("\n") == 1


def test_a_child_that_keeps_crashing_stops_everything(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF_MAX", 0.1)
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))  # Python itself takes its time to start.
    child = supervisor.Child("serve", essential=True)
    with pytest.raises(OperatorError, match="serve crashed 5 times in a minute"):
        wait_for(lambda: child.tend(database))
    assert capfd.readouterr().out.count("it is started again in 0.1 s") == 4


def test_a_database_that_is_away_is_said_in_one_line(service: Service) -> None:
    kept, port = a_kept_port()
    away = f"postgresql://nobody:hush@127.0.0.1:{port}/nothing"
    names = ("up", "init", "serve", "follow", "clock", "tick", "rebuild", "status")
    with kept:
        commands = {name: service.start(name, DATABASE_URL=away) for name in names}
        for name, process in commands.items():
            said, _ = process.communicate(timeout=PATIENCE)
            assert (name, process.returncode, said.count("\n")) == (name, 1, 1), said
            assert "hush" not in said
            assert "reached" in said


def test_an_old_postgres_is_refused(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "VERSION_MIN", 99)
    settings = Settings(secret_key=b"s" * 32).on(database)
    with (
        pytest.raises(OperatorError, match="DATABASE_URL is PostgreSQL 18; this needs 99 or newer"),
        databases.database(settings),
    ):
        pass


def test_a_database_without_a_ledger_is_told_how_to_get_one(service: Service, server: str) -> None:
    empty = server.replace("/rim_ledger?", "/postgres?")
    for name in ("follow", "status"):
        answer = service.run(name, DATABASE_URL=empty)
        assert answer.returncode == 1
        assert answer.stderr == (
            "rim-ledger: this database holds no ledger of this version: run rim-ledger init\n"
        )


def test_init_says_what_it_did_and_can_be_repeated(service: Service, server: str) -> None:
    name = "init_of_nothing"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = server.replace("/rim_ledger?", f"/{name}?")
    first, second = (service.run("init", DATABASE_URL=url) for _ in range(2))
    assert "added: migration 0001_ledger.sql" in first.stdout
    assert "the first login is admin" in first.stdout
    assert first.stderr == second.stderr == ""
    assert second.stdout == "the database is up to date\n"


def test_init_rebuilds_the_tables_of_an_earlier_version(service: Service, database: str) -> None:
    assert service.run("init", DATABASE_URL=database).returncode == 0
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("COMMENT ON SCHEMA read IS 'an earlier version'")
    early = service.run("follow", DATABASE_URL=database)
    assert (early.returncode, early.stderr.count("\n")) == (3, 1)
    assert early.stderr.endswith("run rim-ledger init\n")
    again = service.run("init", DATABASE_URL=database)
    assert (again.returncode, again.stderr) == (0, "")
    assert "added: read tables of this version\n" in again.stdout
    assert service.run("init", DATABASE_URL=database).stdout == "the database is up to date\n"


def test_production_runs_with_secrets_of_its_own_and_shows_none(service: Service) -> None:
    secret = "a secret of production, of some length"
    process, url, said = service.up(
        RIM_ENV="production",
        RIM_SECRET_KEY=secret,
        RIM_ADMIN_PASSWORD=PASSWORD,
        RIM_WORKERS="2",
    )
    wait_for(lambda: is_ready(url))
    said += stop(process)
    assert PASSWORD not in said
    assert secret not in said
    assert "login" not in said, "nobody is made beside the first admin"
    assert not (service.home / "secret.key").exists()
    assert not service.processes()


def test_the_list_of_commands_says_what_each_of_them_does(service: Service) -> None:
    shown = service.run("--help")
    assert shown.returncode == 0, shown.stderr
    told = dict(re.findall(r"^\W{2}([a-z-]+) +(\w.*)", shown.stdout, re.MULTILINE))
    assert {"up", "export", "replay", "backtest", "restore", "serve", "tick"} <= told.keys()
