"""Totals of what a proposed policy would have changed."""

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from rim_ledger.lending.loan import Loan
from rim_ledger.values import LAGOS, ZERO


class Outcome(StrEnum):
    """The immediate outcome of a request: approved, for review, or refused."""

    APPROVED = "approved"
    PENDING = "pending"
    REFUSED = "refused"


STRICTNESS: Final = [*Outcome]


class OutcomeTotals(Struct, rename="camel"):
    """Totals over requests, in loans and naira. The whole fee of a disbursed loan is income; `owed`
    is what defaulted loans still owe."""

    requests: int = 0
    lent: int = 0
    principal: Decimal = ZERO
    fees: Decimal = ZERO
    late: int = 0
    defaults: int = 0
    owed: Decimal = ZERO

    def add(self, loan: Loan | None) -> None:
        """Add a request, with its loan if it was not refused."""
        self.requests += 1
        if loan is None:
            return
        if loan.disbursed_at:
            self.lent += 1
            self.principal += loan.amount
            self.fees += loan.cost
            self.late += was_late(loan)
        if loan.defaulted_at:
            self.defaults += 1
            self.owed += loan.outstanding_amount


class Month(Struct, rename="camel"):
    """Principal lent in a month, and the part of it on requests that a policy is stricter with."""

    month: str
    principal: Decimal = ZERO
    stricter: Decimal = ZERO


class Report:
    """The effect of a policy on the requests compared so far."""

    def __init__(self, upto: int) -> None:
        self.position = upto
        self.users = self.users_changed = 0
        self.all, self.stricter, self.looser = OutcomeTotals(), OutcomeTotals(), OutcomeTotals()
        self._changes: dict[tuple[Outcome, Outcome], OutcomeTotals] = defaultdict(OutcomeTotals)
        self._months: dict[str, Month] = {}
        self._days: dict[date, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])

    def add(self, loan: Loan | None, before: Outcome, after: Outcome) -> None:
        """Add a request, with its loan if it was not refused."""
        self.all.add(loan)
        stricter = STRICTNESS.index(after) > STRICTNESS.index(before)
        if before is not after:
            self._changes[before, after].add(loan)
            (self.stricter if stricter else self.looser).add(loan)
        if loan and loan.disbursed_at:
            kept = ZERO if stricter else loan.amount
            name = f"{loan.disbursed_at.astimezone(LAGOS):%Y-%m}"
            month = self._months.setdefault(name, Month(name))
            month.principal += loan.amount
            month.stricter += loan.amount - kept
            self._owed(loan.disbursed_at, loan.amount, kept)
            if loan.completed_at:
                self._owed(loan.completed_at, -loan.amount, -kept)

    def _owed(self, at: datetime, amount: Decimal, kept: Decimal) -> None:
        day = self._days[at.astimezone(LAGOS).date()]
        day[0] += amount
        day[1] += kept

    @property
    def changed(self) -> int:
        """How many requests have another outcome."""
        return self.stricter.requests + self.looser.requests

    @property
    def months(self) -> list[Month]:
        return [self._months[name] for name in sorted(self._months)]

    @property
    def peaks(self) -> tuple[Decimal, Decimal]:
        """The highest principal lent at the end of any day, and that without loans that the policy
        is stricter with. A loan counts in full until repaid."""
        now, most = [ZERO, ZERO], [ZERO, ZERO]
        for day in sorted(self._days):
            now = [sum(each, ZERO) for each in zip(now, self._days[day], strict=True)]
            most = [*map(max, most, now)]
        return most[0], most[1]

    @property
    def outcomes(self) -> list[tuple[Outcome, Outcome, OutcomeTotals]]:
        """Triples of actual outcome, outcome under the policy, and totals."""
        return [(*outcomes, self._changes[outcomes]) for outcomes in sorted(self._changes)]

    @property
    def shown(self) -> dict[str, Any]:
        """The report as JSON for clients."""
        before, after = self.peaks
        return {
            "position": self.position,
            "requests": self.all.requests,
            "users": self.users,
            "changedRequests": self.changed,
            "changedUsers": self.users_changed,
            "exposure": {"before": before, "after": after},
            "defaultsAvoided": self.stricter.defaults,
            "lossAvoided": self.stricter.owed,
            "incomeLost": self.stricter.fees,
            "all": self.all,
            "stricter": self.stricter,
            "looser": self.looser,
            "outcomes": [
                {"before": was, "after": is_, "figures": figures}
                for was, is_, figures in self.outcomes
            ],
            "months": self.months,
        }


def was_late(loan: Loan) -> bool:
    """True if it was ever overdue or repaid after its due date."""
    return loan.overdue or loan.late or loan.defaulted_at is not None
