"""A user's debts: incurred, repaid, charged, overdue, rescheduled, defaulted.

Each function writes the user's side and the loan's side into the same unit of work, so that both
always agree.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.loan import (
    Loan,
    LoanBecameOverdue,
    LoanCompleted,
    LoanDefaulted,
    LoanDefaultReversed,
    LoanRepaid,
    LoanRepaymentReversed,
    LoanStatus,
)
from rim_ledger.lending.notice_days import look_for_notices
from rim_ledger.lending.owed import PRINCIPAL_FIRST, Completion, Part
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
from rim_ledger.lending.scoring import judge_again
from rim_ledger.lending.user import (
    CreditApplied,
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
from rim_ledger.payments.transaction import Transaction
from rim_ledger.system.config import setting
from rim_ledger.values import ZERO, day_after


def allocate(user: User, amount: Decimal, named: UUID | None) -> tuple[tuple[Part, ...], Decimal]:
    """Allocate a payment (domain §3): return the part of each loan, and the remaining credit.

    Negative credit is filled first; then the named loan, then the others by due date, time of
    disbursement and id.
    """
    rest = amount - (filled := min(amount, max(ZERO, -user.credit_balance)))
    parts = []
    for loan in _in_order(user, named):
        if rest:
            parts.append(part := user.debts[loan].covered(loan, rest))
            rest -= part.amount
    return tuple(parts), filled + rest


def repay(
    uow: UnitOfWork,
    user: UUID,
    amount: Decimal,
    *,
    named: UUID | None,
    transaction: UUID,
    paid_at: datetime,
) -> RepaymentAllocated:
    """Allocate a payment, whose money came in at `paid_at`, to the user's loans; return the
    allocation."""
    parts, credit = allocate(uow.read(User, user), amount, named)
    allocated = RepaymentAllocated(
        transaction_id=transaction,
        parts=parts,
        credit=credit,
        paid_at=paid_at,
        completed=_completed(uow, user, parts, paid_at),
    )
    uow.append(User, user, [allocated])
    for part in parts:
        _pay(uow, part, transaction, paid_at)
    return allocated


def incur(uow: UnitOfWork, loan: Loan, due_at: datetime) -> None:
    """Turn a reservation into a debt, and pay it from the user's credit as far as possible."""
    amounts = {"principal": loan.amount, "interest": loan.interest}
    uow.append(User, loan.user_id, [DebtIncurred(loan_id=loan.id, due_at=due_at, **amounts)])
    _spend_credit(uow, loan.user_id)


def take_back(uow: UnitOfWork, payment: Transaction) -> None:
    """Undo a completed payment: its parts are owed again, also on loans that it had completed.

    Credit that came from the payment and has paid for loans since is taken back from them. If part
    of it was refunded, the credit becomes negative: that is owed at once, and may default as a loan
    does.
    """
    user, parts = payment.user_id, payment.parts
    before = uow.read(User, user)
    for part in parts:
        _reopen(uow, part.loan_id, payment.created_at)
    reversed_ = RepaymentReversed(
        transaction_id=payment.id,
        parts=parts,
        credit=payment.unallocated,
        paid_at=payment.created_at,
    )
    uow.append(User, user, [reversed_])
    for part in parts:
        _owe_again(uow, part, payment.id)
    while (now := uow.read(User, user)).credit_balance < ZERO and now.applied:
        applied = next(reversed(now.applied.values()))
        _take_credit_back(uow, user, applied.share(-now.credit_balance, PRINCIPAL_FIRST))
    if uow.read(User, user).overdrawn and not before.overdrawn:
        uow.remind("credit-default", user, uow.stamp.at + patience(uow))
    _spend_credit(uow, user)
    judge_again(uow, user, payment.created_at)


def cancel(uow: UnitOfWork, loan: Loan) -> None:
    """Undo a disbursement; credit that had paid for it is credit again, or pays for other loans."""
    if applied := uow.read(User, loan.user_id).applied.get(loan.id):
        _take_credit_back(uow, loan.user_id, applied)
    uow.append(User, loan.user_id, [DebtCancelled(loan_id=loan.id, principal=loan.amount)])
    _spend_credit(uow, loan.user_id)
    judge_again(uow, loan.user_id, loan.disbursed_at or uow.stamp.at)


