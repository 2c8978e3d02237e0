"""Business time of each event, by which an answer to `effectiveAt` counts it.

Most events happened at the time of their stamp. One that follows from another has the time of its
cause, and a correction the time of what it corrects, as given by the event or its stream:
`FOLLOWING` lists those.

Events that count by a time are folded in the order of recording, since each was decided on those
before it; at the latest time, that is the present state. No event is folded without what it
depends on, because none counts before the opening of its stream, a share in a loan before its
disbursement, a loan's event that was recorded later before the loan was restated, or anything
before an older event of unknown business time.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Self
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.lending.attempt import LoanDisbursementReversed
from rim_ledger.lending.loan import (
    Loan,
    LoanBecameOverdue,
    LoanCompleted,
    LoanDefaultReversed,
    LoanRepaid,
    LoanRepaymentReversed,
)
from rim_ledger.lending.restatement import (
    DebtChargesWaived,
    DebtFeeCharged,
    DebtRescheduled,
    DebtWriteOffUndone,
    DebtWrittenOff,
    LoanChargesWaived,
    LoanFeeCharged,
    LoanRescheduled,
    LoanWriteOffUndone,
    LoanWrittenOff,
)
from rim_ledger.lending.user import (
    CreditApplied,
    CreditDefaulted,
    CreditLimitAdjusted,
    CreditReleased,
    CreditReserved,
    CreditScoreRecomputed,
    CreditTakenBack,
    DebtBecameOverdue,
    DebtCancelled,
    DebtDefaulted,
    DebtDefaultReversed,
    DebtIncurred,
    DebtReopened,
    RepaymentAllocated,
    RepaymentReversed,
    User,
)
from rim_ledger.payments.transaction import (
    Transaction,
    TransactionCompleted,
    TransactionReconciliationUndone,
    TransactionReversed,
)
from rim_ledger.values import day_after

Rule = Callable[[Any, Stamp, Any], datetime | None]
"""Given an event, its stamp and its aggregate as recorded before it, returns the time (UTC) from
which the event counts; None if it is of an older version without that time."""


def _stamped(_: Event, stamp: Stamp, __: Aggregate) -> datetime:
    return stamp.at


def _lent(user: User, at: datetime, loan: UUID) -> datetime:
    """Return a time, but not before a loan was disbursed, or restated."""
    debt = user.debts.get(loan)
    return max(at, debt.stands_from) if debt else at


def _given(field: str) -> Rule:
    """Return the rule of an event that has the time itself, in a field."""
    return lambda event, _, __: getattr(event, field)


def _corrected(field: str) -> Rule:
    """Return the rule of a correction: the time of what it corrects, in a field of the stream."""
    return lambda _, stamp, aggregate: getattr(aggregate, field) or stamp.at


def _reopened(event: DebtReopened, _: Stamp, __: User) -> datetime | None:
    from_ = event.restated_at or event.disbursed_at
    return max(event.paid_at, event.disbursed_at, from_) if event.paid_at else None


def _credit(event: CreditApplied | CreditTakenBack, _: Stamp, user: User) -> datetime | None:
    return _lent(user, event.paid_at, event.part.loan_id) if event.paid_at else None


def _debt_cancelled(event: DebtCancelled, stamp: Stamp, user: User) -> datetime:
    debt = user.debts.get(event.loan_id)
    return debt.stands_from if debt else stamp.at


def _debt_overdue(event: DebtBecameOverdue, stamp: Stamp, user: User) -> datetime:
    debt = user.debts.get(event.loan_id)
    return max(day_after(debt.due_at), debt.stands_from) if debt else stamp.at


def _of_debt(
    event: DebtDefaulted
    | DebtFeeCharged
    | DebtChargesWaived
    | DebtWrittenOff
    | DebtWriteOffUndone
    | DebtRescheduled,
    stamp: Stamp,
    user: User,
) -> datetime:
    return _lent(user, stamp.at, event.loan_id)


def _debt_default_reversed(event: DebtDefaultReversed, stamp: Stamp, user: User) -> datetime:
    return _lent(user, user.defaults.get(event.loan_id, stamp.at), event.loan_id)


def _repaid(event: LoanRepaid, _: Stamp, loan: Loan) -> datetime | None:
    paid_at = event.paid_at
    return max(paid_at, loan.disbursed_at or paid_at) if paid_at else None


def _repayment_reversed(event: LoanRepaymentReversed, _: Stamp, loan: Loan) -> datetime | None:
    share = loan.shares.get(event.transaction_id)
    return max(share.at, loan.disbursed_at or share.at) if share else None


def _overdue(_: LoanBecameOverdue, stamp: Stamp, loan: Loan) -> datetime:
    return day_after(loan.due_date) if loan.due_date else stamp.at


def _money_came(_: TransactionCompleted, stamp: Stamp, payment: Transaction) -> datetime:
    """A payment's money came in at the payment's own time, however much later it is settled; the
    airtime of a loan went out now."""
    return stamp.at if payment.disburses else payment.created_at


def _payment_reversed(_: TransactionReversed, stamp: Stamp, payment: Transaction) -> datetime:
    completed_at = payment.completed_at or stamp.at
    return completed_at if payment.disburses else payment.created_at


FOLLOWING: Final[Mapping[type[Event], Rule]] = MappingProxyType(
    {
        # What a loan's own events leave in its user's stream, under the same stamp.
        CreditReserved: _stamped,
        CreditReleased: _stamped,
        DebtIncurred: _stamped,
        CreditDefaulted: _stamped,
        DebtDefaulted: _of_debt,
        DebtFeeCharged: _of_debt,
        DebtChargesWaived: _of_debt,
        DebtWrittenOff: _of_debt,
        DebtWriteOffUndone: _of_debt,
        DebtRescheduled: _of_debt,
        # The shares of a payment, at the time of its money.
        TransactionCompleted: _money_came,
        RepaymentAllocated: _given("paid_at"),
        LoanRepaid: _repaid,
        LoanCompleted: _given("paid_at"),
        # Credit pays as soon as there are both credit and loan.
        CreditApplied: _credit,
        # A loan is overdue at the end of its due day.
        LoanBecameOverdue: _overdue,
        DebtBecameOverdue: _debt_overdue,
        # Score and limit, at the time of what caused their assessment.
        CreditScoreRecomputed: _given("effective_at"),
        CreditLimitAdjusted: _given("effective_at"),
        # Corrections, at the time of what they correct.
        TransactionReversed: _payment_reversed,
        RepaymentReversed: _given("paid_at"),
        DebtReopened: _reopened,
        LoanRepaymentReversed: _repayment_reversed,
        CreditTakenBack: _credit,
        LoanDisbursementReversed: _corrected("disbursed_at"),
        DebtCancelled: _debt_cancelled,
        LoanDefaultReversed: _corrected("defaulted_at"),
        DebtDefaultReversed: _debt_default_reversed,
        TransactionReconciliationUndone: _corrected("reconciled_at"),
    }
)
"""The events with the business time of something else, and the rule for it."""

RESTATING: Final = (
    LoanFeeCharged,
    LoanChargesWaived,
    LoanWrittenOff,
    LoanWriteOffUndone,
    LoanRescheduled,
)
"""Events that restate a loan without money: what is owed, whether it is an asset, when it is due.
Later decisions depend on them, so they do not count before them."""

FIGURES: Final = (CreditScoreRecomputed, CreditLimitAdjusted)
"""Events on which no later event depends."""


def so_far(event: Event, before: Aggregate, by: datetime) -> Event:
    """Return the part of an event that had happened by a time. If money is older than a loan which
    it paid, that loan's part counts from the disbursement."""
    if isinstance(event, RepaymentAllocated | RepaymentReversed) and isinstance(before, User):
        parts = [part for part in event.parts if _lent(before, by, part.loan_id) == by]
        return event if len(parts) == len(event.parts) else replace(event, parts=tuple(parts))
    return event


