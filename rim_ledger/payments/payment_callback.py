"""Callbacks of payment gateways: authenticated by signature, and checked against our records."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal
from uuid import UUID

from msgspec.structs import replace

from rim_ledger.delivery.callbacks import Callback, ProviderForm, UnknownReference, speaker
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.payments.payment_commands import CompleteTransaction, FailTransaction, find_payment
from rim_ledger.payments.transaction import Transaction, TransactionQuarantined, TransactionStatus
from rim_ledger.values import Money, Name, Reference

PaymentWord = Literal["payment.succeeded", "payment.failed"]
"""What happened at the provider."""

ALREADY: Final[Mapping[PaymentWord, TransactionStatus]] = {
    "payment.succeeded": TransactionStatus.COMPLETED,
    "payment.failed": TransactionStatus.FAILED,
}
"""The status that needs no change, apart from later refunds."""


class PaymentClaim(ProviderForm):
    """The provider's report on one payment."""

    reference: Reference
    amount: Money
    provider: Name
    funds_captured: bool = False


class PaymentCallback(Callback):
    """A payment gateway's report on a payment: a pending one, with this reference of the
    integration's own provider, is completed or failed. If amount, provider or status contradict our
    record, nothing changes and the payment is quarantined. A repeated report has no effect. An
    unknown reference, perhaps not known yet, is 404: send the message again later."""

    ABOUT = Transaction

    type: PaymentWord
    data: PaymentClaim

    def work(self, uow: UnitOfWork) -> UUID:
        provider = speaker(uow).provider
        payment = find_payment(uow, provider, self.data.reference)
        if payment is None:
            raise UnknownReference
        with uow.dated(payment.id):
            uow.append(Transaction, payment.id, self._decide(payment, provider, uow))
        return payment.id

    def _decide(self, payment: Transaction, provider: str, uow: UnitOfWork) -> Iterable[Event]:
        agreed = (self.data.amount, self.data.provider) == (payment.amount, provider)
        settled = payment.status in (ALREADY[self.type], TransactionStatus.REFUNDED)
        if agreed and settled:
            return
        if not agreed or payment.status is not TransactionStatus.PENDING:
            claim = TransactionQuarantined.of(
                self.data, type=self.type, message_id=uow.stamp.key or ""
            )
            yield from quarantine(payment, claim)
        elif self.type == "payment.succeeded":
            yield from CompleteTransaction().decide(payment, uow)
        else:
            reason = f"{provider} says that the payment failed."
            captured = self.data.funds_captured
            failed = FailTransaction(reason=reason, funds_captured=captured)
            yield from failed.decide(payment, uow)


def quarantine(payment: Transaction, claim: TransactionQuarantined) -> Iterable[Event]:
    """Record a provider's claim against a payment, once for repeated messages."""
    known = payment.quarantined
    if known is None or replace(claim, message_id=known.message_id) != known:
        yield claim
