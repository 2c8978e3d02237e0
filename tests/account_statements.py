"""Adds up the account statements of borrowers, and compares them with loans, credit and journal."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self

import httpx

from rim_ledger.values import LAGOS, moment

CUSTOMER: Final = ("1200", "1210", "1220", "2100", "2110")
"""The accounts of what borrowers owe, and of their money."""


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


class Ledger(NamedTuple):
    """A running service, read as of a position at least."""

    client: httpx.Client
    head: Mapping[str, str]
    position: str

    @classmethod
    def at_head(cls, client: httpx.Client, head: Mapping[str, str]) -> Self:
        """A service as of its last event, read by whom the header names."""
        answer = client.get("/v1/events?limit=1", headers=dict(head))
        assert answer.status_code == 200, answer.text
        return cls(client, head, answer.headers["ledger-position"])

    def read(self, path: str, media_type: str = "application/json") -> str:
        """The text of an answer."""
        headers = {"accept": media_type, "ledger-position": self.position}
        answer = self.client.get(path, headers={**self.head, **headers})
        assert answer.status_code == 200, answer.text
        return answer.text

    def rows(self, path: str) -> Iterator[Any]:
        """All rows of a list."""
        return map(exact, self.read(path, "application/x-ndjson").splitlines())


def require_statements(ledger: Ledger, users: Iterable[str]) -> int:
    """Check the statement of each user, whole and cut in two; return the number of movements."""
    lent, posted = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
    for loan in ledger.rows("/v1/loans"):
        if loan["disbursedAt"]:
            lent[loan["userId"]] += loan["outstandingAmount"]
    for entry in ledger.rows("/v1/journal"):
        for line in entry["lines"]:
            if line["account"].partition(".")[0] in CUSTOMER:
                posted[entry["userId"]] += line["debit"] - line["credit"]
    count = 0
    for user in users:
        whole = _required(ledger, user)
        credit = exact(ledger.read(f"/v1/users/{user}"))["creditBalance"]
        assert whole["openingBalance"] == 0
        assert whole["closingBalance"] == lent[user] - credit == posted[user], user
        count += len(whole["movements"])
    return count


def _required(ledger: Ledger, user: str) -> Any:
    """The whole statement of a user, after a look at its two halves."""
    path = f"/v1/users/{user}/account-statement"
    whole = exact(ledger.read(path))
    _require_sum(whole)
    if movements := whole["movements"]:
        middle = _day(movements[len(movements) // 2]["at"])
        first = exact(ledger.read(f"{path}?to={middle - timedelta(days=1)}"))
        second = exact(ledger.read(f"{path}?from={middle}"))
        _require_sum(first)
        _require_sum(second)
        assert first["closingBalance"] == second["openingBalance"], user
        assert [*first["movements"], *second["movements"]] == movements, user
    return whole


def _require_sum(statement: dict[str, Any]) -> None:
    balance = statement["openingBalance"]
    for each in statement["movements"]:
        balance += each["amount"]
        assert balance == each["balance"]
    assert balance == statement["closingBalance"]


def _day(text: str) -> date:
    at = moment(text)
    assert at
    return at.astimezone(LAGOS).date()
