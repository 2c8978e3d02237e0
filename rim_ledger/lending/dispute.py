"""Airtime that came when nobody expected it any more: what became of it, where it is no debt."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from rim_ledger.book import Book
from rim_ledger.core import Command, Event, require
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_events import DisputeOutcome, LoanDisputeResolved
from rim_ledger.lending.request import require_no_conflict
from rim_ledger.lending.user import User
from rim_ledger.values import Note, Reference


class ResolveDispute(Command[Loan]):
    """Say that airtime in dispute is not to be owed: the telco took it back (`returned`), or the
    lender bears it (`lost`). After that the loan, if it is approved, may be sent anew. Airtime that
    is to be owed needs none of this: approve the loan and disburse it."""

    reference: Reference
    outcome: Annotated[DisputeOutcome, Field(strict=False)]
    reason: Note
    telco_reference: Reference | None = None

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        user = book.read(User, aggregate.user_id)
        require_no_conflict(book, user)
        there = ", ".join(aggregate.disputes) or "nothing"
        words = f"Of {aggregate.loan_id}, {there} is in dispute."
        require(self.reference in aggregate.disputes, "not-in-dispute", words)
        yield LoanDisputeResolved(
            reference=self.reference,
            outcome=self.outcome,
            reason=None if user.erased else self.reason,  # figures go on, words do not
            telco_reference=self.telco_reference,
        )
