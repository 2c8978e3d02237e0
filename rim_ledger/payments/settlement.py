"""A settlement: a provider paid out what it had collected, less its fee."""

from datetime import datetime
from decimal import Decimal
from typing import Self, assert_never
from uuid import UUID

import msgspec

from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.text import folded, folded_source
from rim_ledger.values import ZERO, derived_id


class SettlementRecorded(Event):
    """A provider paid out `gross` less `fee`, on a Lagos day; for the lines of a statement, if one
    is named."""

    provider: str
    gross: Decimal
    fee: Decimal
    reference: str
    date: str
    statement_id: UUID | None = None


class Settlement(Aggregate):
    provider: str
    gross: Decimal
    fee: Decimal
    reference: str
    date: str
    statement_id: UUID | None
    created_at: datetime
    created_by: UUID | None

    @property
    def net(self) -> Decimal:
        """Naira that reached the bank."""
        return self.gross - self.fee

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        paid = settlement_claim(self.provider, self.reference)
        if self.statement_id is None:
            return frozenset([paid])
        return frozenset([paid, statement_claim(self.provider, self.statement_id)])

    @property
    def ended(self) -> bool:
        return True

    @classmethod
    def begin(cls, id: UUID, event: SettlementRecorded, stamp: Stamp) -> Self:
        return cls.made(id, event, created_at=stamp.at, created_by=stamp.admin)

    def evolve(self, event: SettlementRecorded, stamp: Stamp) -> Self:
        raise AssertionError("a settlement is recorded once")


class ClearingSettled(Event):
    """A provider paid out so much of what it holds."""

    provider: str
    settlement_id: UUID
    gross: Decimal


class ProviderClearing(Aggregate):
    """What a provider has paid out so far: settlements of one provider meet here, so that no two
    pay out the same money."""

    provider: str
    settled: Decimal = ZERO

    @classmethod
    def begin(cls, id: UUID, event: ClearingSettled, stamp: Stamp) -> Self:
        return cls.made(id, event).evolve(event, stamp)

    def evolve(self, event: ClearingSettled, stamp: Stamp) -> Self:
        match event:
            case ClearingSettled():
                return self.but(settled=self.settled + event.gross)
            case _:
                assert_never(event)


def clearing_id(provider: str) -> UUID:
    """Return the stream id of what a provider paid out, by its name in the account's spelling."""
    return derived_id("provider-clearing", provider)


def settlement_claim(provider: str, reference: str) -> tuple[str, str]:
    """Return the claim of a provider's reference of a payout."""
    return "settlement-reference", _name(folded_source(provider), folded(reference))


def statement_claim(provider: str, statement: UUID) -> tuple[str, str]:
    """Return the claim of the lines of a provider in a statement."""
    return "settled-statement", _name(folded_source(provider), str(statement))


def _name(*words: str | None) -> str:
    return msgspec.json.encode(words).decode()
