"""The debt of one loan, and the parts of payments allocated to it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, Self
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.values import ZERO

FEE_FIRST: Final = ("fee", "interest", "principal")
"""The order in which a payment covers what is owed on a loan."""
PRINCIPAL_FIRST: Final = FEE_FIRST[::-1]
"""The same order once the loan has defaulted."""


class Charges(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """The charges of a loan, in naira: late fees and interest."""

    fee: Decimal = ZERO
    interest: Decimal = ZERO

    @property
    def amount(self) -> Decimal:
        return self.fee + self.interest

    def plus(self, other: "Charges") -> "Charges":
        """Return the sum of both."""
        return Charges(fee=self.fee + other.fee, interest=self.interest + other.interest)


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """The part of a payment allocated to one loan, in naira."""

    loan_id: UUID
    principal: Decimal
    interest: Decimal
    fee: Decimal = ZERO

    @property
    def amount(self) -> Decimal:
        return self.principal + self.interest + self.fee

    def share(self, amount: Decimal, order: Sequence[str]) -> Self:
        """Return what an amount covers of this part, in an order of its fields."""
        covered = dict[str, Decimal]()
        for name in order:
            covered[name] = min(amount, getattr(self, name)) or ZERO
            amount -= covered[name]
        return replace(self, **covered)

    def plus(self, other: "Part", sign: int = 1) -> "Part":
        """Return the sum of two parts of the same loan; with the sign -1, the difference."""
        return replace(
            self,
            principal=self.principal + sign * other.principal,
            interest=self.interest + sign * other.interest,
            fee=self.fee + sign * other.fee or ZERO,
        )


class Completion(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A loan that a payment or a waiver completes, and the time of the latest of its money."""

    loan_id: UUID
    paid_at: datetime


class Debt(Struct, frozen=True, kw_only=True, gc=False):
    """What is still owed on one disbursed loan, in naira."""

    principal: Decimal
    interest: Decimal
    due_at: datetime
    disbursed_at: datetime
    fee: Decimal = ZERO
    paid: Decimal = ZERO
    overdue: bool = False
    defaulted: bool = False
    restated_at: datetime | None = None
    """When a fee, a waiver, a write-off or a later due day last restated it."""
    original_due_at: datetime | None = None
    """When it was due at first, if it was rescheduled."""

    @property
    def outstanding(self) -> Decimal:
        return self.principal + self.interest + self.fee

    @property
    def first_due_at(self) -> datetime:
        """The due date that decides whether it is repaid late."""
        return self.original_due_at or self.due_at

    @property
    def stands_from(self) -> datetime:
        """From when money counts for it: since the disbursement and the last restatement."""
        return max(self.disbursed_at, self.restated_at or self.disbursed_at)

    def covered(self, loan: UUID, amount: Decimal) -> Part:
        """Return what an amount covers: charges first, but principal first once defaulted."""
        order = PRINCIPAL_FIRST if self.defaulted else FEE_FIRST
        return self.part(loan).share(amount, order)

    def part(self, loan: UUID) -> Part:
        """Return all that is owed, as the part of a payment that would cover it."""
        return Part(loan_id=loan, principal=self.principal, interest=self.interest, fee=self.fee)

    def after(self, part: Part, sign: int) -> "Debt":
        """Return the debt after a part was paid (1) or taken back (-1)."""
        return replace(
            self,
            principal=self.principal - sign * part.principal,
            interest=self.interest - sign * part.interest,
            fee=self.fee - sign * part.fee,
            paid=self.paid + sign * part.amount,
        )

    def charged(self, amount: Decimal, at: datetime) -> "Debt":
        """Return the debt with another fee."""
        return replace(self, fee=self.fee + amount, restated_at=at)

    def rescheduled(self, due_at: datetime, at: datetime) -> "Debt":
        """Return the debt with a later due date."""
        first = self.first_due_at
        return replace(self, due_at=due_at, original_due_at=first, overdue=False, restated_at=at)

    def waived(self, charges: Charges, at: datetime) -> "Debt":
        """Return the debt without waived charges."""
        fee, interest = self.fee - charges.fee, self.interest - charges.interest
        return replace(self, fee=fee, interest=interest, restated_at=at)
