"""The debt of one loan, and the parts of payments allocated to it."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.values import ZERO


class Part(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The part of a payment allocated to one loan, in naira."""

    loan_id: UUID
    principal: Decimal
    interest: Decimal

    @property
    def amount(self) -> Decimal:
        return self.principal + self.interest

    def plus(self, other: "Part") -> "Part":
        """Return the sum of two parts of the same loan."""
        return replace(
            self,
            principal=self.principal + other.principal,
            interest=self.interest + other.interest,
        )

    def minus(self, other: "Part") -> "Part":
        """Return the difference of two parts of the same loan."""
        return self.plus(replace(other, principal=-other.principal, interest=-other.interest))


class Completion(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A loan that a payment completes, and the latest time of its money."""

    loan_id: UUID
    paid_at: datetime


class Debt(Struct, frozen=True, kw_only=True, gc=False):
    """What is still owed on one disbursed loan, in naira."""

    principal: Decimal
    interest: Decimal
    due_at: datetime
    disbursed_at: datetime
    paid: Decimal = ZERO
    overdue: bool = False
    defaulted: bool = False

    @property
    def outstanding(self) -> Decimal:
        return self.principal + self.interest

    def after(self, part: Part, sign: int) -> "Debt":
        """Return the debt after a part was paid (1) or taken back (-1)."""
        return replace(
            self,
            principal=self.principal - sign * part.principal,
            interest=self.interest - sign * part.interest,
            paid=self.paid + sign * part.amount,
        )
