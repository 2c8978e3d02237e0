"""Puts an example book of loans and tickets over months into a running service.

    python -m tests.demo --url http://127.0.0.1:8000 --password ... --seed 7

Borrowers with Nigerian names, phones and networks take loans, one after the other: repaid in time
or late, given up, some recovered; with payments that fail, are charged back or paid back, and a
support desk with tickets. All of it is drawn from a seed, and dated back from a day, with
`occurredAt`. Names, phones and addresses are invented; but connect no SMS provider, since a phone
may be somebody's.

A service that has users is left alone unless `--beside` says that the book may stand beside them.
"""

import argparse
import json
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import httpx

from rim_ledger.admin.admin_role import builtin_id
from tests.demo_loans import Lending, Line
from tests.demo_people import people
from tests.real_loans import URL, log_in, take_on

AGENTS: Final = {"Amina Lawal": "Care", "Tunde Bakare": "Care", "Chidi Okoro": "Payments"}
QUESTIONS: Final = [
    ("Airtime never came", "I was told it was sent, and my balance is the same.", "transaction"),
    ("How do I pay back?", "Can I pay in two parts, and to which account?", "billing"),
    ("New phone number", "I have another line now. How do I change it?", "account"),
    ("Why was my request refused?", "I paid everything back last month.", "loan"),
    ("I was charged twice", "My bank shows the payment two times.", "billing"),
]
PRIORITIES: Final = ["low", "medium", "medium", "high", "urgent"]
ASKING: Final = 0.06
"""The share of loans that somebody asks about."""
OPEN: Final = timedelta(days=5)
"""Tickets of less long ago are open yet."""
EMPTY_HOME: Final = (
    "This service has users. Put the book beside them with --beside, or start an empty home:\n"
    "  RIM_HOME=/tmp/rim-demo RIM_PORT=8100 RIM_ADMIN_PASSWORD=… make run\n"
    "  RIM_PORT=8100 RIM_ADMIN_PASSWORD=… make demo"
)


class Size(NamedTuple):
    """How large a book is, from which seed, and up to when."""

    seed: int = 2026
    borrowers: int = 240
    months: int = 12
    until: datetime | None = None
    """UTC; None for now."""


USUAL: Final = Size()


class Refused(Exception):
    """The book cannot be put there; the message says why."""


class Story:
    """What clerk, officer and cashier send."""

    def __init__(self, size: Size) -> None:
        self.chance, self.size = random.Random(size.seed), size
        self.now = size.until or datetime.now(UTC).replace(microsecond=0)
        self.begins = self.now - timedelta(days=30.4 * size.months)
        self.lending = Lending(self.chance, size.seed, self.now, live=size.until is None)
        self.people = people(self.chance, size.borrowers)
        span = (self.now - self.begins).total_seconds() * 0.85
        self.came = [
            self.begins + timedelta(seconds=self.chance.uniform(86_400, span)) for _ in self.people
        ]
        for number, person in enumerate(self.people):
            first = self.came[number] + timedelta(hours=self.chance.uniform(1, 40))
            self.lending.borrow(number, person, first)

    def borrowers(self) -> Iterator[Line]:
        for number, person in enumerate(self.people):
            yield self.lending.line(
                "POST /v1/users",
                f"user-{number}",
                self.came[number],
                id=str(self.lending.identity("user", number)),
                phone=person.phone,
                email=person.email,
                name=person.name,
                creditLimit=20_000,
                autoLimitEnabled=False,
            )

    def desk(self, role: str, password: str) -> Iterator[Line]:
        seed, line, identity = self.size.seed, self.lending.line, self.lending.identity
        for name in ("Care", "Payments"):
            department = {"id": str(identity("department", name)), "name": f"{name} {seed}"}
            yield line("POST /v1/departments", f"department-{name}", self.begins, **department)
        for number, (name, department) in enumerate(AGENTS.items()):
            first = f"demo.{name.split()[0].lower()}.{seed}"
            admin = {"id": str(identity("admin", name)), "username": first, "name": name}
            contact = {"email": f"{first}@rim.example", "password": password, "roleId": role}
            contact["phone"] = f"0803{seed % 1000:03}{9100 + number:04}"
            yield line("POST /v1/admin-users", f"admin-{first}", self.begins, **admin, **contact)
            place = {"department": str(identity("department", department)), "tier": 1}
            of = {"id": admin["id"], **place}
            yield line("POST /v1/support-agents", f"agent-{first}", self.begins, **of)

    def tickets(self) -> list[Line]:
        """Everything about all tickets, in the order of time."""
        chance, lent = self.chance, sorted(self.lending.lent, key=lambda each: each[1])
        asked = [
            (user, min(at + timedelta(days=chance.uniform(0.1, 20)), self.now - timedelta(hours=1)))
            for user, at in lent
            if chance.random() < ASKING
        ]
        asked += [(user, self.now - OPEN * chance.uniform(0.1, 0.9)) for user, _ in lent[-3:]]
        dated = [each for n, (user, at) in enumerate(asked) for each in self._ticket(n, user, at)]
        return [line for _, line in sorted(dated, key=lambda each: each[0])]

    def _ticket(self, number: int, user: UUID, at: datetime) -> Iterator[tuple[datetime, Line]]:
        line, identity, chance = self.lending.line, self.lending.identity, self.chance
        subject, description, category = chance.choice(QUESTIONS)
        ticket = str(identity("ticket", number))
        body = {"id": ticket, "customerId": str(user), "subject": subject, "category": category}
        body |= {"description": description, "priority": chance.choice(PRIORITIES)}
        yield at, line("POST /v1/tickets", f"ticket-{number}", at, **body, tags=[category])
        path = f"POST /v1/tickets/{ticket}"
        if self.now - at < OPEN:
            return
        steps: list[tuple[str, float, dict[str, Any]]] = [
            ("assign", 0.3, {"assignedTo": str(identity("admin", chance.choice([*AGENTS])))}),
            ("messages", 0.8, {"message": "Thank you for writing. We are looking into it."}),
            ("resolve", chance.uniform(2, 20), {"resolution": "Explained."}),
            ("close", chance.uniform(24, 72), {}),
        ]
        for step, hours, more in steps:
            at += timedelta(hours=hours)
            yield at, line(f"{path}/{step}", f"{step}-{number}", at, **more)


