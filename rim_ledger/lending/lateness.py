"""Falling overdue and defaulting: by the clock, or by hand with a reason."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from uuid import UUID

from rim_ledger.book import Book, Work
from rim_ledger.core import Command, Event, require_legal
from rim_ledger.lending.debt import default, fall_overdue, patience, reverse_default
from rim_ledger.lending.judgement import judge_again
from rim_ledger.lending.loan import LEGAL, Loan, LoanDefaulted, LoanDefaultReversed, LoanStatus
from rim_ledger.lending.request import require_no_conflict
from rim_ledger.lending.user import CreditDefaulted, User
from rim_ledger.values import Note, day_after

PAYING: Final = (LoanStatus.DISBURSED, LoanStatus.REPAYING)


class MarkDefaulted(Command[Loan]):
    """Give a loan up before the clock does, for a reason."""

    reason: Note

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_no_conflict(book, book.read(User, aggregate.user_id))
        require_legal(aggregate.status, "default", LEGAL)
        default(book, aggregate, LoanDefaulted(reason=self.reason))
        return ()


class ReverseDefault(Command[Loan]):
    """The default was a mistake. From now on the clock leaves this loan alone."""

    reason: Note

    def decide(self, aggregate: Loan, book: Book) -> Iterable[Event]:
        require_no_conflict(book, book.read(User, aggregate.user_id))
        require_legal(aggregate.status, "reverse-default", LEGAL)
        reverse_default(book, aggregate, LoanDefaultReversed(reason=self.reason))
        return ()


def look_for_overdue(id: UUID) -> Work:
    """The clock's decision at the due date. A loan that was repaid in time is let go."""

    def work(book: Book) -> UUID:
        book.act_upon(id)
        loan = book.read(Loan, id)
        book.forget("overdue", id)
        if loan.status in PAYING and not loan.overdue:
            over = _over(loan)
            if book.stamp.at >= over:
                fall_overdue(book, loan)
                book.remind("default", id, over + patience(book))
            else:
                book.remind("overdue", id, over)
        return id

    return work


def look_for_default(id: UUID) -> Work:
    """The clock's decision some days after the due date, as many as are configured by then."""

    def work(book: Book) -> UUID:
        book.act_upon(id)
        loan = book.read(Loan, id)
        book.forget("default", id)
        if loan.status in PAYING and not loan.left_alone:
            if book.stamp.at >= (last := _over(loan) + patience(book)):
                default(book, loan, LoanDefaulted())
            else:
                book.remind("default", id, last)
        return id

    return work


def look_for_credit_default(id: UUID) -> Work:
    """The clock's decision on a user whose credit fell below zero as long ago as that."""

    def work(book: Book) -> UUID:
        book.act_upon(id)
        book.forget("credit-default", id)
        if since := book.read(User, id).may_default_since:
            if book.stamp.at >= (last := since + patience(book)):
                book.append(User, id, [CreditDefaulted()])
                judge_again(book, id, book.stamp.at, defaulted=True)
            else:
                book.remind("credit-default", id, last)
        return id

    return work


def _over(loan: Loan) -> datetime:
    """When the day is over on which a loan is due."""
    assert loan.due_date is not None, "a loan that was disbursed is due some day"
    return day_after(loan.due_date)
