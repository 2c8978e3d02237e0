"""A lending desk with an active telecom integration, which calls back."""

from typing import Any, Final
from uuid import UUID

from msgspec.structs import replace
from pydantic import SecretStr

from rim_ledger.delivery.endpoint import endpoint_of
from rim_ledger.engine.aggregate import Actor, Event
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.top_up_callback import TopUpCallback
from rim_ledger.payments.transaction import Transaction
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationTested,
    IntegrationType,
    TestResult,
)
from rim_ledger.system.integration_commands import (
    ActivateIntegration,
    CreateIntegration,
    TestIntegration,
)
from tests.lending.desk import Desk

DELIVERED: Final = "top-up.delivered"
FAILED: Final = "top-up.failed"


class TelcoDesk(Desk):
    """MTN's airtime goes through one integration."""

    def __init__(self, limit: float | None = 1000) -> None:
        super().__init__(limit)
        self.telco = self.connect("VTU", "MTN")

    def connect(self, name: str, *networks: str) -> UUID:
        id_ = self.environment.new_id()
        wish = CreateIntegration(
            name=name,
            type=IntegrationType.TELECOM,
            provider=name.lower(),
            base_url="https://api.vtu.example",
            config={"networks": list(networks)},
            api_secret=SecretStr("a-secret-of-the-telco"),
        )
        self.perform(ApiIntegration, id_, wish)
        uow = self.uow()
        line = endpoint_of(uow, uow.read(ApiIntegration, id_))
        tested = TestIntegration().after(line, IntegrationTested(result=TestResult.SUCCESS))
        for command in (tested, ActivateIntegration()):
            self.perform(ApiIntegration, id_, command)
        return id_

    def hear(
        self, type_: str, reference: str, by: UUID | None = None, key: str = "m-1", **said: Any
    ) -> list[Event]:
        """What a signed message leads to."""
        callback = TopUpCallback.model_validate(
            {"type": type_, "data": {"reference": reference, **said}}
        )
        uow = self.uow(Actor(type="integration", id=by or self.telco, name="VTU"))
        uow.stamp = replace(uow.stamp, key=key)
        loan = callback.work(uow)
        assert uow.find(Loan, loan)
        return self.keep(uow)

    def top_up(self, loan: UUID, attempt: int = -1) -> Transaction:
        """The transaction of an attempt."""
        return self.transaction(self.loan(loan).attempts[attempt].transaction_id)
