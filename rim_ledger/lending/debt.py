"""What a user owes: incurring it, sharing out payments, falling late.

Each function writes the user's side and the loan's side into the same book, so that the two
always agree.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from rim_ledger.book import Book
from rim_ledger.lending.judgement import judge_again
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
from rim_ledger.lending.owed import Completion, Debt, Part
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


def split(debt: Debt, loan: UUID, amount: Decimal) -> Part:
    """As much of a debt as an amount covers: interest first, principal first once defaulted."""
    if debt.defaulted:
        principal = min(amount, debt.principal)
        return Part(
            loan_id=loan, principal=principal, interest=min(amount - principal, debt.interest)
        )
    fee = min(amount, debt.interest)
    return Part(loan_id=loan, principal=min(amount - fee, debt.principal), interest=fee)


def allocate(user: User, amount: Decimal, named: UUID | None) -> tuple[tuple[Part, ...], Decimal]:
    """Share a payment out (domain §3): what goes to which loan, and what becomes credit.

    Credit below zero is filled first; then the named loan, then the others by due date, time of
    disbursement and id.
    """
    rest = amount - (filled := min(amount, max(ZERO, -user.credit_balance)))
    parts = []
    for loan in _in_order(user, named):
        if rest:
            parts.append(part := split(user.debts[loan], loan, rest))
            rest -= part.amount
    return tuple(parts), filled + rest


def repay(
    book: Book,
    user: UUID,
    amount: Decimal,
    *,
    named: UUID | None,
    transaction: UUID,
    paid_at: datetime,
) -> RepaymentAllocated:
    """Let a payment, whose money came in at `paid_at`, reach the user's loans; what it was shared
    out into."""
    parts, credit = allocate(book.read(User, user), amount, named)
    allocated = RepaymentAllocated(
        transaction_id=transaction,
        parts=parts,
        credit=credit,
        paid_at=paid_at,
        completed=_completed(book, user, parts, paid_at),
    )
    book.append(User, user, [allocated])
    for part in parts:
        _pay(book, user, part, transaction, paid_at)
    return allocated


def incur(book: Book, loan: Loan, due_at: datetime) -> None:
    """Turn what was reserved into a debt, and pay it from the user's credit as far as that goes."""
    fee = loan.amount_due - loan.amount
    debt = DebtIncurred(loan_id=loan.id, principal=loan.amount, interest=fee, due_at=due_at)
    book.append(User, loan.user_id, [debt])
    _spend_credit(book, loan.user_id)


def take_back(book: Book, payment: Transaction) -> None:
    """Undo a completed payment: its parts are owed again, on loans that it had repaid as well.

    Credit that the payment had left and that has paid for loans since is taken back from them,
    as far as there is any; what was refunded meanwhile stays as credit below zero, which is owed at
    once and looked at again when a loan would default.
    """
    user, parts = payment.user_id, payment.parts
    before = book.read(User, user)
    for part in parts:
        _reopen(book, part.loan_id, payment.created_at)
    reversed_ = RepaymentReversed(
        transaction_id=payment.id,
        parts=parts,
        credit=payment.unallocated,
        paid_at=payment.created_at,
    )
    book.append(User, user, [reversed_])
    for part in parts:
        _owe_again(book, part, payment.id)
    while (now := book.read(User, user)).credit_balance < ZERO and now.applied:
        loan, applied = next(reversed(now.applied.items()))
        amount = min(applied.amount, -now.credit_balance)
        principal = min(amount, applied.principal)
        part = Part(loan_id=loan, principal=principal, interest=amount - principal)
        _take_credit_back(book, user, part)
    if book.read(User, user).overdrawn and not before.overdrawn:
        book.remind("credit-default", user, book.stamp.at + patience(book))
    _spend_credit(book, user)
    judge_again(book, user, payment.created_at)


def cancel(book: Book, loan: Loan) -> None:
    """Undo a disbursement; credit that had paid for it is credit again, or pays for others."""
    if applied := book.read(User, loan.user_id).applied.get(loan.id):
        _take_credit_back(book, loan.user_id, applied)
    book.append(User, loan.user_id, [DebtCancelled(loan_id=loan.id, principal=loan.amount)])
    _spend_credit(book, loan.user_id)
    judge_again(book, loan.user_id, loan.disbursed_at or book.stamp.at)


def fall_overdue(book: Book, loan: Loan) -> None:
    """Past due with something outstanding: once a loan."""
    book.append(Loan, loan.id, [LoanBecameOverdue()])
    book.append(User, loan.user_id, [DebtBecameOverdue(loan_id=loan.id)])
    assert loan.due_date, "it was lent"
    judge_again(book, loan.user_id, day_after(loan.due_date))