class Times(Struct, frozen=True, gc=False):
    """Business times of a stream's events so far."""

    at: datetime
    """Of the last event."""
    latest: datetime
    """The latest of all events."""
    own: datetime
    """The latest of those that happened at the time of their stamp."""
    least: datetime
    """No later event counts before this: the time of the opening, of an event that restates what is
    owed, or of an event of unknown business time."""
    approximate: bool = False
    """Whether some event has no business time of its own, and counts at its stamp's time."""

    @classmethod
    def begin(cls, stamp: Stamp) -> Self:
        """Return the times of a stream after its first event."""
        return cls(stamp.at, stamp.at, stamp.at, stamp.at)

    def after(self, event: Event, stamp: Stamp, before: Aggregate) -> Self:
        """Return the times after an event; `before` is the aggregate as recorded before it."""
        own, least, approximate = self.own, self.least, self.approximate
        if rule := FOLLOWING.get(type(event)):
            if (found := rule(event, stamp, before)) is not None:
                at = max(found, least)
            elif isinstance(event, FIGURES):
                at, approximate = max(stamp.at, least), True
            else:
                at = least = max(stamp.at, self.latest)
                approximate = True
        else:
            at = own = max(stamp.at, own, least)
            least = at if isinstance(event, RESTATING) else least
        return type(self)(at, max(self.latest, at), own, least, approximate)
