"""A borrower's account statement: what they owed, each event that changed it, and what they owe.

It is folded from the user's own stream, in which all money of a user meets. An amount is what the
event changed in the balance, so opening balance and movements always add up to the closing balance.
"""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Self
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from projections.follow.fold import evolved
from projections.follow.log import Line
from rim_ledger.lending.user import User
from rim_ledger.values import ZERO, lagos_day


class Movement(Struct, frozen=True, rename="camel"):
    """An event that changed the balance. `amount` is positive where more is owed, and `balance`
    stands after it; both are naira."""

    at: datetime
    event: str
    event_id: UUID
    position: int
    loan_id: UUID | None
    transaction_id: UUID | None
    amount: Decimal
    balance: Decimal = ZERO


class Period(Struct, frozen=True):
    """From a Lagos day to another, both included; None for no bound."""

    first: date | None = None
    last: date | None = None

    def is_after(self, at: datetime) -> bool:
        """Return whether the period begins after a time."""
        return self.first is not None and lagos_day(at) < self.first

    def is_before(self, at: datetime) -> bool:
        """Return whether the period ended before a time."""
        return self.last is not None and lagos_day(at) > self.last


class AccountStatement(Struct, frozen=True):
    """The movements of a period. A balance is what the user owes on all loans (naira), less their
    credit: negative where the credit is more."""

    opening: Decimal
    movements: list[Movement]
    closing: Decimal

    @classmethod
    def of(cls, lines: Iterable[Line], period: Period) -> Self:
        """Make the statement of a user from the events of their stream. Movements are in order of
        business time, then of recording. Raises PoisonEvent."""
        balance, opening, movements = ZERO, ZERO, list[Movement]()
        for each in sorted(_changes(lines), key=lambda change: (change.at, change.position)):
            if period.is_before(each.at):
                break
            balance += each.amount
            if period.is_after(each.at):
                opening = balance
            else:
                movements.append(replace(each, balance=balance))
        return cls(opening, movements, balance)


def balance_of(user: User) -> Decimal:
    """Return what a user owes on all loans in naira, less their credit."""
    return sum((debt.outstanding for debt in user.debts.values()), ZERO) - user.credit_balance


def _changes(lines: Iterable[Line]) -> Iterator[Movement]:
    """Each event that changed the balance, in order of recording."""
    before, owed = None, ZERO
    for line in lines:
        after, recorded = evolved(before, line)
        assert isinstance(after, User), "a user's stream holds nothing else"
        if amount := balance_of(after) - owed:
            yield Movement(
                at=recorded.stamp.at,
                event=line.name,
                event_id=recorded.id,
                position=line.position,
                loan_id=getattr(recorded.event, "loan_id", None),
                transaction_id=getattr(recorded.event, "transaction_id", None),
                amount=amount,
            )
        before, owed = after, owed + amount
