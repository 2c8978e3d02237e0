"""What a user owes on one loan, and the parts of payments that it gets."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.values import ZERO


class Part(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What one loan gets of a payment, in naira."""

    loan_id: UUID
    principal: Decimal
    interest: Decimal

    @property
    def amount(self) -> Decimal:
        return self.principal + self.interest

    def plus(self, other: "Part") -> "Part":
        """Both parts of the same loan together."""
        return replace(
            self,
            principal=self.principal + other.principal,
            interest=self.interest + other.interest,
        )

    def minus(self, other: "Part") -> "Part":
        """What is left of this part without the other."""
        return self.plus(replace(other, principal=-other.principal, interest=-other.interest))


class Completion(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A loan that a payment completes, and since when: the time of the latest of its money."""

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
        """The debt once a part was paid (1) or taken back (-1)."""
        return replace(
            self,
            principal=self.principal - sign * part.principal,
            interest=self.interest - sign * part.interest,
            paid=self.paid + sign * part.amount,
        )
