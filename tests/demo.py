"""Fills an empty running service with a small believable book of loans and tickets.

    python -m tests.demo --url http://127.0.0.1:8000 --password ...

Twenty-four borrowers, some fifty loans in every state, and a support desk with two departments,
three agents and a dozen tickets, made through POST /v1/bulk by a clerk and a loan officer. A
service that has users already is left alone.
"""

import argparse
import json
import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx

from rim_ledger.admin.admin_role import builtin_id
from tests.real_loans import URL, log_in, take_on

NAMES = """Adaeze Okafor, Babatunde Adeyemi, Chiamaka Eze, Danjuma Bello, Ebele Nwosu, Folake Ojo,
Garba Sani, Hadiza Musa, Ifeanyi Obi, Jumoke Alabi, Kelechi Umeh, Ladi Audu, Maryam Yusuf,
Ngozi Ibe, Olumide Akin, Patience Udo, Quadri Lawal, Rashidat Abiola, Segun Balogun, Tariye Briggs,
Uche Anya, Victoria Etim, Wale Coker, Zainab Aliyu""".replace("\n", " ").split(", ")
NETWORKS = ["MTN", "Airtel", "Glo", "9mobile"]
PREFIXES = ["0803", "0802", "0805", "0809"]
AMOUNTS = [200, 300, 500, 500, 1000, 1000, 1500, 2000]
AGENTS = {"Amina Lawal": "Care", "Tunde Bakare": "Care", "Chidi Okoro": "Payments"}
QUESTIONS = [
    ("Airtime never came", "I was told it was sent, and my balance is the same.", "transaction"),
    ("How do I pay back?", "Can I pay in two parts, and to which account?", "billing"),
    ("New phone number", "I have another line now. How do I change it?", "account"),
    ("Why was my request refused?", "I paid everything back last month.", "loan"),
]
PRIORITIES = ["low", "medium", "medium", "high", "urgent"]
ENDINGS = ["open", "answered", "resolved", "closed"]
FATES = ["repaid", "repaid", "repaid", "repaying", "disbursed", "approved", "pending", "rejected"]


def identity(*words: object) -> UUID:
    """The id that the words stand for, so that later lines can name what earlier ones make."""
    return uuid5(NAMESPACE_URL, "/".join(map(str, ("rim-demo", *words))))


