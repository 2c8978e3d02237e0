"""The analyst's tutorial: a projection of one's own follows the log, live, and counts each once."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg

from rim_ledger.postgres.logins import OWNER, passfile
from tests.cli.service import PATIENCE, TREE, Service, a_service, stop, wait_for

PAGE: Final = TREE / "docs/tutorial/a-projection-of-your-own.md"
ADMIN: Final = {"username": "admin", "password": "correct horse battery"}
OFFICER: Final = {"username": "officer", "password": "tortoise in harmattan"}


def block(language: str, number: int = 0) -> str:
    """A block of the page in a language, as it is shown."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)[number]


def as_owner(home: Path, query: str) -> list[tuple[Any, ...]]:
    place = home / "postgres"
    where = f"host={place}/socket user={OWNER} dbname=rim_ledger passfile={passfile(place, OWNER)}"
    with psycopg.connect(where) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def projecting(
    service: Service, program: Path, end: signal.Signals
) -> Iterator["subprocess.Popen[str]"]:
    """The tutorial's program, with the settings that the page gives; ended by a signal."""
    settings = re.findall(r"([A-Z_]+)=('[^']*'|\S+)", block("sh"))
    given = {name: value.strip("'") for name, value in settings}
    given["POSTGRES_HOST"] = str(service.home / "postgres/socket")
    environment = service.environment(**given)
    process = subprocess.Popen([sys.executable, str(program)], env=environment, text=True)
    try:
        yield process
    finally:
        process.send_signal(end)
        process.wait(PATIENCE)


def signed_in(url: str, who: dict[str, str]) -> httpx.Client:
    token = httpx.post(f"{url}/v1/auth/login", json=who, timeout=PATIENCE).json()["token"]
    return httpx.Client(
        base_url=f"{url}/v1", headers={"Authorization": f"Bearer {token}"}, timeout=PATIENCE
    )


def test_the_tutorials_projection_counts_each_repayment_once_and_live(tmp_path: Path) -> None:
    program = tmp_path / "repayments.py"
    program.write_text(block("python"))
    with a_service(forked=True) as service:
        up, url, _ = service.up(
            RIM_ADMIN_PASSWORD=ADMIN["password"], RIM_OFFICER_PASSWORD=OFFICER["password"]
        )
        as_owner(service.home, block("sql"))

        def repaid(projection: "subprocess.Popen[str]") -> Decimal:
            assert projection.poll() is None, "it ended by itself"
            made = "SELECT to_regclass('halima.repaid_per_hour')"
            exists = as_owner(service.home, made) != [(None,)]
            rows = as_owner(service.home, block("sql", 1)) if exists else []
            return sum((row[2] for row in rows), Decimal(0))

        with signed_in(url, ADMIN) as admin, signed_in(url, OFFICER) as officer:
            person = {"name": "Ada Obi", "phone": "+2348031234567", "email": "ada@example.com"}
            user = admin.post("/users", json=person).json()["id"]
            wanted = {"userId": user, "amount": 500, "network": "MTN"}
            loan = admin.post("/loans", json=wanted).json()["id"]
            for step in ("approve", "disburse"):
                officer.post(f"/loans/{loan}/{step}").raise_for_status()

            def pay(amount: int) -> None:
                paid = {"type": "repayment", "userId": user, "amount": amount}
                answer = admin.post("/transactions", json=paid | {"paymentMethod": "cash"})
                assert answer.status_code == 201, answer.text

            pay(100)
            with projecting(service, program, signal.SIGKILL) as projection:
                wait_for(lambda: repaid(projection) == 100)
                pay(50)
                wait_for(lambda: repaid(projection) == 150)
            pay(25)
            with projecting(service, program, signal.SIGTERM) as projection:
                wait_for(lambda: repaid(projection) == 175)
            rows = as_owner(service.home, block("sql", 1))
            assert {row[1] for row in rows} == {"MTN"}
        stop(up)
