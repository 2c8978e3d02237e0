"""Callbacks of telcos, which count as much as answers to queries."""

from typing import Literal
from uuid import UUID

from rim_ledger.delivery.callbacks import Callback, ProviderForm, UnknownReference, speaker
from rim_ledger.delivery.http import understood
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.attempt import Airtime
from rim_ledger.lending.disbursement import (
    FAILED,
    contradict,
    find_attempt,
    keep_claim,
    record_outcome,
)
from rim_ledger.lending.loan import Loan
from rim_ledger.payments.transaction import TransactionQuarantined
from rim_ledger.values import Money, Name, Reference

TopUpWord = Literal["top-up.delivered", "top-up.failed"]
"""The telco's outcome of a top-up."""


class TopUpClaim(ProviderForm):
    """The telco's report on one top-up. `telcoReference` and `reason` are stored if they have the
    form of its answers; amount and provider, if given, must match the request."""

    reference: Reference
    provider: Name | None = None
    amount: Money | None = None
    telco_reference: str | None = None
    reason: str | None = None


class TopUpCallback(Callback):
    """A telco's report on a top-up that was requested from this integration: the loan is disbursed,
    or the attempt has failed, as after a query. Airtime that was delivered after the attempt had
    failed, and another was made or the approval revoked, is in dispute. Another amount or provider,
    or a failure after a delivery, changes nothing and quarantines the transaction. A repeated
    report has no effect. A reference that was not given to this integration is 404."""

    ABOUT = Loan

    type: TopUpWord
    data: TopUpClaim

    def work(self, uow: UnitOfWork) -> UUID:
        telco, found = speaker(uow), find_attempt(uow, self.data.reference)
        if found is None or found[1].integration != telco.id:
            raise UnknownReference
        loan, attempt = found
        came_and_stayed = attempt.delivered and attempt.airtime is not Airtime.RETURNED
        provider, message = self.data.provider or telco.provider, uow.stamp.key or ""
        claim = TransactionQuarantined.of(
            self.data, type=self.type, provider=provider, message_id=message
        )
        if provider != telco.provider or self.data.amount not in (None, loan.airtime):
            keep_claim(attempt, claim, uow)
        elif came_and_stayed and self.type == FAILED:
            contradict(loan, attempt, claim, uow)
        else:
            said = {"telcoReference": self.data.telco_reference, "reason": self.data.reason}
            outcome = understood({"status": self.type.removeprefix("top-up."), **said})
            assert outcome, "both words mean something"
            record_outcome(loan.id, attempt.reference, outcome)(uow)
        return loan.id
