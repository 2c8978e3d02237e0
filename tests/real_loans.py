"""Lends and repays real loans again, through POST /v1/bulk, and compares every figure.

    python -m tests.real_loans nano_loans.csv --url http://127.0.0.1:8000 --password ...

The file's `requested_at` is read as UTC, `approved_at` and the repayments as Lagos time. Each loan
comes with its own terms and times (`occurredAt`, which needs history.import); every borrower gets
a limit that no loan reaches, so that the lender's decision of then is not made again. A customer's
loans follow one another, each repaid before the next is requested. Loans are requested and payments
recorded by one admin, approved and completed by another, whom the script takes on.
"""

import argparse
import csv
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

import httpx
from rich.progress import Progress

from rim_ledger.admin.admin_role import SUPERADMIN

URL = f"http://127.0.0.1:{os.environ.get('RIM_PORT') or 8000}"
FILE = os.environ.get("NANO_LOANS", "")
"""The file that tests lend again, if there is one."""
LIMIT = 100_000_000
OFFICER = "real.loans"
Line = dict[str, Any]
ReportProgress = Callable[[int], None]


class Row(NamedTuple):
    """A loan as the file has it; money in naira."""

    customer: str
    loan: str
    amount: Decimal | None
    total_due: Decimal
    days: int
    requested_at: str
    approved_at: str
    first_repaid_at: str
    closed_at: str

    @property
    def user_id(self) -> UUID:
        return uuid5(NAMESPACE_URL, f"customer/{self.customer}")

    @property
    def loan_id(self) -> UUID:
        return uuid5(NAMESPACE_URL, f"loan/{self.loan}")

    @property
    def rate(self) -> Decimal:
        """The percentage that reproduces the stored term to the kobo, at six decimals."""
        assert self.amount
        return ((self.total_due / self.amount - 1) * 100).quantize(Decimal("0.000001"))


class Outcome(NamedTuple):
    """What came of the import: lines sent, lines refused by problem code, what differs."""

    lines: int
    refused: dict[str, int]
    differences: list[str]


def read(path: Path) -> list[Row]:
    """The file's loans, each customer's in the order they were made."""
    with path.open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: (row["customer"], row["requested_at"]))
    return [
        Row(
            customer=row["customer"],
            loan=row["loan"],
            amount=Decimal(row["amount"]) if row["amount"] else None,
            total_due=Decimal(row["total_due"]),
            days=int(row["term_days"]),
            requested_at=row["requested_at"],
            approved_at=row["approved_at"],
            first_repaid_at=row["first_repaid_at"],
            closed_at=row["closed_at"],
        )
        for row in rows
    ]


def _utc(text: str, zone: str = "UTC") -> str:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).isoformat()


def registration(row: Row, number: int) -> Line:
    body = {
        "id": str(row.user_id),
        "phone": f"0803{number:07}",
        "email": f"{row.customer.lower()}@nano.example",
        "name": row.customer,
        "creditLimit": LIMIT,
        "autoLimitEnabled": False,
        "occurredAt": _utc(row.requested_at),
    }
    return {"op": "POST /v1/users", "key": f"user-{row.customer}", "body": body}


def request(row: Row) -> Line:
    body = {
        "id": str(row.loan_id),
        "userId": str(row.user_id),
        "network": "MTN",
        "repaymentPeriod": row.days,
        "occurredAt": _utc(row.requested_at),
    }
    if row.amount:
        body |= {"amount": float(row.amount), "interestRate": float(row.rate)}
    return {"op": "POST /v1/loans", "key": f"loan-{row.loan}", "body": body}


def decisions(row: Row) -> Iterator[Line]:
    for step in ("approve", "disburse"):
        yield {
            "op": f"POST /v1/loans/{row.loan_id}/{step}",
            "key": f"{step}-{row.loan}",
            "body": {"occurredAt": _utc(row.approved_at, "Africa/Lagos")},
        }


class Part(NamedTuple):
    """A repayment of a loan: its number, id, naira, and the time in the file."""

    number: int
    id: UUID
    amount: Decimal
    times: dict[str, str]


def parts(row: Row) -> Iterator[Part]:
    """Half at the first repayment, the rest at the last."""
    first = (row.total_due / 2).quantize(Decimal("0.01"))
    amounts = (first, row.first_repaid_at), (row.total_due - first, row.closed_at)
    for number, (amount, at) in enumerate(amounts, 1):
        payment = uuid5(row.loan_id, f"payment {number}")
        times = {"occurredAt": _utc(at or row.closed_at, "Africa/Lagos")}
        yield Part(number, payment, amount, times)


def payments(row: Row) -> Iterator[Line]:
    for part in parts(row):
        body = {
            "id": str(part.id),
            "type": "repayment",
            "userId": str(row.user_id),
            "loanId": str(row.loan_id),
            "amount": float(part.amount),
            "paymentMethod": "bank_transfer",
            "provider": "nano",
            "reference": f"{row.loan}-{part.number}",
        }
        key = f"pay-{row.loan}-{part.number}"
        yield {"op": "POST /v1/transactions", "key": key, "body": body | part.times}


def completions(row: Row) -> Iterator[Line]:
    for part in parts(row):
        complete = f"POST /v1/transactions/{part.id}/complete"
        yield {"op": complete, "key": f"complete-{row.loan}-{part.number}", "body": part.times}


