"""A transaction: money that came in, or airtime that went out. Its amount never changes."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Final, Self, assert_never
from uuid import UUID

from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, Personal, PersonalMap, Stamp
from rim_ledger.lending.owed import Part
from rim_ledger.payments.claim_names import line_claim, reference_claim
from rim_ledger.values import ZERO, Network


class TransactionType(StrEnum):
    AIRTIME = "airtime"
    REPAYMENT = "repayment"


class TransactionStatus(StrEnum):
    PENDING = "pending"
    COMPLETED = "completed"
    FAILED = "failed"
    REFUNDED = "refunded"


class PaymentMethod(StrEnum):
    BANK_TRANSFER = "bank_transfer"
    CARD = "card"
    WALLET = "wallet"
    CASH = "cash"


def unsettled_of(user: UUID) -> str:
    """Return the list of a user's payments that are pending, or hold money to be refunded."""
    return f"payments-of-user.{user}"


LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    TransactionStatus.PENDING: ("complete", "fail"),
    TransactionStatus.COMPLETED: ("reverse",),
    TransactionStatus.FAILED: ("refund",),
    TransactionStatus.REFUNDED: (),
}


class TransactionRecorded(Event):
    """A payment or a top-up. `fee` is what was deducted from `originalAmount`, if anything."""

    transaction_id: str
    user_id: UUID
    type: TransactionType
    amount: Decimal
    payment_method: PaymentMethod | None = None
    provider: str | None = None
    reference: str | None = None
    network: Network | None = None
    loan_id: UUID | None = None
    description: Personal = None
    metadata: PersonalMap = {}
    original_amount: Decimal | None = None
    fee: Decimal | None = None


class TransactionCompleted(Event):
    """The money came in. `parts` went to loans; the rest is the user's credit."""

    reference: str | None = None
    parts: tuple[Part, ...] = ()
    unallocated: Decimal = ZERO


class TransactionFailed(Event):
    reason: Personal
    funds_captured: bool = False


class TransactionNoted(Event):
    note: Personal


class TransactionQuarantined(Event):
    """A provider contradicts our record; staff must check it. A telco may omit the amount."""

    type: str
    amount: Decimal | None
    provider: str
    message_id: str


class TransactionReversed(Event):
    """It no longer counts: a chargeback, a duplicate, an error. Its allocation is undone."""

    reason: Personal


class TransactionRefunded(Event):
    """Money that was captured for a failed payment was paid back."""

    reason: Personal


class TransactionReconciled(Event):
    """Found in the provider's records, on this line of a statement if one is named."""

    note: Personal = None
    statement_line: str | None = None


class TransactionReconciliationUndone(Event):
    reason: Personal


TransactionEvent = (
    TransactionCompleted
    | TransactionFailed
    | TransactionNoted
    | TransactionQuarantined
    | TransactionReversed
    | TransactionRefunded
    | TransactionReconciled
    | TransactionReconciliationUndone
)


