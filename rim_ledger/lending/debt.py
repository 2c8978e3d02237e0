"""What a user owes: incurring it, sharing out payments, falling late, and the score after it.

Each function writes the user's side and the loan's side into the same book, so that the two
always agree.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from msgspec import Struct

from rim_ledger.book import Book
from rim_ledger.lending.loan import Loan, LoanStatus
from rim_ledger.lending.loan_events import (
    LoanBecameOverdue,
    LoanCompleted,
    LoanDefaulted,
    LoanDefaultReversed,
    LoanRepaid,
    LoanRepaymentReversed,
)
from rim_ledger.lending.owed import Debt
from rim_ledger.lending.policy import (
    IN_FORCE,
    LIMIT_VERSION,
    SCORE_VERSION,
    CreditPolicy,
    ScoreInputs,
    next_limit,
    score,
)
from rim_ledger.lending.user import User
from rim_ledger.lending.user_events import (
    CreditApplied,
    CreditLimitAdjusted,
    CreditScoreRecomputed,
    CreditTakenBack,
    DebtBecameOverdue,
    DebtCancelled,
    DebtDefaulted,
    DebtDefaultReversed,
    DebtIncurred,
    DebtReopened,
    Part,
    RepaymentAllocated,
    RepaymentReversed,
)
from rim_ledger.values import ZERO

YEAR = timedelta(days=365)


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
    book: Book, user: UUID, amount: Decimal, named: UUID | None, transaction: UUID
) -> RepaymentAllocated:
    """Let a payment reach the user's loans; what it was shared out into."""
    parts, credit = allocate(book.read(User, user), amount, named)
    allocated = RepaymentAllocated(transaction_id=transaction, parts=parts, credit=credit)
    book.append(User, user, [allocated])
    for part in parts:
        _pay(book, user, part, transaction)
    return allocated


def incur(book: Book, loan: Loan, due_at: datetime) -> None:
    """Turn what was reserved into a debt, and pay it from the user's credit as far as that goes."""
    fee = loan.amount_due - loan.amount
    debt = DebtIncurred(loan_id=loan.id, principal=loan.amount, interest=fee, due_at=due_at)
    book.append(User, loan.user_id, [debt])
    _spend_credit(book, loan.user_id)


def take_back(
    book: Book, user: UUID, transaction: UUID, parts: Sequence[Part], credit: Decimal
) -> None:
    """Undo a payment: its parts are owed again, on loans that it had repaid as well.

    Credit that the payment had left and that has paid for loans since is taken back from them,
    as far as there is any; what was refunded meanwhile stays as credit below zero.
    """
    for part in parts:
        _reopen(book, part.loan_id)
    reversed_ = RepaymentReversed(transaction_id=transaction, parts=tuple(parts), credit=credit)
    book.append(User, user, [reversed_])
    for part in parts:
        _owe_again(book, part, transaction)
    while (now := book.read(User, user)).credit_balance < ZERO and now.applied:
        loan, applied = next(reversed(now.applied.items()))
        amount = min(applied.amount, -now.credit_balance)
        principal = min(amount, applied.principal)
        part = Part(loan_id=loan, principal=principal, interest=amount - principal)
        _take_credit_back(book, user, part)
    _spend_credit(book, user)
    judge_again(book, user)


def cancel(book: Book, loan: Loan) -> None:
    """Undo a disbursement; credit that had paid for it is credit again, or pays for others."""
    if applied := book.read(User, loan.user_id).applied.get(loan.id):
        _take_credit_back(book, loan.user_id, applied)
    book.append(User, loan.user_id, [DebtCancelled(loan_id=loan.id, principal=loan.amount)])
    _spend_credit(book, loan.user_id)
    judge_again(book, loan.user_id)


def fall_overdue(book: Book, loan: Loan) -> None:
    """Past due with something outstanding: once a loan."""
    book.append(Loan, loan.id, [LoanBecameOverdue()])
    book.append(User, loan.user_id, [DebtBecameOverdue(loan_id=loan.id)])
    judge_again(book, loan.user_id)


def default(book: Book, loan: Loan, event: LoanDefaulted) -> None:
    """The lender no longer expects the money; the limit falls to zero while it is automatic."""
    book.append(Loan, loan.id, [event])
    book.append(User, loan.user_id, [DebtDefaulted(loan_id=loan.id)])
    judge_again(book, loan.user_id, defaulted=True)


def reverse_default(book: Book, loan: Loan, event: LoanDefaultReversed) -> None:
    """The default was a mistake: score and limit are computed without it."""
    book.append(Loan, loan.id, [event])
    book.append(User, loan.user_id, [DebtDefaultReversed(loan_id=loan.id)])
    judge_again(book, loan.user_id)


class Judgement(Struct, frozen=True):
    """What the policy makes of a user at a moment: score and limit, on what grounds."""

    inputs: ScoreInputs
    score: int
    limit: Decimal
    reason: str