def default(book: Book, loan: Loan, event: LoanDefaulted) -> None:
    """The lender no longer expects the money; the limit falls to zero while it is automatic."""
    book.append(Loan, loan.id, [event])
    book.append(User, loan.user_id, [DebtDefaulted(loan_id=loan.id)])
    judge_again(book, loan.user_id, book.stamp.at, defaulted=True)


def reverse_default(book: Book, loan: Loan, event: LoanDefaultReversed) -> None:
    """The default was a mistake: score and limit are computed without it."""
    book.append(Loan, loan.id, [event])
    book.append(User, loan.user_id, [DebtDefaultReversed(loan_id=loan.id)])
    judge_again(book, loan.user_id, loan.defaulted_at or book.stamp.at)


def patience(book: Book) -> timedelta:
    """How long something may be past due before it is a default."""
    return timedelta(days=setting(book, "lending", "defaultAfterDays"))


def _in_order(user: User, named: UUID | None) -> Iterator[UUID]:
    def urgency(loan: UUID) -> tuple[bool, datetime, datetime, UUID]:
        debt = user.debts[loan]
        return loan != named, debt.due_at, debt.disbursed_at, loan

    yield from sorted(user.debts, key=urgency)


def _spend_credit(book: Book, user_id: UUID) -> None:
    """Credit never stands beside open debt."""
    while (user := book.read(User, user_id)).credit_balance > ZERO and user.debts:
        loan = next(_in_order(user, None))
        part, paid_at = split(user.debts[loan], loan, user.credit_balance), user.credit_at
        assert paid_at, "credit is money that came in"
        completed = _completed(book, user_id, [part], paid_at)
        applied = CreditApplied(part=part, paid_at=paid_at, completed=completed)
        book.append(User, user_id, [applied])
        _pay(book, user_id, part, None, paid_at)


def _take_credit_back(book: Book, user: UUID, part: Part) -> None:
    paid_at = book.read(Loan, part.loan_id).shares[None].at
    _reopen(book, part.loan_id, paid_at)
    book.append(User, user, [CreditTakenBack(part=part, paid_at=paid_at)])
    _owe_again(book, part, None)


def _reopen(book: Book, id: UUID, paid_at: datetime) -> None:
    """Let a repaid loan be owed again, and the clock look at it again, as money that came in at a
    time does not count."""
    loan = book.read(Loan, id)
    if loan.status is not LoanStatus.COMPLETED:
        return
    assert loan.due_date, "it was lent"
    assert loan.disbursed_at, "it was lent"
    reopened = DebtReopened(
        loan_id=id,
        paid=loan.amount_paid,
        due_at=loan.due_date,
        disbursed_at=loan.disbursed_at,
        late=loan.late,
        overdue=loan.overdue,
        defaulted=loan.defaulted_at is not None,
        paid_at=paid_at,
    )
    book.append(User, loan.user_id, [reopened])
    if not loan.historical:
        book.remind("default" if loan.overdue else "overdue", id, day_after(loan.due_date))


def _owe_again(book: Book, part: Part, transaction: UUID | None) -> None:
    event = LoanRepaymentReversed(
        amount=part.amount,
        principal=part.principal,
        interest=part.interest,
        transaction_id=transaction,
    )
    book.append(Loan, part.loan_id, [event])


def _completed(
    book: Book, user: UUID, parts: Iterable[Part], paid_at: datetime
) -> tuple[Completion, ...]:
    """Which loans money of a time completes, and since when they are."""
    debts = book.read(User, user).debts
    return tuple(
        Completion(loan_id=loan, paid_at=book.read(Loan, loan).paid_up(paid_at))
        for part in parts
        if part.amount == debts[loan := part.loan_id].outstanding
    )


def _pay(book: Book, user: UUID, part: Part, transaction: UUID | None, paid_at: datetime) -> None:
    paid = LoanRepaid(
        amount=part.amount,
        principal=part.principal,
        interest=part.interest,
        transaction_id=transaction,
        paid_at=paid_at,
    )
    book.append(Loan, part.loan_id, [paid])
    loan = book.read(Loan, part.loan_id)
    if not loan.outstanding_amount:
        completed_at = loan.paid_up(paid_at)
        book.append(Loan, loan.id, [LoanCompleted(paid_at=completed_at)])
        judge_again(book, user, completed_at, completed=True)
