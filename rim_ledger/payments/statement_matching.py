"""Settles the lines of a statement, matched to payments by provider, reference and amount."""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from rim_ledger.admin.same_person import is_caller
from rim_ledger.engine.aggregate import shared
from rim_ledger.engine.command import Form, perform
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.user import User
from rim_ledger.payments.claim_names import line_claim
from rim_ledger.payments.payment_commands import CompleteTransaction, find_payment
from rim_ledger.payments.reversal import Reconcile
from rim_ledger.payments.statement import (
    Finding,
    LineOutcome,
    Statement,
    StatementFinished,
    StatementLinesSettled,
    StatementStarted,
)
from rim_ledger.payments.transaction import Transaction, TransactionStatus
from rim_ledger.values import Money, Name, Reference, moment


def _day(text: str) -> str:
    """Return the provider's date, whatever the offset of a time that follows it."""
    day = text[:10]
    if moment(text if day != text else f"{text}T00:00:00Z") is None:
        raise PydanticCustomError("date", "a date looks like 2026-01-31")
    return day


def _amount(text: Any) -> Any:
    if isinstance(text, str) and re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", text, re.ASCII):
        return Decimal(text)
    raise PydanticCustomError("amount", "an amount looks like 1500.00")


class StatementLine(Form):
    """A payment as the provider booked it."""

    line: int
    date: Annotated[str, Field(max_length=40), AfterValidator(_day)]
    reference: Reference
    amount: Annotated[Money, BeforeValidator(_amount)]
    provider: Name

    def found(self, outcome: LineOutcome, **more: Any) -> Finding:
        """Return the line with its outcome."""
        return Finding(**shared(Finding, self), outcome=outcome, **more)


@decision
def begin(uow: UnitOfWork, sha256: str) -> UUID:
    """Begin a statement, or find the earlier one of the same file; return its id."""
    if known := uow.holder("statement", sha256):
        return known
    fresh = uow.new_id()
    uow.claim("statement", sha256, fresh, Refused("already-exists", "This file is known."))
    uow.open_stream(Statement, fresh, [StatementStarted(sha256=sha256)])
    return fresh


@decision
def settle(uow: UnitOfWork, statement: UUID, lines: Sequence[StatementLine | Finding]) -> UUID:
    """Settle the next lines of a file, except those settled before.

    A line is passed as a finding if reading the file determined its outcome.
    """
    before = uow.read(Statement, statement)
    rest = [each for each in lines if each.line > before.lines]
    names = {each.line: f"{before.sha256[:16]}/{each.line}" for each in rest}
    uow.look_ahead(
        look
        for each in rest
        if isinstance(each, StatementLine)
        for look in _looks(uow, each, names[each.line])
    )
    findings = tuple(
        each if isinstance(each, Finding) else _settle(uow, each, names[each.line]) for each in rest
    )
    if findings:
        uow.append(Statement, statement, [StatementLinesSettled(findings=findings)])
    return statement


@decision
def finish(uow: UnitOfWork, statement: UUID) -> UUID:
    """Record, once, that every line was settled."""
    if uow.read(Statement, statement).finished_at is None:
        uow.append(Statement, statement, [StatementFinished()])
    return statement


def _settle(uow: UnitOfWork, line: StatementLine, name: str) -> Finding:
    if (transaction := find_payment(uow, line.provider, line.reference)) is None:
        return line.found(LineOutcome.UNKNOWN)
    found = partial(line.found, transaction_id=transaction.id)
    if transaction.amount != line.amount:
        return found(LineOutcome.MISMATCHED, expected=transaction.amount)
    if transaction.failed and not transaction.funds_captured:
        return found(LineOutcome.MISMATCHED, reason="The payment failed, and no money came in.")
    if transaction.reconciled_at:
        return found(LineOutcome.ALREADY_RECONCILED)
    try:
        _reconcile(uow, transaction, name)
    except Refused as refusal:
        own = refusal.code == "separation-of-duties"
        return found(LineOutcome.OWN_RECORD if own else LineOutcome.REFUSED, reason=refusal.detail)
    return found(LineOutcome.MATCHED)


def _reconcile(uow: UnitOfWork, transaction: Transaction, name: str) -> None:
    """Complete and reconcile a payment, or refuse before anything of it is written."""
    if uow.holder(*line_claim(name)):
        raise Refused("statement-line-taken", f"The line {name} settles another payment.")
    reconcile = Reconcile(statement_line=name)
    if uow.guard:
        uow.guard(uow, reconcile, transaction)
    if transaction.status is TransactionStatus.PENDING:
        perform(uow, Transaction, transaction.id, CompleteTransaction())
    perform(uow, Transaction, transaction.id, reconcile)


def _looks(uow: UnitOfWork, line: StatementLine, name: str) -> Iterator[Callable[[], object]]:
    """Yield what settling a line reads, so that all lines are preloaded together."""
    yield partial(uow.holder, *line_claim(name))
    yield partial(_debtor, uow, line)


def _debtor(uow: UnitOfWork, line: StatementLine) -> None:
    if transaction := find_payment(uow, line.provider, line.reference):
        is_caller(uow, transaction.recorded_by)
        for loan in uow.read(User, transaction.user_id).debts:
            uow.read(Loan, loan)