def rounds(rows: list[Row]) -> Iterator[list[Row]]:
    """First every customer's first loan, then every customer's second, and so on."""
    of_customer = defaultdict[str, list[Row]](list)
    for row in rows:
        of_customer[row.customer].append(row)
    for turn in range(max(map(len, of_customer.values()))):
        yield [loans[turn] for loans in of_customer.values() if len(loans) > turn]


class Importer:
    """A clerk who registers, requests and records, and an officer who decides and completes."""

    def __init__(self, client: httpx.Client, password: str, told: ReportProgress) -> None:
        self.client, self.told = client, told
        self.refused = defaultdict[str, int](int)
        self.position = self.lines = 0
        self.clerk = log_in(client, "admin", password)
        self.officer = take_on(client, self.clerk, OFFICER, password)

    def run(self, rows: list[Row]) -> None:
        first = {row.customer: row for row in reversed(rows)}
        people = [registration(row, number) for number, row in enumerate(first.values())]
        self.send(self.clerk, people)
        for turn in rounds(rows):
            self.send(self.clerk, [request(row) for row in turn])
            lent = [row for row in turn if row.amount]
            self.send(self.officer, [line for row in lent for line in decisions(row)])
            self.send(self.clerk, [line for row in lent for line in payments(row)])
            self.send(self.officer, [line for row in lent for line in completions(row)])

    def send(self, token: dict[str, str], lines: list[Line]) -> None:
        """One request to /v1/bulk. Refused lines are counted by the code of their problem."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        headers = token | {"Content-Type": "application/x-ndjson"}
        with self.client.stream("POST", "/v1/bulk", content=text, headers=headers) as answer:
            assert answer.status_code == 200, answer.read()
            for number, each in enumerate(map(json.loads, answer.iter_lines()), 1):
                assert each["line"] == number
                self.lines += 1
                self.told(1)
                if problem := each.get("problem"):
                    self.refused[problem["code"]] += 1
                else:
                    self.position = max(self.position, each["receipt"]["position"])

    def all(self, path: str) -> Iterator[dict[str, Any]]:
        """Every row of a list, page by page, as of the last position that was written."""
        cursor = None
        headers = self.clerk | {"Ledger-Position": str(self.position)}
        while True:
            parameters = {"limit": "200"} | ({"cursor": cursor} if cursor else {})
            page = self.client.get(path, params=parameters, headers=headers)
            page.raise_for_status()
            found = json.loads(page.text, parse_float=Decimal)
            yield from found["items"]
            if (cursor := found["nextCursor"]) is None:
                return


def log_in(client: httpx.Client, username: str, password: str) -> dict[str, str]:
    """The header that says who asks."""
    body = {"username": username, "password": password}
    answer = client.post("/v1/auth/login", json=body)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def take_on(
    client: httpx.Client, caller: dict[str, str], username: str, password: str
) -> dict[str, str]:
    """A second super-admin, since nobody approves what they requested; the header to ask with."""
    body = {
        "username": username,
        "email": f"{username}@rim.example",
        "roleId": str(SUPERADMIN),
        "password": password,
    }
    answer = client.post("/v1/admin-users", json=body, headers=caller)
    assert answer.status_code in (201, 409), answer.text
    return log_in(client, username, password)


def compare(rows: list[Row], importer: Importer) -> list[str]:
    """What the read tables say otherwise than the file."""
    lent = [row for row in rows if row.amount]
    ours = {str(row.loan_id): row for row in lent}
    people = {str(row.user_id) for row in rows}
    loans = [loan for loan in importer.all("/v1/loans") if loan["id"] in ours]
    repaid = defaultdict[str, Decimal](Decimal)
    for row in lent:
        repaid[str(row.user_id)] += row.total_due
    found = {
        "loans": (len(loans), len(lent)),
        "completed": (sum(loan["status"] == "completed" for loan in loans), len(lent)),
        "amount": (sum(loan["amount"] for loan in loans), sum(row.amount or 0 for row in lent)),
    }
    for figure, share in [("amountDue", 1), ("amountPaid", 1), ("outstandingAmount", 0)]:
        due = sum(row.total_due for row in lent) * share
        found[figure] = (sum(loan[figure] for loan in loans), due)
    different = [f"{name}: {is_}, not {due}" for name, (is_, due) in found.items() if is_ != due]
    users = [user for user in importer.all("/v1/users") if user["id"] in people]
    return different + [
        f"{user['name']}: totalRepaid {user['totalRepaid']}, not {repaid[user['id']]}"
        for user in users
        if user["totalRepaid"] != repaid[user["id"]] or user["exposure"] or user["creditBalance"]
    ]


def run(path: Path, url: str, password: str, told: ReportProgress) -> Outcome:
    """Import the file into a running service, and compare."""
    rows = read(path)
    with httpx.Client(base_url=url, timeout=240) as client:
        importer = Importer(client, password, told)
        importer.run(rows)
        return Outcome(importer.lines, dict(importer.refused), compare(rows, importer))


def lines_of(path: Path) -> int:
    """How many lines an import of the file sends."""
    rows = read(path)
    return len({row.customer for row in rows}) + sum(7 if row.amount else 1 for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", default=URL)
    parser.add_argument("--password", default=os.environ.get("RIM_ADMIN_PASSWORD", ""))
    given = parser.parse_args()
    with Progress() as progress:
        task = progress.add_task("real loans", total=lines_of(given.file))
        outcome = run(given.file, given.url, given.password, lambda n: progress.advance(task, n))
    print(f"{outcome.lines} lines, refused: {outcome.refused or 'none'}")
    print("\n".join(outcome.differences) or "Every figure in the read tables equals the file's.")


if __name__ == "__main__":
    main()
