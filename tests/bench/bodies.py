"""The two command bodies every peer accepts, and the money rule they share."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

CENT = Decimal("0.01")

Amount = Annotated[Decimal, Field(gt=0, max_digits=14, decimal_places=2)]
Rate = Annotated[Decimal, Field(ge=0, le=1000, decimal_places=6)]
Network = Literal["MTN", "Airtel", "Glo", "9mobile"]
PaymentMethod = Literal["bank_transfer", "card", "wallet", "cash"]


class Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class OpenLoan(Body):
    user_id: UUID
    amount: Amount
    network: Network
    repayment_period: Annotated[int, Field(ge=1, le=365)]
    interest_rate: Rate

    @property
    def fee(self) -> Decimal:
        exact = self.amount * self.interest_rate / 100
        return exact.quantize(CENT, rounding=ROUND_HALF_EVEN)


class Repay(Body):
    amount: Amount
    payment_method: PaymentMethod


class Receipt(Body):
    id: UUID
    loan_id: str
    version: int


def user_id(number: int) -> UUID:
    """The id of the seeded user with this number, the same in every peer."""
    return UUID(int=number, version=4)