def fall_overdue(uow: UnitOfWork, loan: Loan, late_fee_at: datetime | None) -> None:
    """Mark a loan as overdue, once per loan; the late fee is due at `late_fee_at`, if set."""
    uow.append(Loan, loan.id, [LoanBecameOverdue(late_fee_at=late_fee_at)])
    uow.append(User, loan.user_id, [DebtBecameOverdue(loan_id=loan.id)])
    assert loan.due_date, "it was lent"
    judge_again(uow, loan.user_id, day_after(loan.due_date))


def charge(uow: UnitOfWork, loan: Loan, event: LoanFeeCharged) -> None:
    """Charge a fee to an open loan."""
    uow.append(Loan, loan.id, [event])
    uow.append(User, loan.user_id, [DebtFeeCharged(loan_id=loan.id, amount=event.amount)])


def waive(uow: UnitOfWork, loan: Loan, event: LoanChargesWaived) -> None:
    """Waive charges of an open loan; it is completed if nothing is left."""
    debt, paid_at = uow.read(User, loan.user_id).debts[loan.id], loan.paid_up()
    nothing_left = event.charges.amount == debt.outstanding
    ended = (Completion(loan_id=loan.id, paid_at=paid_at),) if nothing_left else ()
    waived = DebtChargesWaived(loan_id=loan.id, charges=event.charges, completed=ended)
    uow.append(Loan, loan.id, [event])
    uow.append(User, loan.user_id, [waived])
    if nothing_left:
        _complete(uow, loan, paid_at)


def reschedule(uow: UnitOfWork, loan: Loan, event: LoanRescheduled) -> None:
    """Move the due date of a loan to a later day; its deadlines count from there."""
    uow.append(Loan, loan.id, [event])
    uow.append(User, loan.user_id, [DebtRescheduled(loan_id=loan.id, due_at=event.due_date)])
    for what in ("default", "late-fee"):
        uow.forget(what, loan.id)
    if not loan.historical:
        uow.remind("overdue", loan.id, day_after(event.due_date))
        look_for_notices(uow, loan.id)
    if loan.overdue:
        judge_again(uow, loan.user_id, uow.stamp.at)


def default(uow: UnitOfWork, loan: Loan, event: LoanDefaulted) -> None:
    """Default a loan; an automatic limit falls to zero."""
    uow.append(Loan, loan.id, [event])
    uow.append(User, loan.user_id, [DebtDefaulted(loan_id=loan.id)])
    judge_again(uow, loan.user_id, uow.stamp.at, defaulted=True)


def write_off(uow: UnitOfWork, loan: Loan, reason: str | None) -> None:
    """Write off the outstanding amount of a defaulted loan."""
    debt = uow.read(User, loan.user_id).debts[loan.id]
    uow.forget("write-off", loan.id)
    uow.append(Loan, loan.id, [LoanWrittenOff.of(debt, reason=reason)])
    uow.append(User, loan.user_id, [DebtWrittenOff(loan_id=loan.id)])


def undo_write_off(uow: UnitOfWork, loan: Loan, reason: str | None) -> None:
    """Undo the write-off of a loan."""
    debt = uow.read(User, loan.user_id).debts[loan.id]
    uow.append(Loan, loan.id, [LoanWriteOffUndone.of(debt, reason=reason)])
    uow.append(User, loan.user_id, [DebtWriteOffUndone(loan_id=loan.id)])


def reverse_default(uow: UnitOfWork, loan: Loan, event: LoanDefaultReversed) -> None:
    """Undo a default: score and limit are computed without it."""
    uow.forget("write-off", loan.id)
    uow.append(Loan, loan.id, [event])
    uow.append(User, loan.user_id, [DebtDefaultReversed(loan_id=loan.id)])
    judge_again(uow, loan.user_id, loan.defaulted_at or uow.stamp.at)