class Transaction(Aggregate):
    BUSINESS_ID: ClassVar[str | None] = "transaction_id"
    RELEASES: ClassVar[bool] = False

    transaction_id: str
    user_id: UUID
    type: TransactionType
    amount: Decimal
    payment_method: PaymentMethod | None
    provider: str | None
    reference: str | None
    network: Network | None
    loan_id: UUID | None
    description: str | None
    free_fields: dict[str, Any]
    created_at: datetime
    original_amount: Decimal | None = None
    """The principal of the loan, in naira, where its fee is deducted from the airtime."""
    fee: Decimal | None = None
    """Naira deducted from that."""
    recorded_by: UUID | None = None
    """The admin who recorded it, if any."""
    settled_by: UUID | None = None
    """The admin who completed or failed it, by hand or by a statement."""
    status: TransactionStatus = TransactionStatus.PENDING
    completed_at: datetime | None = None
    parts: tuple[Part, ...] = ()
    unallocated: Decimal = ZERO
    failure_reason: str | None = None
    funds_captured: bool = False
    notes: str | None = None
    reconciled_at: datetime | None = None
    reconciled_by: UUID | None = None
    statement_line: str | None = None
    quarantined: TransactionQuarantined | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """The free fields (whose values are sealed), or the figures of an upfront fee."""
        if self.original_amount is None:
            return self.free_fields
        return {"originalAmount": self.original_amount, "fee": self.fee}

    @property
    def person(self) -> UUID:
        return self.user_id

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        line = frozenset([line_claim(self.statement_line)] if self.statement_line else [])
        return line if self.brought_nothing else line | self._reference

    def holds(self, kind: str, name: str) -> bool:
        # A failed one keeps its reference until another transaction takes it: see RELEASES.
        return (kind, name) in self._reference or super().holds(kind, name)

    @property
    def _reference(self) -> frozenset[tuple[str, str]]:
        if self.reference is None or self.disburses:
            return NOWHERE
        return frozenset([reference_claim(self.source, self.reference)])

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        captured = self.status is TransactionStatus.FAILED and self.funds_captured
        if self.disburses or not (self.status is TransactionStatus.PENDING or captured):
            return NOWHERE
        return frozenset([(unsettled_of(self.user_id), str(self.id))])

    @property
    def ended(self) -> bool:
        return self.status is not TransactionStatus.PENDING and not self.quarantined

    @property
    def disburses(self) -> bool:
        """Whether it is a loan's top-up, which changes with its loan only."""
        return self.type is TransactionType.AIRTIME and self.loan_id is not None

    @property
    def failed(self) -> bool:
        """Whether it failed, even if the captured money was refunded since."""
        return self.status is TransactionStatus.FAILED or self.funds_captured

    @property
    def brought_nothing(self) -> bool:
        """Whether no money came in, so that its reference may be used for another payment."""
        return self.failed and not self.funds_captured

    @property
    def source(self) -> str | None:
        """The owner of the reference: the provider or, without one, the payment method."""
        return self.provider or self.payment_method

    @property
    def allocations(self) -> list[dict[str, Any]]:
        """The amount that each loan got, in naira."""
        return [{"loanId": part.loan_id, "amount": part.amount} for part in self.parts]

    @property
    def quarantine(self) -> bool:
        """Whether staff must check it, because a provider contradicts our record."""
        return self.quarantined is not None

    @property
    def _unresolved(self) -> TransactionQuarantined | None:
        """The claim that remains once it is settled. A payment is settled by someone who knows its
        amount; a top-up also by a telco's answer, which has none."""
        return self.quarantined if self.disburses else None

    @property
    def provider_claim(self) -> dict[str, Any] | None:
        """The provider's contradicting report, and its message id."""
        if (said := self.quarantined) is None:
            return None
        words = {"type": said.type, "amount": said.amount, "provider": said.provider}
        return words | {"messageId": said.message_id}

    @property
    def occurred_at(self) -> datetime:
        return self.created_at

    @classmethod
    def begin(cls, id: UUID, event: TransactionRecorded, stamp: Stamp) -> Self:
        free, by = event.metadata, stamp.admin
        return cls.made(id, event, free_fields=free, created_at=stamp.at, recorded_by=by)

    def evolve(  # noqa: PLR0911 - a line an event
        self, event: TransactionEvent, stamp: Stamp
    ) -> Self:
        match event:
            case TransactionCompleted():
                return self.but(
                    status=TransactionStatus.COMPLETED,
                    completed_at=stamp.at,
                    settled_by=stamp.admin,
                    reference=event.reference or self.reference,
                    parts=event.parts,
                    unallocated=event.unallocated,
                    quarantined=self._unresolved,
                )
            case TransactionFailed():
                return self.but(
                    status=TransactionStatus.FAILED,
                    settled_by=stamp.admin,
                    failure_reason=event.reason,
                    funds_captured=event.funds_captured,
                    quarantined=self._unresolved,
                )
            case TransactionNoted():
                return self.but(notes=event.note)
            case TransactionReversed() | TransactionRefunded():
                return self.but(status=TransactionStatus.REFUNDED, quarantined=None)
            case TransactionQuarantined():
                return self.but(quarantined=event)
            case TransactionReconciled():
                return self.but(
                    reconciled_at=stamp.at,
                    reconciled_by=stamp.admin,
                    statement_line=event.statement_line,
                    notes=event.note or self.notes,
                    quarantined=None,
                )
            case TransactionReconciliationUndone():
                return self.but(reconciled_at=None, reconciled_by=None, statement_line=None)
            case _:
                assert_never(event)
