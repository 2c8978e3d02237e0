"""What becomes of the loans of an example book: who does what, and when."""

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid5

from tests.demo_people import Person

Line = dict[str, Any]
FRESH: Final = timedelta(days=6.9)
"""A request of less long ago sends airtime, and is watched by the clock."""
TERM, PATIENCE, FEE = 30, (20, 60), 1.15
"""Days of a loan; days past due at which some are given up; what is due for each naira."""
AMOUNTS: Final = (500, 500, 1000, 1000, 1500, 2000, 3000, 5000)
METHODS: Final = {
    "bank_transfer": ("Moniepoint", "OPay", "Providus"),
    "card": ("Paystack", "Flutterwave", "Interswitch"),
    "wallet": ("PalmPay", "OPay"),
}
REASONS: Final = ("income unclear", "phone changed lately", "no history with us", "amount too high")
HARD: Final = {5: 0.75, 6: 0.7, 7: 0.8}
"""Months before the end in which times were hard, and what became of care in them."""


class Phase(IntEnum):
    """What is done to a borrower's loan, in the order of time; each by one person for all."""

    REQUEST = 0
    DECIDE = 1
    RECORD = 2
    SETTLE = 3
    CORRECT = 4
    GIVE_UP = 5
    RECORD_LATE = 6
    SETTLE_LATE = 7


BY: Final = {
    Phase.REQUEST: "clerk",
    Phase.DECIDE: "officer",
    Phase.RECORD: "clerk",
    Phase.SETTLE: "officer",
    Phase.CORRECT: "cashier",
    Phase.GIVE_UP: "officer",
    Phase.RECORD_LATE: "clerk",
    Phase.SETTLE_LATE: "officer",
}
"""Who does it: nobody approves what they asked for, or gives back what they took."""


