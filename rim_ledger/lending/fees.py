"""The fee of a loan: added to what is owed or deducted from the airtime, and the VAT in it."""

from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Annotated

from msgspec import Struct
from pydantic import Field

from rim_ledger.values import KOBO, ZERO, interest

Period = Annotated[int, Field(ge=1, le=365)]
"""Days from the disbursement to the due date."""


class FeeMode(StrEnum):
    """How the fee is paid: owed beside the amount, or deducted from the airtime."""

    ADDON = "addon"
    UPFRONT = "upfront"


class LoanTerms(Struct, frozen=True):
    """What a loan costs, and until when: rate in percent, period in days."""

    interest_rate: Decimal
    repayment_period: int
    fee_mode: FeeMode = FeeMode.ADDON

    def fees_on(self, amount: Decimal) -> tuple[Decimal, Decimal]:
        """Return the fee that is owed beside an amount, and the one deducted from the airtime."""
        fee = interest(amount, self.interest_rate)
        return (ZERO, fee or ZERO) if self.fee_mode is FeeMode.UPFRONT else (fee, ZERO)


def vat_in(fee: Decimal, rate: Decimal) -> Decimal:
    """Return the VAT that a fee contains, in naira, by a rate in percent; half to even."""
    return (fee * rate / (100 + rate)).quantize(KOBO, ROUND_HALF_EVEN) or ZERO