class Story:
    """What the clerk and the officer send, drawn from a fixed seed."""

    def __init__(self) -> None:
        self.chance = random.Random(2026)
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.fates: dict[UUID, str] = {}
        self.amounts: dict[UUID, int] = {}
        self.users: dict[UUID, UUID] = {}

    def line(self, op: str, key: object, days_ago: float = 0, **body: Any) -> dict[str, Any]:
        at = {"occurredAt": (self.now - timedelta(days=days_ago)).isoformat()}
        return {"op": op, "key": f"demo-{key}", "body": body | (at if days_ago else {})}

    def borrowers(self) -> Iterator[dict[str, Any]]:
        for number, name in enumerate(NAMES):
            first, last = name.lower().split()
            yield self.line(
                "POST /v1/users",
                f"user-{number}",
                days_ago=6.9,
                id=str(identity("user", number)),
                phone=f"{PREFIXES[number % 4]}555{number:04}",
                email=f"{first}.{last}@rim.example",
                name=name,
                creditLimit=10_000,
            )

    def requests(self) -> Iterator[dict[str, Any]]:
        for number in range(len(NAMES)):
            for turn in range(self.chance.choice([1, 2, 2, 3])):
                loan, user = identity("loan", number, turn), identity("user", number)
                self.fates[loan], self.users[loan] = self.chance.choice(FATES), user
                self.amounts[loan] = self.chance.choice(AMOUNTS)
                yield self.line(
                    "POST /v1/loans",
                    f"loan-{number}-{turn}",
                    days_ago=6,
                    id=str(loan),
                    userId=str(user),
                    amount=self.amounts[loan],
                    network=NETWORKS[number % 4],
                )

    def decisions(self) -> Iterator[dict[str, Any]]:
        for loan, fate in self.fates.items():
            path = f"POST /v1/loans/{loan}"
            if fate == "rejected":
                yield self.line(f"{path}/reject", f"reject-{loan}", 5.9, reason="income unclear")
            elif fate != "pending":
                yield self.line(f"{path}/approve", f"approve-{loan}", 5.9)
            if fate in ("repaid", "repaying", "disbursed"):
                yield self.line(f"{path}/disburse", f"disburse-{loan}")

    def payments(self) -> Iterator[dict[str, Any]]:
        for loan, fate in self.fates.items():
            if fate in ("repaid", "repaying"):
                due = self.amounts[loan] * 1.15
                yield self.line(
                    "POST /v1/transactions",
                    f"pay-{loan}",
                    type="repayment",
                    userId=str(self.users[loan]),
                    loanId=str(loan),
                    amount=round(due if fate == "repaid" else due / 3, 2),
                    paymentMethod="cash",
                )

    def desk(self, role: str, password: str) -> Iterator[dict[str, Any]]:
        for name in ("Care", "Payments"):
            department = {"id": str(identity("department", name)), "name": name}
            yield self.line("POST /v1/departments", f"department-{name}", **department)
        for number, (name, department) in enumerate(AGENTS.items()):
            first = name.split()[0].lower()
            admin = {"id": str(identity("admin", name)), "username": f"demo.{first}", "name": name}
            contact = {"email": f"demo.{first}@rim.example", "password": password, "roleId": role}
            contact["phone"] = f"080390000{number:02}"
            yield self.line("POST /v1/admin-users", f"admin-{first}", **admin, **contact)
            place = {"department": str(identity("department", department)), "tier": 1}
            yield self.line("POST /v1/support-agents", f"agent-{first}", id=admin["id"], **place)

    def tickets(self) -> Iterator[dict[str, Any]]:
        agents = [str(identity("admin", name)) for name in AGENTS]
        for number in range(12):
            subject, description, category = QUESTIONS[number % 4]
            ticket, ending = str(identity("ticket", number)), ENDINGS[number // 3]
            path = f"POST /v1/tickets/{ticket}"
            yield self.line(
                "POST /v1/tickets",
                f"ticket-{number}",
                days_ago=2 if ending == "closed" else 0,
                id=ticket,
                customerId=str(identity("user", number)),
                subject=subject,
                description=description,
                category=category,
                priority=self.chance.choice(PRIORITIES),
                tags=[category],
            )
            if ending == "open":
                continue
            yield self.line(f"{path}/assign", f"assign-{number}", assignedTo=agents[number % 3])
            said = "Thank you for writing. We are looking into it."
            yield self.line(f"{path}/messages", f"message-{number}", message=said)
            if ending != "answered":
                yield self.line(f"{path}/resolve", f"resolve-{number}", resolution="Explained.")
            if ending == "closed":
                yield self.line(f"{path}/close", f"close-{number}")


def fill(url: str, password: str) -> tuple[int, int]:
    """How many commands were carried out, and how many refused; (0, 0) in a service with users."""
    story = Story()
    statuses = list[int]()
    with httpx.Client(base_url=url, timeout=240) as client:
        clerk = log_in(client, "admin", password)
        if client.get("/v1/users", params={"limit": 1}, headers=clerk).json()["items"]:
            return 0, 0
        officer = take_on(client, clerk, "demo.officer", password)
        role = str(builtin_id("support_agent"))
        for token, lines in (
            (clerk, story.borrowers()),
            (clerk, story.requests()),
            (officer, story.decisions()),
            (officer, story.payments()),
            (clerk, story.desk(role, password)),
            (clerk, story.tickets()),
        ):
            text = "".join(json.dumps(line) + "\n" for line in lines)
            headers = token | {"Content-Type": "application/x-ndjson"}
            answer = client.post("/v1/bulk", content=text, headers=headers)
            answer.raise_for_status()
            statuses += [json.loads(each)["status"] for each in answer.text.splitlines()]
    done = sum(status < 300 for status in statuses)
    return done, len(statuses) - done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default=URL)
    parser.add_argument("--password", default=os.environ.get("RIM_ADMIN_PASSWORD", ""))
    given = parser.parse_args()
    done, refused = fill(given.url, given.password)
    if not done:
        raise SystemExit("This service has users already; the demo is for an empty one.")
    print(f"{done} commands carried out, {refused} refused; look at {given.url}/docs")


if __name__ == "__main__":
    main()
