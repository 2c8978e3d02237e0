"""A loan product: terms under a name, which loans take and keep."""

from decimal import Decimal
from typing import ClassVar, Final, Self, assert_never

from rim_ledger.engine.aggregate import Event, Stamp
from rim_ledger.engine.refusals import require
from rim_ledger.engine.unique_names import Named, UniqueNames
from rim_ledger.lending.fees import FeeMode, LoanTerms
from rim_ledger.lending.user import User
from rim_ledger.values import Network

NAMES: Final = UniqueNames("loan-product-name", "product-name-taken", "loan product")


class LoanProductCreated(Event):
    name: str
    networks: tuple[Network, ...]
    min_amount: Decimal
    max_amount: Decimal
    interest_rate: Decimal
    repayment_period: int
    fee_mode: FeeMode
    offered: bool
    min_score: int


class LoanProductChanged(Event):
    """Holds changed fields only."""

    name: str | None = None
    networks: tuple[Network, ...] | None = None
    min_amount: Decimal | None = None
    max_amount: Decimal | None = None
    interest_rate: Decimal | None = None
    repayment_period: int | None = None
    fee_mode: FeeMode | None = None
    offered: bool | None = None
    min_score: int | None = None


class LoanProductArchived(Event):
    """The product is kept for the record; its name is free again, and its loans stay."""


LoanProductEvent = LoanProductChanged | LoanProductArchived


class LoanProduct(Named):
    UNIQUE: ClassVar[UniqueNames] = NAMES

    networks: tuple[Network, ...]
    min_amount: Decimal
    max_amount: Decimal
    interest_rate: Decimal
    repayment_period: int
    fee_mode: FeeMode
    offered: bool
    """Whether borrowers may take it in their own sessions."""
    min_score: int

    @property
    def terms(self) -> LoanTerms:
        return LoanTerms(self.interest_rate, self.repayment_period, self.fee_mode)

    def is_offered_to(self, user: User) -> bool:
        """Return whether a borrower sees and takes it, as far as score and limit allow."""
        enough = user.credit_score >= self.min_score and user.available >= self.min_amount
        return self.offered and not self.archived and enough

    def require_fits(self, amount: Decimal, network: Network, score: int) -> None:
        """Refuse a request that the product is not for."""
        gone = f"The product {self.name} is archived."
        require(not self.archived, "product-archived", gone)
        words = f"The product {self.name} is for {', '.join(self.networks)}, not {network}."
        require(network in self.networks, "network-not-in-product", words)
        words = f"The product {self.name} is for {self.min_amount} to {self.max_amount} naira."
        fits = self.min_amount <= amount <= self.max_amount
        require(fits, "amount-not-in-product", words)
        words = f"The product {self.name} needs a score of {self.min_score}; it is {score}."
        require(score >= self.min_score, "score-below-product", words)

    def evolve(self, event: LoanProductEvent, stamp: Stamp) -> Self:
        match event:
            case LoanProductChanged():
                return self.but(**event.changes)
            case LoanProductArchived():
                return self.but(archived=True)
            case _:
                assert_never(event)
