"""What each line of a statement comes to, and what it moves."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from rim_ledger.engine.aggregate import SYSTEM
from rim_ledger.lending.user import User
from rim_ledger.payments.payment_commands import (
    CompleteTransaction,
    FailTransaction,
    RecordTransaction,
)
from rim_ledger.payments.reversal import Reconcile, ReverseTransaction
from rim_ledger.payments.statement import Finding, LineOutcome, Statement
from rim_ledger.payments.statement_matching import StatementLine, begin, finish, settle
from rim_ledger.payments.transaction import PaymentMethod, Transaction, TransactionType
from tests.lending.desk import Desk, refused
from tests.spec import names

SHA = "0123456789abcdef" * 4


def pending(desk: Desk, reference: str, amount: float = 50, **more: Any) -> UUID:
    """A repayment that waits for its money."""
    payment = desk.environment.new_id()
    wish = RecordTransaction(
        type=TransactionType.REPAYMENT,
        user_id=desk.ada,
        amount=amount,  # type: ignore[arg-type]
        payment_method=PaymentMethod.BANK_TRANSFER,
        reference=reference,
        **more,
    )
    desk.perform(Transaction, payment, wish)
    return payment


def line(
    number: int, reference: str, amount: str = "50.00", provider: str = "bank_transfer"
) -> StatementLine:
    return StatementLine.model_validate(
        {
            "line": number,
            "date": "2026-01-05",
            "reference": reference,
            "amount": amount,
            "provider": provider,
        }
    )


def started(desk: Desk) -> UUID:
    desk.run(begin(SHA))
    statement = desk.claims["statement", SHA]
    assert statement is not None
    return statement


def settled(desk: Desk, *lines: StatementLine | Finding) -> list[Finding]:
    """What the lines of a new statement came to."""
    *_, event = desk.run(settle(started(desk), lines))
    found: list[Finding] = list(event.findings)  # type: ignore[attr-defined]
    return found


def test_a_pending_payment_that_matches_is_completed_and_reconciled_in_one_decision() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    payment = pending(desk, "R-1", provider="paystack")
    statement = started(desk)
    events = desk.run(settle(statement, [line(1, "R-1", provider="paystack")]))
    assert names(events) == [
        "RepaymentAllocated",
        "LoanRepaid",
        "TransactionCompleted",
        "TransactionReconciled",
        "StatementLinesSettled",
    ]
    assert desk.loan(loan).amount_paid == 50
    assert desk.transaction(payment).statement_line == "0123456789abcdef/1"
    found = desk.uow().read(Statement, statement)
    assert (found.lines, found.matched) == (1, 1)


def test_without_a_provider_the_payment_method_stands_for_it() -> None:
    desk = Desk()
    payment = pending(desk, "R-1")
    (found,) = settled(desk, line(1, "R-1"))
    assert (found.outcome, found.transaction_id) == (LineOutcome.MATCHED, payment)


@pytest.mark.parametrize(
    "date", ["2026-01-05", "2026-01-05T23:30:00+01:00", "2026-01-05T23:30:00Z"]
)
def test_the_day_of_a_line_is_the_one_that_the_provider_wrote(date: str) -> None:
    fields = line(1, "R-1").model_dump() | {"date": date, "amount": "50.00"}
    assert StatementLine.model_validate(fields).date == "2026-01-05"


@pytest.mark.parametrize(
    "date", ["20260105", "2026-01-05T23:30:00", "2026-01-05 23:30", "2026-02-30", "1767600000", ""]
)
def test_what_is_no_day_and_no_time_makes_a_line_invalid(date: str) -> None:
    fields = line(1, "R-1").model_dump() | {"date": date, "amount": "50.00"}
    with pytest.raises(ValidationError, match="a date looks like"):
        StatementLine.model_validate(fields)


def test_another_amount_changes_nothing_and_says_what_was_expected() -> None:
    desk = Desk()
    payment = pending(desk, "R-1")
    (found,) = settled(desk, line(1, "R-1", "49.99"))
    assert found.outcome is LineOutcome.MISMATCHED
    assert (found.amount, found.expected) == (Decimal("49.99"), 50)
    assert desk.transaction(payment).status == "pending"


def test_a_reference_that_no_payment_has_is_unknown() -> None:
    desk = Desk()
    pending(desk, "R-1")
    assert [each.outcome for each in settled(desk, line(1, "R-9"))] == [LineOutcome.UNKNOWN]


@pytest.mark.parametrize(
    ("captured", "outcome"), [(False, LineOutcome.MISMATCHED), (True, LineOutcome.MATCHED)]
)
def test_a_failed_payment_agrees_with_the_line_of_money_that_was_captured(
    captured: bool, outcome: LineOutcome
) -> None:
    desk = Desk()
    payment = pending(desk, "R-1")
    fail = FailTransaction(reason="no money", funds_captured=captured)
    desk.perform(Transaction, payment, fail)
    assert [each.outcome for each in settled(desk, line(1, "R-1"))] == [outcome]
    assert desk.transaction(payment).status == "failed"


def test_what_is_reconciled_stays_as_it_is() -> None:
    desk = Desk()
    payment = pending(desk, "R-1")
    desk.perform(Transaction, payment, CompleteTransaction())
    desk.perform(Transaction, payment, Reconcile(statement_line="by-hand"))
    (found,) = settled(desk, line(1, "R-1"))
    assert found.outcome is LineOutcome.ALREADY_RECONCILED
    assert desk.transaction(payment).statement_line == "by-hand"


def test_completed_and_reversed_payments_are_reconciled_as_they_are() -> None:
    desk = Desk()
    one, two = pending(desk, "R-1"), pending(desk, "R-2")
    for each in (one, two):
        desk.perform(Transaction, each, CompleteTransaction())
    desk.perform(Transaction, two, ReverseTransaction(reason="a chargeback"))
    outcomes = [each.outcome for each in settled(desk, line(1, "R-1"), line(2, "R-2"))]
    assert outcomes == [LineOutcome.MATCHED] * 2
    assert [desk.transaction(each).status for each in (one, two)] == ["completed", "refunded"]


def test_nobody_settles_their_own_payment_by_statement_or_by_hand() -> None:
    desk = Desk()
    one, two = pending(desk, "R-1"), pending(desk, "R-2")
    desk.perform(Transaction, two, CompleteTransaction())
    statement = started(desk)
    uow = desk.uow()
    phone = desk.user.phone_hash
    assert phone
    uow.contacts = frozenset([phone])
    settle(statement, [line(1, "R-1"), line(2, "R-2")])(uow)
    *_, event = desk.keep(uow)
    assert [each.outcome for each in event.findings] == [LineOutcome.REFUSED] * 2  # type: ignore[attr-defined]
    assert desk.transaction(one).status == "pending"
    assert desk.transaction(two).reconciled_at is None
    uow = desk.uow()
    uow.contacts = frozenset([phone])
    payment = desk.transaction(two)
    assert refused(lambda: list(Reconcile().decide(payment, uow))) == "conflict-of-interest"


def test_a_line_whose_name_settles_another_payment_moves_nothing() -> None:
    desk = Desk()
    one, two = pending(desk, "R-1"), pending(desk, "R-2")
    desk.perform(Transaction, two, CompleteTransaction())
    desk.perform(Transaction, two, Reconcile(statement_line="0123456789abcdef/1"))
    (found,) = settled(desk, line(1, "R-1"))
    assert found.outcome is LineOutcome.REFUSED
    assert desk.transaction(one).status == "pending"


def test_lines_that_were_settled_are_passed_over_and_the_rest_goes_on() -> None:
    desk = Desk()
    for number in (1, 2, 3):
        pending(desk, f"R-{number}")
    lines = [line(number, f"R-{number}") for number in (1, 2, 3)]
    statement = started(desk)
    desk.run(settle(statement, lines[:2]))
    *_, event = desk.run(settle(statement, lines))
    assert [each.line for each in event.findings] == [3]  # type: ignore[attr-defined]
    assert desk.run(settle(statement, lines)) == []
    assert names(desk.run(finish(statement))) == ["StatementFinished"]
    assert desk.run(finish(statement)) == []
    assert desk.run(begin(SHA)) == []


def test_what_reading_the_file_found_is_kept_beside_what_was_settled() -> None:
    desk = Desk()
    pending(desk, "R-1")
    bad = Finding(line=2, outcome=LineOutcome.INVALID, reason="date: a date looks like 2026-01-31")
    assert settled(desk, line(1, "R-1"), bad)[1] == bad
    statement = desk.uow().read(Statement, desk.claims["statement", SHA] or "")
    counts = {name: count for name, count in statement.summary.items() if count}
    assert counts == {"id": statement.id, "lines": 2, "matched": 1, "invalid": 1}
    assert desk.replayed() == desk.streams


def test_money_that_matches_beyond_the_debt_becomes_credit() -> None:
    desk = Desk()
    pending(desk, "R-1", 80)
    settled(desk, line(1, "R-1", "80"))
    assert desk.uow().read(User, desk.ada).credit_balance == 80
    assert sum(desk.journal().values()) == 0


def test_the_statement_says_who_began_it() -> None:
    desk = Desk()
    actor = replace(SYSTEM, type="admin", id=UUID(int=7))
    desk.run(begin(SHA), actor)
    statement = desk.uow().read(Statement, desk.claims["statement", SHA] or "")
    assert statement.created_by == UUID(int=7)


@pytest.mark.parametrize("amount", ["1e3", "-5", "5.", "", " 5", "٥", 5, None])
def test_what_is_no_amount_makes_a_line_invalid(amount: object) -> None:
    fields = line(1, "R-1").model_dump() | {"amount": amount}
    with pytest.raises(ValidationError, match="an amount looks like"):
        StatementLine.model_validate(fields)
