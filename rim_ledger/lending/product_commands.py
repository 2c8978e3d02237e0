"""Commands on loan products."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Invalid
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.fees import FeeMode, Period
from rim_ledger.lending.product import (
    NAMES,
    LoanProduct,
    LoanProductArchived,
    LoanProductChanged,
    LoanProductCreated,
)
from rim_ledger.values import Money, Name, Network, Rate


def _in_order(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    return tuple(each for each in Network if each in networks)


Networks = Annotated[
    tuple[Annotated[Network, Field(strict=False)], ...],
    Field(min_length=1, max_length=len(Network), strict=False),
    AfterValidator(_in_order),
]
Mode = Annotated[FeeMode, Field(strict=False)]
Score = Annotated[int, Field(ge=0, le=1000)]


class CreateLoanProduct(Creation[LoanProduct]):
    """Create a loan product with a unique name. Borrowers see and take it in their own sessions if
    it is offered, and their score and limit allow it."""

    name: Name
    networks: Networks
    min_amount: Money
    max_amount: Money
    interest_rate: Rate
    repayment_period: Period
    fee_mode: Mode = FeeMode.ADDON
    offered: bool = False
    min_score: Score = 0

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        _require_range(self.min_amount, self.max_amount)
        NAMES.take(uow, self.name, id)
        yield LoanProductCreated.of(self)


class UpdateLoanProduct(Patch[LoanProduct]):
    """Change a loan product; omitted fields stay as they are. Loans keep the terms that they were
    requested on."""

    name: Name | None = None
    networks: Networks | None = None
    min_amount: Money | None = None
    max_amount: Money | None = None
    interest_rate: Rate | None = None
    repayment_period: Period | None = None
    fee_mode: Mode | None = None
    offered: bool | None = None
    min_score: Score | None = None

    def decide(self, aggregate: LoanProduct, uow: UnitOfWork) -> Iterable[Event]:
        if changes := self.changes(aggregate):
            after = aggregate.but(**changes)
            _require_range(after.min_amount, after.max_amount)
            if self.name:
                NAMES.change(uow, aggregate.name, self.name, aggregate.id)
            yield LoanProductChanged(**changes)


class ArchiveLoanProduct(Command[LoanProduct]):
    """Archive a loan product: no loan takes it any more; its name is free again."""

    def decide(self, aggregate: LoanProduct, uow: UnitOfWork) -> Iterable[Event]:
        NAMES.release(uow, aggregate.name, aggregate.id)
        yield LoanProductArchived()


def _require_range(least: Decimal, most: Decimal) -> None:
    if least > most:
        words = f"The smallest amount, {least} naira, is above the largest, {most} naira."
        raise Invalid("min-above-max", words, "/minAmount")
