"""What a user owes on one loan."""

from datetime import datetime
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.lending.user_events import Part
from rim_ledger.values import ZERO


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
