"""What a payment provider tells us: believed when it is signed, and checked all the same."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final
from uuid import UUID

import msgspec
from pydantic import Field

from rim_ledger.book import Book
from rim_ledger.core import Actor, Event, Form, Unauthenticated
from rim_ledger.payments.payment import CompleteTransaction, FailTransaction, find_payment
from rim_ledger.payments.transaction import Transaction, TransactionQuarantined, TransactionStatus
from rim_ledger.system.credentials import API_SECRET
from rim_ledger.system.integration import ApiIntegration, IntegrationStatus, IntegrationType
from rim_ledger.system.signature import Message
from rim_ledger.values import Money, Name, Reference

NOBODYS: Final = "a secret that is tried where there is none, to take the same time"


class CallbackType(StrEnum):
    """What happened at the provider."""

    SUCCEEDED = "payment.succeeded"
    FAILED = "payment.failed"


ALREADY: Final[Mapping[CallbackType, tuple[TransactionStatus, ...]]] = {
    CallbackType.SUCCEEDED: (TransactionStatus.COMPLETED,),
    CallbackType.FAILED: (TransactionStatus.FAILED,),
}
"""Where there is nothing left to do, apart from what was refunded since."""


class UnknownPayment(Exception):
    """There is no such payment, or none yet. No Refused, for a refusal would be kept as the
    answer to this message; when the provider sends it again, the payment may be there."""


def stranger() -> Unauthenticated:
    """The one answer to all who may not speak."""
    return Unauthenticated("unauthenticated", "No active integration has signed this.")


def enter(book: Book, integration: UUID, message: Message) -> None:
    """Admit a payment gateway by its signature: the decision is then made in its name.

    Raises Unauthenticated, in the same words whether the signature, the time, the integration or
    its standing is at fault.
    """
    secret = book.unsealed(integration, API_SECRET)
    signed = message.is_signed(secret or NOBODYS, book.now)
    known = book.find(ApiIntegration, integration) if secret and signed else None
    if known is None or not _may_speak(known):
        raise stranger()
    actor = Actor(type="integration", id=known.id, name=known.name)
    book.stamp = msgspec.structs.replace(book.stamp, actor=actor)
    book.rights = frozenset()


def _may_speak(integration: ApiIntegration) -> bool:
    gateway = integration.type is IntegrationType.PAYMENT_GATEWAY
    return gateway and integration.status is IntegrationStatus.ACTIVE


class PaymentClaim(Form):
    """What the provider says of one payment."""

    reference: Reference
    amount: Money
    provider: Name
    funds_captured: bool = False


class Callback(Form):
    """A provider's word on a payment, signed as Standard Webhooks say. A pending payment with
    this reference of the integration's own provider is completed or failed. Where amount,
    provider or standing contradict what is recorded, nothing moves and the payment is put into
    quarantine. What is done already stays as it is. A reference that is not known, perhaps not
    yet, is 404: send the message again later."""

    type: Annotated[CallbackType, Field(strict=False)]
    data: PaymentClaim

    def work(self, book: Book) -> UUID:
        """Decide on the payment's stream; its id. Raises UnknownPayment."""
        speaker = book.stamp.actor.id
        assert speaker is not None, "whoever speaks was admitted"
        provider = book.read(ApiIntegration, speaker).provider
        payment = find_payment(book, provider, self.data.reference)
        if payment is None:
            raise UnknownPayment
        book.append(Transaction, payment.id, self._decide(payment, provider, book))
        return payment.id

    def _decide(self, payment: Transaction, provider: str, book: Book) -> Iterable[Event]:
        agreed = (self.data.amount, self.data.provider) == (payment.amount, provider)
        settled = payment.status is TransactionStatus.REFUNDED or (
            payment.status in ALREADY[self.type]
        )
        if agreed and settled:
            return
        if not agreed or payment.status is not TransactionStatus.PENDING:
            yield from self._quarantine(payment, book)
        elif self.type is CallbackType.SUCCEEDED:
            yield from CompleteTransaction().decide(payment, book)
        else:
            reason = f"{provider} says that the payment failed."
            captured = self.data.funds_captured
            failed = FailTransaction(reason=reason, funds_captured=captured)
            yield from failed.decide(payment, book)

    def _quarantine(self, payment: Transaction, book: Book) -> Iterable[Event]:
        claim = TransactionQuarantined(
            type=self.type,
            amount=self.data.amount,
            provider=self.data.provider,
            message_id=book.stamp.key or "",
        )
        known = payment.quarantined
        if known is None or msgspec.structs.replace(claim, message_id=known.message_id) != known:
            yield claim
