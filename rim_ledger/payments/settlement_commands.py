"""Recording that a provider paid out, within what it holds."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Self
from uuid import UUID

from msgspec import Struct
from pydantic import PrivateAttr

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Creation
from rim_ledger.engine.refusals import Invalid, Refused, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.payments.settlement import (
    ClearingSettled,
    ProviderClearing,
    Settlement,
    SettlementRecorded,
    clearing_id,
    settlement_claim,
    statement_claim,
)
from rim_ledger.payments.statement import Statement
from rim_ledger.text import folded_source
from rim_ledger.values import ZERO, Day, Id, Limit, Money, Name, Reference, lagos_day


class Holdings(Struct, frozen=True):
    """What the read tables say of a provider, in naira."""

    held: Decimal
    """Balance of the provider's account, 1300."""
    settled: Decimal
    """What it had paid out by then."""
    matched: Mapping[str, Decimal] = {}
    """Sum of the lines of the statement that were matched, by the provider as the line names it."""


class RecordSettlement(Creation[Settlement]):
    """Record a provider's payout: `gross` of what it had collected, less its `fee`, reached the
    bank on a day. It is at most what the account of the provider holds; `provider` is spelled as
    there. With a statement, the lines of the provider that it matched are settled in one go: the
    gross is their sum, and may be left out. A reference and a statement count once per provider."""

    provider: Name
    gross: Money | None = None
    fee: Limit
    reference: Reference
    date: Day
    statement_id: Id | None = None
    _found: Holdings | None = PrivateAttr(default=None)

    def after(self, found: Holdings) -> Self:
        """Return a copy of the command with what the provider holds."""
        return self.prepared(_found=found)

    def naira(self, aggregate: Settlement | None, uow: UnitOfWork) -> Decimal | None:
        return self._matched if self.gross is None else self.gross

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        assert self._found, "the account is read before the decision"
        if self.date > lagos_day(uow.now):
            raise Invalid("date-in-future", "A payout is recorded once it was made.", "/date")
        gross = self._gross(id, uow)
        if self.fee > gross:
            raise Invalid("fee-above-gross", f"The fee is at most {gross} naira.", "/fee")
        taken = f"The settlement {self.reference} of {self.provider} is recorded already."
        claim = settlement_claim(self.provider, self.reference)
        uow.claim(*claim, id, Refused("reference-taken", taken))
        clearing = uow.find(ProviderClearing, clearing_id(self.provider))
        since = (clearing.settled if clearing else ZERO) - self._found.settled
        held = self._found.held - since
        words = f"{self.provider} holds {held} naira, not {gross}."
        require(gross <= held, "settlement-too-large", words)
        yield SettlementRecorded.of(self, gross=gross, date=self.date.isoformat())

    def follow(self, id: UUID, uow: UnitOfWork) -> None:
        gross = uow.read(Settlement, id).gross
        paid = ClearingSettled(provider=self.provider, settlement_id=id, gross=gross)
        with uow.dated(clearing_id(self.provider)):
            uow.append(ProviderClearing, clearing_id(self.provider), [paid])

    def _gross(self, id: UUID, uow: UnitOfWork) -> Decimal:
        """Return what was paid out, checked against the statement if one is named."""
        if self.statement_id is None:
            if self.gross is None:
                words = "A settlement without a statement says how much was paid out."
                raise Invalid("missing", words, "/gross")
            return self.gross
        statement = uow.read(Statement, self.statement_id)
        words = "The statement is still being read; settle it once that has finished."
        require(statement.finished_at is not None, "statement-not-finished", words)
        total = self._matched
        words = f"The statement has no matched line of {self.provider}."
        require(total > ZERO, "nothing-to-settle", words)
        words = f"The matched lines of {self.provider} come to {total} naira, not {self.gross}."
        require(self.gross in (None, total), "settlement-differs", words)
        claim = statement_claim(self.provider, statement.id)
        words = f"The lines of {self.provider} in this statement are settled already."
        uow.claim(*claim, id, Refused("statement-settled", words))
        return total

    @property
    def _matched(self) -> Decimal:
        """Naira of the statement's matched lines of this provider, in any spelling."""
        assert self._found, "the lines are read before the decision"
        source, lines = folded_source(self.provider), self._found.matched.items()
        return sum((naira for name, naira in lines if folded_source(name) == source), ZERO)
