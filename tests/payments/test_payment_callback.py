"""What a provider's word does to a payment, and what it cannot do."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from rim_ledger.delivery.callbacks import UnknownReference
from rim_ledger.engine.aggregate import Actor, Event
from rim_ledger.engine.command import Command
from rim_ledger.payments.payment_callback import PaymentCallback
from rim_ledger.payments.payment_commands import CompleteTransaction, FailTransaction
from rim_ledger.payments.reversal import Reconcile, RefundTransaction, ReverseTransaction
from rim_ledger.payments.transaction import Transaction
from rim_ledger.system.integration import ApiIntegration
from rim_ledger.system.integration_commands import (
    ActivateIntegration,
    CreateIntegration,
)
from tests.lending.desk import Desk, refused
from tests.payments.test_payment import record
from tests.spec import START, names
from tests.system.test_integration import paystack, rotated

SUCCEEDED, FAILED = "payment.succeeded", "payment.failed"


class Counter(Desk):
    """A desk with an active payment gateway, and a payment of 50 that waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.paystack = self.gateway(paystack())
        self.payment = record(self, 50, provider="paystack", reference="P-1")

    def gateway(self, creation: CreateIntegration) -> UUID:
        id_ = self.environment.new_id()
        for command in (creation, rotated(), ActivateIntegration()):
            self.perform(ApiIntegration, id_, command)
        return id_

    def hear(
        self, type_: str = SUCCEEDED, by: UUID | None = None, key: str = "m-1", **said: Any
    ) -> list[Event]:
        claim = {"reference": "P-1", "amount": 50, "provider": "paystack"} | said
        callback = PaymentCallback.model_validate({"type": type_, "data": claim})
        uow = self.uow(Actor(type="integration", id=by or self.paystack, name="Paystack"))
        uow.stamp = replace(uow.stamp, key=key)
        callback.work(uow)
        return self.keep(uow)

    @property
    def heard(self) -> Transaction:
        return self.transaction(self.payment)

    def after(self, *commands: Command[Transaction]) -> "Counter":
        for command in commands:
            self.perform(Transaction, self.payment, command)
        return self


@pytest.mark.parametrize(
    ("timestamp", "kept"),
    [
        ("2025-12-31T23:30:00+01:00", datetime(2025, 12, 31, 22, 30, tzinfo=UTC)),
        ("2099-01-01T00:00:00Z", datetime(2099, 1, 1, tzinfo=UTC)),
        (1_767_000_000, None),
        ("yesterday", None),
        (None, None),
    ],
)
def test_the_gateway_s_own_time_is_kept_as_its_word(timestamp: Any, kept: datetime | None) -> None:
    desk = Counter()
    claim = {"reference": "P-1", "amount": 50, "provider": "paystack"}
    said = {"type": SUCCEEDED, "timestamp": timestamp, "data": claim}
    uow = desk.uow(Actor(type="integration", id=desk.paystack, name="Paystack"))
    PaymentCallback.model_validate(said).take(uow)
    desk.keep(uow)
    assert desk.heard.status == "completed"
    assert (desk.log[-1].stamp.said_at, desk.log[-1].stamp.at) == (kept, START)


def test_money_that_came_in_completes_the_payment_and_reaches_the_loans() -> None:
    desk = Counter()
    loan = desk.disbursed()
    assert names(desk.hear())[-1] == "TransactionCompleted"
    assert (desk.heard.status, desk.loan(loan).amount_paid) == ("completed", 50)
    assert desk.log[-1].stamp.actor == Actor(type="integration", id=desk.paystack, name="Paystack")
    assert desk.hear(key="m-2") == []


@pytest.mark.parametrize("captured", [False, True])
def test_money_that_did_not_come_fails_the_payment(captured: bool) -> None:
    desk = Counter()
    assert names(desk.hear(FAILED, fundsCaptured=captured)) == ["TransactionFailed"]
    assert (desk.heard.status, desk.heard.funds_captured) == ("failed", captured)
    assert desk.hear(FAILED, key="m-2") == []


