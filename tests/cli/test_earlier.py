"""A data directory and a backup of an earlier version open, verify, rebuild equal, and go on."""

import tarfile
from pathlib import Path
from typing import Final

import httpx
import psycopg

from rim_ledger.postgres.programs import PostgresPrograms
from rim_ledger.postgres.server import EmbeddedPostgres
from tests.cli.service import Service, a_service, is_ready, stop, wait_for
from tests.golden import HERE
from tests.real_loans import log_in

ARCHIVE: Final = HERE / "home-0ba653d.tar.xz"
"""RIM_HOME as commit 0ba653d left it: users, loans, payments, a ticket, seals and one backup."""
PASSWORD: Final = "correct horse battery"
STORED: Final = "SELECT name, body FROM ledger.events ORDER BY position LIMIT %s"


def unpack(service: Service) -> None:
    """Put the earlier home in the place of the service's, for the account of its PostgreSQL."""
    with tarfile.open(ARCHIVE) as archive:
        # Python before 3.11.4 has no filters, and takes none as an argument.
        archive.extraction_filter = getattr(tarfile, "tar_filter", None)
        archive.extractall(service.home.parent)
    programs = PostgresPrograms(service.home)
    for path in (service.home / "postgres", *(service.home / "postgres").rglob("*")):
        programs.hand_over(path)


def stored(home: Path, count: int = 1_000_000) -> list[tuple[str, str]]:
    """Name and exact body of the first events of the log."""
    with EmbeddedPostgres(home / "postgres") as url, psycopg.connect(url) as connection:
        return connection.execute(STORED, [count]).fetchall()


def run(service: Service, *arguments: str) -> str:
    done = service.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def go_on(url: str) -> None:
    """What was there is shown, and more can be written."""
    wait_for(lambda: is_ready(url))
    with httpx.Client(base_url=url, timeout=60) as client:
        client.headers.update(log_in(client, "admin", PASSWORD))
        loans = client.get("/v1/loans").raise_for_status().json()["items"]
        assert loans
        body = {"phone": "08039999999", "name": "Zainab Musa", "email": "zainab@example.com"}
        made = client.post("/v1/users", json=body).raise_for_status().json()
        asked = {"position": {"ledger-position": str(made["position"])}}
        row = client.get(f"/v1/users/{made['id']}", headers=asked["position"])
        assert row.raise_for_status().json()["name"] == "Zainab Musa"


def test_a_data_directory_of_an_earlier_version_opens_and_goes_on(service: Service) -> None:
    unpack(service)
    before = stored(service.home)
    process, url, _ = service.up()
    go_on(url)
    assert "; 0 rows differed" in run(service, "rebuild", "--check")
    run(service, "verify")
    stop(process)
    assert stored(service.home, len(before)) == before, "stored bytes never change"


def test_a_backup_of_an_earlier_version_is_restored_and_goes_on(service: Service) -> None:
    unpack(service)
    (file,) = (service.home / "backups").glob("*.rim")
    secret = (service.home / "secret.key").read_text().strip()
    with a_service(forked=True) as other:
        other.home.mkdir()
        (other.home / "secret.key").write_text(secret)
        (other.home / "secret.key").chmod(0o600)
        run(other, "restore", str(file))
        process, url, _ = other.up()
        go_on(url)
        assert "; 0 rows differed" in run(other, "rebuild", "--check")
        run(other, "verify")
        stop(process)