def judge(
    user: User,
    at: datetime,
    policy: CreditPolicy = IN_FORCE,
    *,
    completed: bool = False,
    defaulted: bool = False,
) -> Judgement:
    """Score, and limit while it is automatic, at a moment of the policy (domain §1)."""
    inputs = score_inputs(user, at)
    points = score(inputs, policy)
    late = any(debt.overdue or debt.defaulted for debt in user.debts.values())
    limit, reason = user.credit_limit, "the score changed"
    if user.auto_limit_enabled and defaulted:
        limit, reason = ZERO, "a loan defaulted"
    elif user.auto_limit_enabled and not late:
        limit = next_limit(user.credit_limit, points, policy, completed=completed)
        reason = "a loan was completed" if completed else reason
    return Judgement(inputs, points, limit, reason)


def judge_again(
    book: Book, user_id: UUID, *, completed: bool = False, defaulted: bool = False
) -> None:
    """Write down what the policy makes of a user now, as far as that is new."""
    user = book.read(User, user_id)
    found = judge(user, book.stamp.at, completed=completed, defaulted=defaulted)
    if found.score != user.credit_score:
        event = CreditScoreRecomputed(score=found.score, policy=SCORE_VERSION, inputs=found.inputs)
        book.append(User, user_id, [event])
    if found.limit != user.credit_limit:
        adjusted = CreditLimitAdjusted(
            limit=found.limit, policy=LIMIT_VERSION, score=found.score, reason=found.reason
        )
        book.append(User, user_id, [adjusted])


def score_inputs(user: User, at: datetime) -> ScoreInputs:
    """What score-v1 looks at, as of a business time."""
    late = [(at - debt.due_at).days for debt in user.debts.values() if debt.overdue]
    return ScoreInputs(
        on_time_completions=user.completed_on_time,
        late_completions=user.completed_late,
        defaults_last_year=sum(at - YEAR < when <= at for when in user.defaults.values()),
        days_past_due=max(0, *late, 0),
        months_registered=max(0, _months(user.created_at, at)),
    )


def _in_order(user: User, named: UUID | None) -> Iterator[UUID]:
    def urgency(loan: UUID) -> tuple[bool, datetime, datetime, UUID]:
        debt = user.debts[loan]
        return loan != named, debt.due_at, debt.disbursed_at, loan

    yield from sorted(user.debts, key=urgency)


def _spend_credit(book: Book, user_id: UUID) -> None:
    """Credit never stands beside open debt."""
    while (user := book.read(User, user_id)).credit_balance > ZERO and user.debts:
        loan = next(_in_order(user, None))
        part = split(user.debts[loan], loan, user.credit_balance)
        book.append(User, user_id, [CreditApplied(part=part)])
        _pay(book, user_id, part, None)


def _take_credit_back(book: Book, user: UUID, part: Part) -> None:
    _reopen(book, part.loan_id)
    book.append(User, user, [CreditTakenBack(part=part)])
    _owe_again(book, part, None)


def _reopen(book: Book, id: UUID) -> None:
    """Let a repaid loan be owed again, and the clock look at it again."""
    loan = book.read(Loan, id)
    if loan.status is not LoanStatus.COMPLETED:
        return
    assert loan.due_date, "it was lent"
    assert loan.disbursed_at, "it was lent"
    assert loan.completed_at, "it was repaid"
    reopened = DebtReopened(
        loan_id=id,
        paid=loan.amount_paid,
        due_at=loan.due_date,
        disbursed_at=loan.disbursed_at,
        late=loan.completed_at > loan.due_date,
        overdue=loan.overdue,
        defaulted=loan.defaulted_at is not None,
    )
    book.append(User, loan.user_id, [reopened])
    if not loan.historical:
        book.remind("default" if loan.overdue else "overdue", id, loan.due_date)


def _owe_again(book: Book, part: Part, transaction: UUID | None) -> None:
    event = LoanRepaymentReversed(
        amount=part.amount,
        principal=part.principal,
        interest=part.interest,
        transaction_id=transaction,
    )
    book.append(Loan, part.loan_id, [event])


def _pay(book: Book, user: UUID, part: Part, transaction: UUID | None) -> None:
    paid = LoanRepaid(
        amount=part.amount,
        principal=part.principal,
        interest=part.interest,
        transaction_id=transaction,
    )
    book.append(Loan, part.loan_id, [paid])
    if not book.read(Loan, part.loan_id).outstanding_amount:
        book.append(Loan, part.loan_id, [LoanCompleted()])
        judge_again(book, user, completed=True)


def _months(start: datetime, end: datetime) -> int:
    begin, finish = start.astimezone(UTC), end.astimezone(UTC)
    months = (finish.year - begin.year) * 12 + finish.month - begin.month
    return months - ((finish.day, finish.time()) < (begin.day, begin.time()))
