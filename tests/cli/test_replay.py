"""The tables as they were, written into a file by the command: by recording and business time."""

from typing import Any

import duckdb
import httpx

from tests.cli.service import Service, stop
from tests.cli.test_seals import PASSWORD

AT = "2016-{}T09:00:00Z".format
OVER = "2016-12-31T23:00:00Z"


def imported(address: str) -> None:
    """A loan of 100 naira and two payments of 2016, recorded now and out of order."""
    with httpx.Client(base_url=f"{address}/v1", timeout=60) as http:

        def log_in(name: str) -> dict[str, str]:
            answer = http.post("/auth/login", json={"username": name, "password": PASSWORD})
            return {"Authorization": f"Bearer {answer.raise_for_status().json()['token']}"}

        def post(path: str, headers: dict[str, str], **body: Any) -> Any:
            return http.post(path, json=body, headers=headers).raise_for_status().json()

        admin = log_in("admin")
        listed = http.get("/admin-roles", headers=admin).raise_for_status().json()
        role = next(each["id"] for each in listed["items"] if each["name"] == "superadmin")
        person = {"username": "bisi", "email": "bisi@example.com", "password": PASSWORD}
        post("/admin-users", admin, **person, roleId=role)
        bisi = log_in("bisi")
        ada = {"phone": "08031234567", "email": "ada@example.com", "name": "Ada"}
        user = post("/users", admin, **ada, creditLimit=5000, occurredAt=AT("01-05"))["id"]
        terms = {"amount": 100, "network": "MTN", "interestRate": 15, "repaymentPeriod": 30}
        loan = post("/loans", admin, **terms, userId=user, occurredAt=AT("02-28"))["id"]
        for step in ("approve", "disburse"):
            post(f"/loans/{loan}/{step}", bisi, occurredAt=AT("03-01"))
        pay = {"type": "repayment", "userId": user, "paymentMethod": "card"}
        for amount, at in ((75, AT("03-20")), (40, AT("03-10"))):
            paid = post("/transactions", admin, **pay, amount=amount, occurredAt=at)["id"]
            post(f"/transactions/{paid}/complete", bisi)


def test_business_time_counts_what_had_happened(service: Service) -> None:
    running, address, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    imported(address)
    stop(running)

    def replayed(name: str, *arguments: str) -> tuple[list[Any], list[str]]:
        """The loans in the file, and what was said of it beside how far it is."""
        place = service.home.parent / f"{name}.duckdb"
        written = service.run("replay", "--into", str(place), *arguments)
        assert written.returncode == 0, written.stderr
        with duckdb.connect(str(place), read_only=True) as tables:
            found = tables.execute("SELECT status, amount_paid FROM loans").fetchall()
            sums = tables.execute("SELECT sum(debit) - sum(credit) FROM journal_lines").fetchone()
            assert sums in ((0,), (None,))
        lines = written.stderr.splitlines()
        return found, [line for line in lines if not line.startswith("events: ")]

    loans, said = replayed("recorded", "--until", OVER)
    assert (loans, len(said)) == ([], 1)
    assert "--business-time" in said[0]
    for name, until, expected in (
        ("none", "2015-12-31T23:00:00Z", []),
        ("early", AT("03-15"), [("repaying", 40)]),
        ("over", OVER, [("completed", 115)]),
    ):
        assert replayed(name, "--until", until, "--business-time") == (expected, [])
    assert replayed("long-before", "--until", "2015-12-31T23:00:00Z") == ([], [])
    assert replayed("all") == ([("completed", 115)], [])
    for wrong in ([], ["--until", "5"], ["--until", "2016-12-31"]):
        place = str(service.home.parent / "wrong.duckdb")
        refused = service.run("replay", "--into", place, "--business-time", *wrong)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
        assert "--until" in refused.stderr
