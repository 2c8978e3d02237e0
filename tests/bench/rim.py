"""RIM Ledger as a peer: the same loan by its own routes, and all its processes counted."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any
from uuid import UUID, uuid4

from .bodies import user_id
from .scenario import Scenario, request
from .servers import Running
from .service import Service

HALF = 288.69  # of 500.50 naira and 15.36 % of it
LONG_AGO = timedelta(days=8)
Step = tuple[str, dict[str, Any]]


def open_loan(user: UUID, loan: UUID) -> Iterator[Step]:
    """A loan whose airtime was delivered: requested and approved, then disbursed.

    It is said to have been requested long ago, as then no telco is asked for the airtime.
    """
    request = {
        "id": str(loan),
        "userId": str(user),
        "amount": 500.50,
        "network": "MTN",
        "repaymentPeriod": 30,
        "interestRate": 15.36,
        "occurredAt": (datetime.now(UTC) - LONG_AGO).isoformat(),
    }
    yield "/v1/loans", request
    yield f"/v1/loans/{loan}/disburse", {}


def repay(user: UUID, loan: UUID) -> Step:
    """Half of a loan, in cash, which is there at once."""
    body = {"userId": str(user), "loanId": str(loan), "amount": HALF}
    return "/v1/transactions", {"type": "repayment", "paymentMethod": "cash", **body}


def life(user: UUID) -> Iterator[Step]:
    """A loan from its request to its end."""
    loan = uuid4()
    yield from open_loan(user, loan)
    yield repay(user, loan)
    yield repay(user, loan)


def borrow_and_repay(users: Sequence[UUID], headers: Mapping[str, str], *, keyed: bool) -> Scenario:
    """Opens a loan, repays it in two parts, and goes on with the next user."""
    for user in cycle(users):
        for path, body in life(user):
            key = {"Idempotency-Key": str(uuid4())} if keyed else {}
            yield request("POST", path, json.dumps(body).encode(), {**headers, **key})


@dataclass
class RimPeer:
    """`rim-ledger serve` and `rim-ledger follow`."""

    keyed: bool = False
    users: int = 2000
    connections: int = 64
    service: Service | None = None

    @property
    def name(self) -> str:
        return "rim with keys" if self.keyed else "rim"

    def start(self, database_url: str) -> Running:
        self.service = Service(database_url)
        self.service.begin(self.users)
        return Running(self.service.base_url, self.service.pids)

    def make_scenario(self, connection_index: int) -> Scenario:
        assert self.service, "a peer is started before it is asked"
        own = range(connection_index, self.users, self.connections)
        users = [user_id(number) for number in own]
        return borrow_and_repay(users, self.service.headers, keyed=self.keyed)

    def rest(self) -> None:
        if self.service:
            self.service.settle()

    def stop(self) -> None:
        if self.service:
            self.service.end()
            self.service = None
