"""Resolving airtime that was delivered unexpectedly, and is owed by no one."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from rim_ledger.admin.same_person import require_second_person
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import Invalid, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.airtime_return import claim_return, take_in
from rim_ledger.lending.attempt import DisputeOutcome, LoanDisputeResolved
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.separation import BorrowerCommand
from rim_ledger.lending.user import User
from rim_ledger.values import Note, Reference


class ResolveDispute(BorrowerCommand[Loan]):
    """Resolve airtime in dispute that is not to be owed: the telco took it back (`returned`, under
    the telco's own reference of the return, which counts once), or the lender bears it (`lost`). It
    takes another person than those who disbursed that airtime or gave it up before. An approved
    loan may then be disbursed again. For airtime that is to be owed, approve the loan and disburse
    it instead."""

    reference: Reference
    outcome: Annotated[DisputeOutcome, Field(strict=False)]
    reason: Note
    telco_reference: Reference | None = None

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        user = uow.read(User, aggregate.user_id)
        there = ", ".join(aggregate.disputes) or "nothing"
        words = f"Of {aggregate.loan_id}, {there} is in dispute."
        require(self.reference in aggregate.disputes, "not-in-dispute", words)
        attempt = aggregate.attempt(self.reference)
        assert attempt, "what is in dispute was asked for"
        words = "You disbursed this airtime, or said that it is gone; another person resolves it."
        earlier = attempt.requested_by, attempt.taken_up_by, attempt.given_up_by
        require_second_person(uow, words, *earlier)
        if self.outcome is DisputeOutcome.RETURNED:
            if self.telco_reference is None:
                words = "Airtime that was returned has the telco's own reference of the return."
                raise Invalid("missing", words, "/telcoReference")
            claim_return(uow, aggregate, attempt, self.telco_reference)
            take_in(uow, aggregate, attempt)
        # Figures of an erased user are still recorded, words are not.
        yield LoanDisputeResolved.of(self, reason=user.words(self.reason))
