"""What a proposed policy would have changed, summed up for whoever has to choose."""

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from rim_ledger.lending.loan import Loan
from rim_ledger.values import LAGOS, ZERO


class Outcome(StrEnum):
    """What comes of a request at once: it is lent on, a person looks at it, or it is refused."""

    APPROVED = "approved"
    PENDING = "pending"
    REFUSED = "refused"


STRICTNESS: Final = [*Outcome]


class OutcomeTotals(Struct, rename="camel"):
    """What became of some requests, in loans and naira. Of a loan that was lent, the whole fee is
    income; `owed` is what defaulted loans still owe."""

    requests: int = 0
    lent: int = 0
    principal: Decimal = ZERO
    fees: Decimal = ZERO
    late: int = 0
    defaults: int = 0
    owed: Decimal = ZERO

    def add(self, loan: Loan | None) -> None:
        """One more request, and the loan that it made, if it was not refused."""
        self.requests += 1
        if loan is None:
            return
        if loan.disbursed_at:
            self.lent += 1
            self.principal += loan.amount
            self.fees += loan.amount_due - loan.amount
            self.late += was_late(loan)
        if loan.defaulted_at:
            self.defaults += 1
            self.owed += loan.outstanding_amount


class Month(Struct, rename="camel"):
    """What was lent in a month, and how much of it on requests that a policy is stricter with."""

    month: str
    principal: Decimal = ZERO
    stricter: Decimal = ZERO


class Report:
    """What a policy would have changed, as far as it was looked at."""

    def __init__(self, upto: int) -> None:
        self.position = upto
        self.users = self.users_changed = 0
        self.all, self.stricter, self.looser = OutcomeTotals(), OutcomeTotals(), OutcomeTotals()
        self._changes: dict[tuple[Outcome, Outcome], OutcomeTotals] = defaultdict(OutcomeTotals)
        self._months: dict[str, Month] = {}
        self._days: dict[date, list[Decimal]] = defaultdict(lambda: [ZERO, ZERO])

    def add(self, loan: Loan | None, before: Outcome, after: Outcome) -> None:
        """One more request, and the loan that it made, if it was not refused."""
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
        """How many requests would have come out otherwise."""
        return self.stricter.requests + self.looser.requests

    @property
    def months(self) -> list[Month]:
        return [self._months[name] for name in sorted(self._months)]

    @property
    def peaks(self) -> tuple[Decimal, Decimal]:
        """The most principal that was lent at the end of any day, and that without the loans that
        the policy is stricter with. A loan counts as a whole until it is repaid."""
        now, most = [ZERO, ZERO], [ZERO, ZERO]
        for day in sorted(self._days):
            now = [sum(each, ZERO) for each in zip(now, self._days[day], strict=True)]
            most = [*map(max, most, now)]
        return most[0], most[1]

    @property
    def outcomes(self) -> list[tuple[Outcome, Outcome, OutcomeTotals]]:
        """What came of requests, what would have come of them, and what they came to."""
        return [(*outcomes, self._changes[outcomes]) for outcomes in sorted(self._changes)]

    @property
    def shown(self) -> dict[str, Any]:
        """The report as clients know it."""
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
    """Whether it fell overdue, or was repaid after it was due."""
    return loan.overdue or loan.late or loan.defaulted_at is not None