class Lending:
    """The loans of all borrowers up to a time, by turn and phase."""

    def __init__(self, chance: random.Random, seed: int, until: datetime, *, live: bool) -> None:
        """`live` says that the book ends now: its last loans are lent as it is filled."""
        self.chance, self.seed, self.until, self.live = chance, seed, until, live
        self.lines = defaultdict[tuple[int, Phase], list[Line]](list)
        self.lent: list[tuple[UUID, datetime]] = []
        """Borrowers and when they were lent to, for those who ask about it."""

    def identity(self, *words: object) -> UUID:
        """The id that the words stand for, so that later lines can name what earlier ones make."""
        return uuid5(NAMESPACE_URL, "/".join(map(str, ("rim-demo", self.seed, *words))))

    def line(self, op: str, key: str, at: datetime | None, **body: Any) -> Line:
        when = {"occurredAt": at.isoformat()} if at else {}
        return {"op": op, "key": f"demo-{self.seed}-{key}", "body": body | when}

    def borrow(self, number: int, person: Person, at: datetime) -> None:
        """The loans of a borrower, one after the other, from a time on."""
        turn = 0
        while (done := self._loan(number, person, turn, at)) is not None:
            at, turn = done + timedelta(days=self.chance.uniform(1, 25)), turn + 1
            if at >= self.until:
                return

    def _loan(self, number: int, person: Person, turn: int, at: datetime) -> datetime | None:
        """One loan; when the borrower was through with it, or None while they are not."""
        key, chance = f"{number}-{turn}", self.chance
        loan, user = self.identity("loan", key), self.identity("user", number)
        amount = chance.choice(AMOUNTS[turn : turn + 4] or AMOUNTS[-2:])
        fresh = self.live and self.until - at < FRESH + timedelta(days=1)
        at = min(at, self.until - timedelta(days=6.5)) if fresh else at
        self._add(
            turn,
            Phase.REQUEST,
            self.line(
                "POST /v1/loans",
                f"loan-{key}",
                at,
                id=str(loan),
                userId=str(user),
                amount=amount,
                network=person.network,
            ),
        )
        decided = at + timedelta(minutes=chance.uniform(4, 300))
        path = f"POST /v1/loans/{loan}"
        if chance.random() < 0.06 and decided < self.until:
            why = chance.choice(REASONS)
            self._add(
                turn, Phase.DECIDE, self.line(f"{path}/reject", f"no-{key}", decided, reason=why)
            )
            return None if fresh else decided
        waits = chance.random() < 0.2 if fresh else decided + timedelta(minutes=1) >= self.until
        if waits:
            return None
        self._add(turn, Phase.DECIDE, self.line(f"{path}/approve", f"yes-{key}", decided))
        sent = None if fresh else decided + timedelta(minutes=1)
        self._add(turn, Phase.DECIDE, self.line(f"{path}/disburse", f"send-{key}", sent))
        if sent is None:
            return None
        self.lent.append((user, sent))
        return self._repay((key, turn), (user, loan), person, (sent, round(amount * FEE, 2)))

    def _repay(
        self,
        of: tuple[str, int],
        ids: tuple[UUID, UUID],
        person: Person,
        debt: tuple[datetime, float],
    ) -> datetime | None:
        """What comes in for a loan: in time, late, never, or for a while only."""
        (key, turn), (sent, due), chance = of, debt, self.chance
        care = person.care * HARD.get((self.until - sent).days // 30, 1)
        luck = chance.random()
        if luck < care:
            days = chance.triangular(4, TERM, 26)
            reversed_ = chance.random() < 0.025
            self._pay(of, ids, Phase.RECORD, sent + timedelta(days=days), due, back=reversed_)
            if not reversed_:
                return self._within(sent + timedelta(days=days))
            days = TERM + chance.uniform(6, 20)
            return self._pay(of, ids, Phase.RECORD_LATE, sent + timedelta(days=days), due)
        paid = 0.0
        if chance.random() < 0.4:
            paid = round(due / 3, 2)
            early = sent + timedelta(days=chance.uniform(15, 29))
            self._pay(of, ids, Phase.RECORD, early, paid, whole=False)
        if luck < care + (1 - care) * 0.62:
            days = TERM + chance.triangular(1, 28, 6)
            late = sent + timedelta(days=days)
            return self._pay(of, ids, Phase.RECORD_LATE, late, round(due - paid, 2))
        past_due = chance.uniform(*PATIENCE)
        given_up = sent + timedelta(days=TERM + past_due)
        if given_up < self.until:
            path = f"POST /v1/loans/{ids[1]}/default"
            why = f"{past_due:.0f} days past due"
            self._add(turn, Phase.GIVE_UP, self.line(path, f"lost-{key}", given_up, reason=why))
            if chance.random() < 0.3:
                recovered = given_up + timedelta(days=chance.uniform(5, 60))
                self._pay(of, ids, Phase.RECORD_LATE, recovered, round((due - paid) / 2, 2))
        return None

    def _pay(
        self,
        of: tuple[str, int],
        ids: tuple[UUID, UUID],
        phase: Phase,
        at: datetime,
        amount: float,
        *,
        whole: bool = True,
        back: bool = False,
    ) -> datetime | None:
        """A payment, if it is before the end, and sometimes one before it that failed; when it
        came. `whole` says that it pays all that is due, and may be too much; `back` has it charged
        back some days later."""
        (key, turn), (user, loan), chance = of, ids, self.chance
        if at >= self.until:
            return None
        if phase is Phase.RECORD and chance.random() < 0.06:
            self._fail(of, ids, at - timedelta(hours=chance.uniform(1, 20)), amount)
        over = 100 if whole and not back and chance.random() < 0.03 else 0
        payment = self.identity("payment", key, phase)
        self._add(
            turn, phase, self._recorded(payment, f"{key}-{phase}", (user, loan), at, amount + over)
        )
        settled = at + timedelta(minutes=chance.uniform(1, 30))
        path = f"POST /v1/transactions/{payment}"
        done = self.line(f"{path}/complete", f"paid-{key}-{phase}", settled)
        self._add(turn, Phase(phase + 1), done)
        if back:
            reversed_ = settled + timedelta(days=chance.uniform(1, 4))
            why = "charged back by the bank"
            line = self.line(f"{path}/reverse", f"back-{key}", reversed_, reason=why)
            self._add(turn, Phase.CORRECT, line)
        elif over and phase is Phase.RECORD:
            self._add(
                turn,
                Phase.CORRECT,
                self.line(
                    f"POST /v1/users/{user}/refund-credit",
                    f"over-{key}",
                    settled + timedelta(days=1),
                    amount=over,
                    paymentMethod="bank_transfer",
                    reference=f"RF-{self.seed}-{key}",
                ),
            )
        return at

    def _fail(
        self, of: tuple[str, int], ids: tuple[UUID, UUID], at: datetime, amount: float
    ) -> None:
        """A payment that failed; where the money was taken all the same, it is given back."""
        (key, turn), chance = of, self.chance
        payment, captured = self.identity("failed", key), chance.random() < 0.5
        self._add(turn, Phase.RECORD, self._recorded(payment, f"{key}-failed", ids, at, amount))
        path, failed = f"POST /v1/transactions/{payment}", at + timedelta(minutes=9)
        why = "the provider timed out" if captured else "insufficient funds"
        body: dict[str, Any] = {"reason": why, "fundsCaptured": captured}
        self._add(turn, Phase.SETTLE, self.line(f"{path}/fail", f"failed-{key}", failed, **body))
        if captured:
            later, why = failed + timedelta(hours=30), "taken for a payment that failed"
            line = self.line(f"{path}/refund", f"refund-{key}", later, reason=why)
            self._add(turn, Phase.CORRECT, line)

    def _recorded(
        self, payment: UUID, key: str, ids: tuple[UUID, UUID], at: datetime, amount: float
    ) -> Line:
        method = self.chance.choice([*METHODS])
        provider = self.chance.choice(METHODS[method])
        return self.line(
            "POST /v1/transactions",
            f"pay-{key}",
            at,
            id=str(payment),
            type="repayment",
            userId=str(ids[0]),
            loanId=str(ids[1]),
            amount=round(amount, 2),
            paymentMethod=method,
            provider=provider,
            reference=f"{provider[:3].upper()}-{self.seed}-{key}",
        )

    def _add(self, turn: int, phase: Phase, line: Line) -> None:
        """Add a line, unless it is dated after the end."""
        if line["body"].get("occurredAt", "") <= self.until.isoformat():
            self.lines[turn, phase].append(line)

    def _within(self, at: datetime) -> datetime | None:
        return at if at < self.until else None

    def in_order(self) -> Iterator[tuple[str, list[Line]]]:
        """Who does what: the first loan of each borrower, then the second, and so on."""
        for turn, phase in sorted(self.lines):
            yield BY[phase], self.lines[turn, phase]