def patience(uow: UnitOfWork) -> timedelta:
    """Return how long a debt may be past due before it defaults."""
    return timedelta(days=setting(uow, "lending", "defaultAfterDays"))


def _in_order(user: User, named: UUID | None) -> Iterator[UUID]:
    def urgency(loan: UUID) -> tuple[bool, datetime, datetime, UUID]:
        debt = user.debts[loan]
        return loan != named, debt.due_at, debt.disbursed_at, loan

    yield from sorted(user.debts, key=urgency)


def _spend_credit(uow: UnitOfWork, user_id: UUID) -> None:
    """Pay open debts from credit, so that a user never has both."""
    while (user := uow.read(User, user_id)).credit_balance > ZERO and user.debts:
        loan = next(_in_order(user, None))
        part, paid_at = user.debts[loan].covered(loan, user.credit_balance), user.credit_at
        assert paid_at, "credit is money that came in"
        completed = _completed(uow, user_id, [part], paid_at)
        applied = CreditApplied(part=part, paid_at=paid_at, completed=completed)
        uow.append(User, user_id, [applied])
        _pay(uow, part, None, paid_at)


def _take_credit_back(uow: UnitOfWork, user: UUID, part: Part) -> None:
    paid_at = uow.read(Loan, part.loan_id).shares[None].at
    _reopen(uow, part.loan_id, paid_at)
    uow.append(User, user, [CreditTakenBack(part=part, paid_at=paid_at)])
    _owe_again(uow, part, None)


def _reopen(uow: UnitOfWork, id: UUID, paid_at: datetime) -> None:
    """Reopen a repaid loan, without money that came in at `paid_at`, and schedule its deadlines
    again."""
    loan = uow.read(Loan, id)
    if loan.status is not LoanStatus.COMPLETED:
        return
    assert loan.due_date, "it was lent"
    reopened = DebtReopened.of(
        loan,
        loan_id=id,
        paid=loan.amount_paid,
        due_at=loan.due_date,
        defaulted=loan.defaulted_at is not None,
        paid_at=paid_at,
        original_due_at=loan.original_due_date if loan.rescheduled_count else None,
    )
    uow.append(User, loan.user_id, [reopened])
    look_for_notices(uow, id)
    if not loan.historical:
        uow.remind("default" if loan.overdue else "overdue", id, day_after(loan.due_date))
    if loan.late_fee_at:
        uow.remind("late-fee", id, loan.late_fee_at)
    if loan.defaulted_at:
        uow.remind("write-off", id, uow.now)


def _owe_again(uow: UnitOfWork, part: Part, transaction: UUID | None) -> None:
    event = LoanRepaymentReversed.of(part, amount=part.amount, transaction_id=transaction)
    uow.append(Loan, part.loan_id, [event])


def _completed(
    uow: UnitOfWork, user: UUID, parts: Iterable[Part], paid_at: datetime
) -> tuple[Completion, ...]:
    """Return the loans that a payment completes, with the time of completion."""
    debts = uow.read(User, user).debts
    return tuple(
        Completion(loan_id=loan, paid_at=uow.read(Loan, loan).paid_up(paid_at))
        for part in parts
        if part.amount == debts[loan := part.loan_id].outstanding
    )


def _pay(uow: UnitOfWork, part: Part, transaction: UUID | None, paid_at: datetime) -> None:
    paid = LoanRepaid.of(part, amount=part.amount, transaction_id=transaction, paid_at=paid_at)
    uow.append(Loan, part.loan_id, [paid])
    loan = uow.read(Loan, part.loan_id)
    if not loan.outstanding_amount:
        _complete(uow, loan, loan.paid_up(paid_at))


def _complete(uow: UnitOfWork, loan: Loan, paid_at: datetime) -> None:
    uow.append(Loan, loan.id, [LoanCompleted(paid_at=paid_at)])
    if loan.defaulted_at:
        uow.forget("write-off", loan.id)
    completed_at = uow.read(Loan, loan.id).completed_at
    assert completed_at, "it is completed"
    judge_again(uow, loan.user_id, completed_at, completed=True)