class Filling:
    """Sends a story to a service."""

    def __init__(self, client: httpx.Client, password: str, size: Size) -> None:
        self.client, self.password, self.story = client, password, Story(size)
        self.done, self.refused = 0, list[str]()
        clerk = log_in(client, "admin", password)
        self.tokens = {"clerk": clerk}

    def require_room(self, *, beside: bool) -> None:
        """Raise Refused where there are users already, or this very book."""
        clerk, first = self.tokens["clerk"], self.story.lending.identity("user", 0)
        if self.client.get(f"/v1/users/{first}", headers=clerk).status_code == 200:
            raise Refused("This book is there already; take another --seed for another one.")
        users = self.client.get("/v1/users", params={"limit": 1}, headers=clerk).json()["items"]
        if users and not beside:
            raise Refused(EMPTY_HOME)

    def run(self) -> None:
        clerk = self.tokens["clerk"]
        for name in ("officer", "cashier"):
            self.tokens[name] = take_on(self.client, clerk, f"demo.{name}", self.password)
        role = str(builtin_id("support_agent"))
        self.send("clerk", self.story.borrowers())
        for who, lines in self.story.lending.in_order():
            self.send(who, lines)
        self.send("clerk", self.story.desk(role, self.password))
        # Whole, so that the clock does not find a ticket late before its answer is told.
        self.send("clerk", self.story.tickets(), "?atomic=true")

    def send(self, who: str, lines: Any, query: str = "") -> None:
        text = "".join(json.dumps(line) + "\n" for line in lines)
        headers = self.tokens[who] | {"Content-Type": "application/x-ndjson"}
        answer = self.client.post(f"/v1/bulk{query}", content=text, headers=headers)
        answer.raise_for_status()
        for each in map(json.loads, answer.text.splitlines()):
            if each["status"] < 300:
                self.done += 1
            else:
                self.refused.append(each["problem"]["code"])


def fill(
    url: str, password: str, size: Size = USUAL, *, beside: bool = False
) -> tuple[int, list[str]]:
    """How many commands were carried out, and the codes of those that were refused. Raises
    Refused."""
    with httpx.Client(base_url=url, timeout=240) as client:
        filling = Filling(client, password, size)
        filling.require_room(beside=beside)
        filling.run()
        return filling.done, filling.refused


def day(text: str) -> datetime:
    """The end of a day in Lagos, as UTC."""
    return datetime.fromisoformat(f"{text}T22:59:59+00:00")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default=URL)
    parser.add_argument("--password", default=os.environ.get("RIM_ADMIN_PASSWORD", ""))
    parser.add_argument("--seed", type=int, default=USUAL.seed, help="another one, another book")
    parser.add_argument("--borrowers", type=int, default=USUAL.borrowers)
    parser.add_argument("--months", type=int, default=USUAL.months)
    parser.add_argument("--until", type=day, help="the last day, such as 2026-06-30; now if unsaid")
    parser.add_argument("--beside", action="store_true", help="though there are users already")
    given = parser.parse_args()
    size = Size(given.seed, given.borrowers, given.months, given.until)
    try:
        done, refused = fill(given.url, given.password, size, beside=given.beside)
    except Refused as reason:
        raise SystemExit(str(reason)) from None
    print(f"{done} commands carried out, {len(refused)} refused; look at {given.url}/docs")


if __name__ == "__main__":
    main()
