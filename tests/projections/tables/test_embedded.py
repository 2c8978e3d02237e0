"""The shapes inside of rows are those that the description names."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from projections.journal import Posting
from projections.tables.embedded import Allocation, Embedded, PostedLine, ProviderClaim
from rim_ledger.lending.owed import Part
from rim_ledger.payments.transaction import Transaction, TransactionQuarantined

PART = Part(loan_id=UUID(int=1), principal=Decimal(5), interest=Decimal(1))
CLAIM = TransactionQuarantined(type="failed", amount=None, provider="MTN", message_id="m")


class Paid:
    """As much of a transaction as its shapes are made of."""

    parts = (PART,)
    quarantined = CLAIM


SHAPES: list[tuple[type[Embedded], Any]] = [
    (PostedLine, Posting("1200", Decimal(5)).shown),
    (Allocation, Transaction.allocations.fget(Paid())[0]),  # type: ignore[attr-defined]
    (ProviderClaim, Transaction.provider_claim.fget(Paid())),  # type: ignore[attr-defined]
]


@pytest.mark.parametrize(("shape", "value"), SHAPES)
def test_a_shape_has_the_fields_of_its_value(shape: type[Embedded], value: dict[str, Any]) -> None:
    shape.model_validate(value)
    assert {field.alias for field in shape.model_fields.values()} == value.keys()
