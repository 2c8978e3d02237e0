"""The fee of a loan: added to what is owed or deducted from the airtime, and the VAT in it."""

from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from rim_ledger.values import KOBO, ZERO


class FeeMode(StrEnum):
    """How the fee is paid: owed beside the amount, or deducted from the airtime."""

    ADDON = "addon"
    UPFRONT = "upfront"


def vat_in(fee: Decimal, rate: Decimal) -> Decimal:
    """Return the VAT that a fee contains, in naira, by a rate in percent; half to even."""
    return (fee * rate / (100 + rate)).quantize(KOBO, ROUND_HALF_EVEN) or ZERO
