"""RIM Ledger as a peer: the same loan by its own routes, and all its processes counted."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any
from uuid import UUID, uuid4

from .bodies import user_id
from .scenario import Scenario, request
from .servers import Running, loan_body
from .service import Service

HALF = 288.69  # of 500.50 naira and 15.36 % of it
LONG_AGO = timedelta(days=8)
Body = dict[str, Any]


def loan_of(user: UUID) -> Body:
    """A loan that is said to have been requested long ago: then no telco is asked for airtime."""
    return loan_body(user) | {"occurredAt": (datetime.now(UTC) - LONG_AGO).isoformat()}


def half_of(user: UUID, loan: str) -> Body:
    """Half of a loan, repaid in cash, which is there at once."""
    body = {"userId": str(user), "loanId": loan, "amount": HALF}
    return {"type": "repayment", "paymentMethod": "cash", **body}


def borrow_and_repay(users: Sequence[UUID], headers: Mapping[str, str], *, keyed: bool) -> Scenario:
    """Requests a loan, has it disbursed, repays it in two parts; then the next user's turn.

    `keyed` gives every command an Idempotency-Key of its own.
    """

    def post(path: str, body: Body) -> bytes:
        key = {"Idempotency-Key": str(uuid4())} if keyed else {}
        return request("POST", path, json.dumps(body).encode(), {**headers, **key})

    for user in cycle(users):
        requested = yield post("/v1/loans", loan_of(user))
        if requested.status == 201:
            loan = json.loads(requested.body)["id"]
            yield post(f"/v1/loans/{loan}/disburse", {})
            for _ in range(2):
                yield post("/v1/transactions", half_of(user, loan))


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