@pytest.mark.parametrize("type_", [SUCCEEDED, FAILED])
@pytest.mark.parametrize("said", [{"amount": 49.99}, {"amount": 5000}, {"provider": "Paystack"}])
def test_a_wrong_amount_or_provider_moves_nothing_and_is_kept_for_staff(
    type_: str, said: dict[str, Any]
) -> None:
    desk = Counter()
    assert names(desk.hear(type_, **said)) == ["TransactionQuarantined"]
    assert (desk.heard.status, desk.heard.quarantine) == ("pending", True)
    assert desk.heard.provider_claim == {
        "type": type_,
        "amount": Decimal(str(said.get("amount", 50))),
        "provider": said.get("provider", "paystack"),
        "messageId": "m-1",
    }
    assert desk.hear(type_, key="m-2", **said) == []


def test_the_right_word_after_a_wrong_one_is_believed() -> None:
    desk = Counter()
    desk.hear(amount=49)
    desk.hear(key="m-2")
    assert (desk.heard.status, desk.heard.quarantine) == ("completed", False)


@pytest.mark.parametrize("command", [CompleteTransaction(), FailTransaction(reason="no money")])
def test_staff_end_the_quarantine_by_settling_the_payment(command: Command[Transaction]) -> None:
    desk = Counter()
    desk.hear(amount=49)
    desk.after(command)
    assert not desk.heard.quarantine


@pytest.mark.parametrize(
    ("history", "type_"),
    [
        ([CompleteTransaction()], FAILED),
        ([FailTransaction(reason="no money")], SUCCEEDED),
    ],
)
def test_a_word_against_what_is_settled_is_kept_until_staff_found_the_truth(
    history: Sequence[Command[Transaction]], type_: str
) -> None:
    desk = Counter().after(*history)
    before = desk.heard.status
    assert names(desk.hear(type_)) == ["TransactionQuarantined"]
    assert (desk.heard.status, desk.heard.quarantine) == (before, True)
    desk.after(Reconcile())
    assert not desk.heard.quarantine


@pytest.mark.parametrize("type_", [SUCCEEDED, FAILED])
def test_what_went_back_already_is_heard_of_in_silence(type_: str) -> None:
    reversed_ = Counter().after(CompleteTransaction(), ReverseTransaction(reason="charged back"))
    captured = FailTransaction(reason="declined", funds_captured=True)
    refunded = Counter().after(captured, RefundTransaction(reason="never used"))
    assert reversed_.hear(type_) == []
    assert refunded.hear(type_) == []


def test_a_reference_means_the_newest_payment_that_has_it() -> None:
    desk = Counter().after(FailTransaction(reason="declined"))
    desk.payment = record(desk, 50, provider="paystack", reference="P-1")
    desk.hear()
    assert desk.heard.status == "completed"
    twice = {"provider": "paystack", "reference": "P-1"}
    assert refused(lambda: record(desk, 50, **twice)) == "reference-taken"


def test_money_that_was_captured_belongs_to_the_payment_that_failed() -> None:
    desk = Counter()
    desk.hear(FAILED, fundsCaptured=True)
    twice = {"provider": "Paystack", "reference": "p-1"}
    assert refused(lambda: record(desk, 50, **twice)) == "reference-taken"
    assert names(desk.hear(key="m-2")) == ["TransactionQuarantined"]


def test_a_provider_is_heard_of_a_payment_that_was_written_otherwise() -> None:
    desk = Counter()
    desk.payment = record(desk, 50, provider="Pay Stack", reference="p-2A")
    desk.hear(reference="P-2a")
    assert desk.heard.status == "completed"


def test_a_payment_that_is_not_known_may_be_known_later() -> None:
    desk = Counter()
    with pytest.raises(UnknownReference):
        desk.hear(reference="P-2")
    desk.payment = record(desk, 50, provider="paystack", reference="P-2")
    desk.hear(reference="P-2")
    assert desk.heard.status == "completed"


def test_an_integration_speaks_for_its_own_provider_only() -> None:
    desk = Counter()
    other = desk.gateway(paystack(name="Flutterwave", provider="flutterwave"))
    for provider in ("paystack", "flutterwave"):
        with pytest.raises(UnknownReference):
            desk.hear(by=other, provider=provider)
    assert not desk.heard.quarantine
