"""A ledger is wiped and brought back from its backups, by the commands that people use."""

import asyncio
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psycopg

from api.cli.backup_commands import POLL_SECONDS
from rim_ledger.postgres.pool import lease
from rim_ledger.postgres.server import EmbeddedPostgres
from tests.cli.service import PATIENCE, Service, stop, wait_for
from tests.cli.trial import PASSWORD

SECRET = "the master secret of these tests, of many words"
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 20_000
LATER = ("backups", "backup_settings", "outbound")
"""Tables that say what became of the backup itself: a backup cannot hold its own end."""
PENDING = "/v1/notifications?status=pending"


def run(service: Service, *arguments: str, secret: str = SECRET, **more: str) -> str:
    """What a command prints that must succeed."""
    done = service.run(*arguments, RIM_SECRET_KEY=secret, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(service: Service, *arguments: str, secret: str = SECRET) -> str:
    """What a command says that must fail: one line."""
    done = service.run(*arguments, RIM_SECRET_KEY=secret)
    assert done.returncode == 1, done.stdout
    (line,) = [each for each in done.stderr.splitlines() if each.startswith("rim-ledger: ")]
    assert not list((service.home / "attachments").glob("*"))
    return line


def messages(*services: Service) -> list[dict[str, Any]]:
    """The messages that left these homes."""
    files = [each.home / "outbox.ndjson" for each in services]
    lines = [line for file in files if file.exists() for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]


def begun(url: str) -> bool:
    """Whether a backup was begun."""
    with psycopg.connect(url) as connection:
        cursor = connection.execute("SELECT 1 FROM ledger.events WHERE name = 'BackupStarted'")
        return bool(cursor.fetchone())


def made(said: str) -> str:
    """The file that a backup was written to."""
    found = re.search(r"bytes: (\S+)$", said, re.MULTILINE)
    assert found, said
    return found[1]


class Lender:
    """A service that runs, asked by its first admin."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=PATIENCE)
        body = {"username": "admin", "password": PASSWORD}
        token = self.http.post("/v1/auth/login", json=body).raise_for_status().json()["token"]
        self.http.headers["authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def post(self, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        answer = self.http.post(path, json=body, **more)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def borrower(self, number: int) -> str:
        body = {"phone": f"0803{number:07}", "email": f"u{number}@example.com", "name": "Ada Obi"}
        return str(self.post("/v1/users", body)["id"])

    def pay(self, user: str, reference: str) -> None:
        """Money in the journal."""
        money = {"type": "repayment", "amount": 300, "paymentMethod": "cash"}
        self.post("/v1/transactions", {"userId": user, "reference": reference, **money})

    def ticket(self, user: str, priority: str = "high") -> str:
        words = {"subject": "Where is it?", "description": "My airtime.", "category": "general"}
        body = {"customerId": user, "priority": priority, **words}
        return str(self.post("/v1/tickets", body)["id"])

    def attach(self, ticket: str, content: bytes) -> str:
        files = {"file": ("proof.pdf", content)}
        return str(self.post(f"/v1/tickets/{ticket}/attachments", files=files)["url"])

    def watch(self, name: str) -> str:
        """Be told by e-mail of urgent tickets; the path of the alert."""
        wish = {"name": name, "type": "user_issue", "threshold": 1, "channel": ["email"]}
        made = self.post("/v1/system-alerts", {**wish, "recipients": ["superadmin"]})
        return f"/v1/system-alerts/{made['id']}"

    def broadcast(self) -> str:
        """An SMS to everybody, on its way; its path."""
        words = {"title": "We moved", "message": "Find us at 1 Marina.", "purpose": "notice"}
        wish = {**words, "type": "sms", "targetAudience": "all"}
        path = f"/v1/broadcasts/{self.post('/v1/broadcasts', wish)['id']}"
        self.settled()
        self.post(f"{path}/send")
        return path

    def found(self, path: str) -> dict[str, Any]:
        """What there is, with all that was written so far."""
        self.settled()
        return dict(self.http.get(path).raise_for_status().json())

    def settled(self) -> None:
        """Wait until the read tables are as far as the log."""
        wait_for(lambda: self.http.get("/readyz").json()["lag"] == 0)


def facts(home: Path, upto: int) -> dict[str, str]:
    """A hash of the log and of each read table, as far as a position."""

    def digest(rows: Any) -> str:
        return hashlib.sha256("\n".join(text for (text,) in rows).encode()).hexdigest()

    with EmbeddedPostgres(home / "postgres") as url, psycopg.connect(url) as connection:
        log = f"SELECT e::text FROM ledger.events e WHERE position <= {upto} ORDER BY position"
        found = {"log": digest(connection.execute(log))}
        names = "SELECT relname FROM pg_class WHERE relnamespace = 'read'::regnamespace"
        for (table,) in connection.execute(f"{names} AND relkind = 'r'").fetchall():
            if table in (*LATER, "tracking"):
                continue
            where = f" WHERE position <= {upto}" if table == "audit_logs" else ""
            rows = f"SELECT t::text FROM read.{table} t{where} ORDER BY t::text"
            found[table] = digest(connection.execute(rows))
        return found


def test_a_wiped_ledger_comes_back_from_a_full_backup_and_five_that_go_on_from_it(
    service: Service, other: Service
) -> None:
    settings = {"RIM_SECRET_KEY": SECRET, "RIM_ADMIN_PASSWORD": PASSWORD}
    process, url, _ = service.up(**settings)
    with Lender(url) as lender:
        ada = lender.borrower(1)
        file = lender.attach(lender.ticket(ada), PDF)
        lender.pay(ada, "till-0")
        chain = [made(run(service, "backup", "--type", "incremental"))]
        for number in range(1, 6):
            user = lender.borrower(number + 1)
            lender.pay(user, f"till-{number}")
            if number == 3:
                second = lender.attach(lender.ticket(user), PDF[:1000])
            if number == 5:
                lender.settled()
                balance = lender.http.get("/v1/trial-balance").json()["accounts"]
            said = run(service, "backup", "--type", "incremental")
            assert said.startswith("incremental backup")
            chain.append(made(said))
    stop(process)
    found = re.search(r"to position (\d+)", said)
    assert found
    before = facts(service.home, int(found[1]))
    safe = [str(other.home.parent / f"{turn} Käse%20 (é).rim") for turn in range(len(chain))]
    for name, copy in zip(chain, safe, strict=True):
        shutil.copy(name, copy)
    shutil.rmtree(service.home)

    looked = run(other, "verify-backup", *safe)
    assert looked.count(", whole") == 6
    restored = run(other, "restore", *safe)
    assert f"restored up to position {found[1]}" in restored
    assert facts(other.home, int(found[1])) == before

    process, url, _ = other.up(RIM_SECRET_KEY=SECRET)
    with Lender(url) as lender:
        assert lender.http.get(file).content == PDF
        assert lender.http.get(second).content == PDF[:1000]
        assert lender.http.get("/v1/trial-balance").json()["accounts"] == balance
        assert lender.http.get(f"/v1/users/{ada}").json()["name"] == "Ada Obi"
        before, after = lender.http.get("/v1/checkpoint/origins").json()["items"]
        assert (after["after"]["origin"], str(after["size"])) == (before["origin"], found[1])
        assert f"{after['origin']} goes on from {before['origin']}" in restored
        assert lender.http.get("/v1/checkpoint").text.startswith(f"{after['origin']}\n")
        assert lender.http.get("/v1/outbound").json()["enabled"] is False
        run(other, "outbound", "on")
        lender.settled()
        assert lender.http.get("/v1/outbound").json()["enabled"] is True
    stop(process)
    assert run(other, "verify").endswith(": as they were signed\n")
    again = other.run("restore", *safe, RIM_SECRET_KEY=SECRET)
    assert (again.returncode, "this database holds a ledger" in again.stderr) == (1, True)


async def test_a_backup_waits_for_whoever_works_on_backups(service: Service) -> None:
    run(service, "init", RIM_ADMIN_PASSWORD=PASSWORD)
    with EmbeddedPostgres(service.home / "postgres") as url:

        async def story() -> tuple[str, int]:
            async with lease(url, "backup") as free:
                assert free
                process = service.start("backup", RIM_SECRET_KEY=SECRET)
                wait_for(lambda: begun(url))
                await asyncio.sleep(2 * POLL_SECONDS)  # It asks in vain, once at least.
                assert process.poll() is None
            said, _ = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
            return said, process.returncode

        said, code = await story()
    assert code == 0, said
    assert Path(made(said)).exists()


def test_what_cannot_be_restored_is_refused_with_its_place_and_leaves_nothing(
    service: Service, other: Service
) -> None:
    run(service, "init")
    assert run(service, "backups", "list") == "there are no backups\n"
    full = made(run(service, "backup"))
    more = made(run(service, "backup", "--type", "incremental"))
    name = Path(full).name
    listed = json.loads(run(service, "backups", "list", "--json"))
    assert [(each["file"], each["type"], each["chain"]) for each in listed] == [
        (full, "full", "1+0"),
        (more, "incremental", "1+1"),
    ]
    assert [each["size"] for each in listed] == [Path(each).stat().st_size for each in (full, more)]
    titles, *lines = run(service, "backups", "list").splitlines()
    assert titles.split() == ["begun", "kind", "bytes", "state", "verified", "chain", "file"]
    for line, each in zip(lines, listed, strict=True):
        begun, kind, size, *rest = line.split()
        assert (begun, kind, size) == (each["createdAt"], each["type"], f"{each['size']:,}")
        assert rest == ["success", each["verifiedAt"], each["chain"], each["file"]]

    with EmbeddedPostgres(other.home / "postgres") as url:
        assert "another RIM_SECRET_KEY" in refused(other, "restore", full, secret=SECRET[::-1])
        before = rf"it goes on from {name} at position \d+: name that before it"
        assert re.search(before, refused(other, "restore", more))
        assert "there is no file" in refused(other, "restore", full + "x")
        content = Path(full).read_bytes()
        bad = other.home.parent / name
        bad.write_bytes(content[:2000] + bytes([content[2000] ^ 1]) + content[2001:])
        place = rf"{name} cannot be used: piece 1, at byte \d+, was changed or damaged"
        assert re.search(place, refused(other, "restore", str(bad), more))
        with psycopg.connect(url) as connection:
            found = connection.execute("SELECT to_regnamespace('ledger'), to_regnamespace('read')")
            assert found.fetchone() == (None, None)
        run(other, "restore", full, more)


def test_somebody_who_was_erased_after_the_backup_stays_erased(
    service: Service, other: Service
) -> None:
    process, url, _ = service.up(RIM_SECRET_KEY=SECRET, RIM_ADMIN_PASSWORD=PASSWORD)
    with Lender(url) as lender:
        ada, eve = lender.borrower(1), lender.borrower(2)
        full = made(run(service, "backup"))
        lender.post(f"/v1/users/{ada}/erase")
    stop(process)
    register = service.home / "erasures"
    assert ada in register.read_text()

    other.home.mkdir()
    shutil.copy(register, other.home / "erasures")
    run(other, "restore", full)
    process, url, _ = other.up(RIM_SECRET_KEY=SECRET)
    with Lender(url) as lender:
        rows = [lender.http.get(f"/v1/users/{each}").json() for each in (ada, eve)]
        assert [(row["name"], row["phone"], row["erased"]) for row in rows] == [
            (None, None, True),
            ("Ada Obi", "+2348030000002", False),
        ]
        assert lender.borrower(1), "the phone is free again"
    stop(process)


@contextmanager
def without_a_clock(service: Service) -> Iterator[str]:
    """A new ledger that answers, and carries nothing; its address."""
    run(service, "init", RIM_ADMIN_PASSWORD=PASSWORD)
    processes = [service.start(each, RIM_SECRET_KEY=SECRET) for each in ("serve", "follow")]
    said = processes[0].stdout
    assert said
    yield said.readline().split()[-1]
    for process in processes:
        stop(process)


def test_what_waited_when_the_backup_was_made_goes_out_only_when_a_person_says_so(
    service: Service, other: Service
) -> None:
    def sent() -> list[tuple[str, str]]:
        """The messages that left either home: to whom, and what they are about."""
        return sorted((each["to"], each["subject"] or "") for each in messages(service, other))

    def fires(home: Service, alert: str) -> bool:
        """Whether an alert fires, once it was looked at. While the tables lag nobody knows."""
        run(home, "tick")
        return bool(lender.found(alert)["state"] == "firing")

    with without_a_clock(service) as url, Lender(url) as lender:
        lender.ticket(lender.borrower(0), "urgent")
        lender.borrower(1)
        before = lender.watch("fires before")
        lender.post("/v1/outbound", {"enabled": False})
        wait_for(lambda: fires(service, before))
        lender.post("/v1/outbound", {"enabled": True})
        broadcast, after = lender.broadcast(), lender.watch("fires after")
        full = made(run(service, "backup"))
    assert "nothing leaves the house until" in run(other, "restore", full)
    process, url, _ = other.up(RIM_SECRET_KEY=SECRET)
    with Lender(url) as lender:
        wait_for(lambda: fires(other, after))
        run(other, "tick")
        assert len(lender.found(PENDING)["items"]) == 2
        assert lender.found(broadcast)["phase"] == "sending"
        assert sent() == []

        lender.post("/v1/outbound", {"enabled": True})
        wait_for(lambda: lender.found(broadcast)["phase"] == "sent")
        wait_for(lambda: not lender.found(PENDING)["items"])
    stop(process)
    alerts = [("admin@rim.example", f"Alert: fires {each}") for each in ("after", "before")]
    assert sent() == [("+2348030000000", ""), ("+2348030000001", ""), *alerts]
