"""The journal: postings of each event in double entry. Amounts are naira.

An entry follows from one event and the object's state before and after, so it can be made again at
any time. The whole fee of a loan is income on the day of disbursement, by the lender's policy.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Struct
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from projections.event_names import EventName
from projections.tables.columns import (
    Indexed,
    Key,
    Lookup,
    Moment,
    Naira,
    Read,
    References,
    Sql,
    Unique,
)
from projections.tables.embedded import PostedLine
from projections.tables.table import RelatedFilter, row_of
from rim_ledger.engine.aggregate import Aggregate, Event
from rim_ledger.lending.airtime_float import (
    AirtimeFloat,
    FloatAdjusted,
    FloatOpened,
    FloatToppedUp,
)
from rim_ledger.lending.attempt import (
    Airtime,
    Attempt,
    DisputeOutcome,
    LoanDisbursed,
    LoanDisbursementDisputed,
    LoanDisbursementFailed,
    LoanDisbursementRequested,
    LoanDisbursementReversed,
    LoanDisputeResolved,
)
from rim_ledger.lending.loan import Loan, LoanRepaid, LoanRepaymentReversed, LoanStatus
from rim_ledger.lending.owed import Charges
from rim_ledger.lending.repayment_shares import share_of
from rim_ledger.lending.restatement import (
    LoanChargesWaived,
    LoanFeeCharged,
    LoanWriteOffUndone,
    LoanWrittenOff,
)
from rim_ledger.lending.user import CreditRefunded
from rim_ledger.payments.settlement import SettlementRecorded
from rim_ledger.payments.transaction import (
    Transaction,
    TransactionCompleted,
    TransactionFailed,
    TransactionRefunded,
    TransactionReversed,
    TransactionStatus,
    TransactionType,
)
from rim_ledger.values import ZERO, Network

ACCOUNTS: Final = {
    "1100": "Airtime float",
    "1150": "Airtime in transit",
    "1190": "Airtime in dispute",
    "1200": "Loans receivable",
    "1210": "Interest receivable",
    "1220": "Fees receivable",
    "1290": "Loan loss allowance",
    "1300": "Cash clearing",
    "1310": "Bank",
    "2100": "Unallocated receipts",
    "2110": "Customer credit",
    "2120": "Refunds payable",
    "2300": "VAT payable",
    "4100": "Interest income",
    "4110": "Late fees",
    "4200": "Recoveries",
    "4300": "Airtime margin",
    "5100": "Impairment",
    "5200": "Airtime lost",
    "5210": "Provider fees",
    "5300": "Differences",
    "5400": "Waivers",
    "5500": "Write-offs",
}
"""Accounts by number; a network, provider or payment method may follow after a dot."""


def _account(text: str) -> str:
    if text.partition(".")[0] not in ACCOUNTS:
        raise PydanticCustomError("unknown", "an account looks like 1200 or 1200.MTN")
    return text


Account = Annotated[str, AfterValidator(_account)]
"""An account by number, or a sub-account."""


class Posting(Struct, frozen=True, gc=False):
    """An amount on an account: positive is debit, negative is credit."""

    account: str
    debit: Decimal
    since: datetime | None = None
    """When it becomes effective (UTC), if not at the event's time."""

    @property
    def shown(self) -> Any:
        """The line as JSON."""
        debit, credit = max(self.debit, ZERO), max(-self.debit, ZERO)
        return {"account": self.account, "debit": debit, "credit": credit}


HAS_ACCOUNT: Final = (
    "EXISTS (SELECT FROM read.journal_lines l WHERE l.entry_id = t.id"
    " AND ARRAY[l.account, split_part(l.account, '.', 1)] && %s::text[])"
)


class JournalEntry(Struct, frozen=True, kw_only=True, gc=False):
    """An entry of the journal: its lines sum to zero, and `id` is the event's behind it."""

    id: Key
    position: Annotated[int, Unique]
    at: Annotated[Moment, Indexed]
    event: Annotated[str, Lookup, Read(EventName)]
    loan_id: Annotated[UUID | None, Lookup, References("loans")]
    transaction_id: Annotated[UUID | None, Lookup, References("transactions")]
    user_id: Annotated[UUID | None, Indexed, References("users")]
    lines: Annotated[list[PostedLine], Sql("json")]
    version: int


JournalEntryRow = row_of(
    JournalEntry,
    table="journal_entries",
    newest="at",
    related={"account": RelatedFilter(HAS_ACCOUNT, Account)},
)


class JournalLine(Struct, frozen=True, kw_only=True, gc=False):
    """One line of an entry. The trial balance is their sum by account. It counts from
    `effective_at` on in business time, which may be `approximate`, as an event of the object does
    not say when it counts from."""

    id: Key
    entry_id: Annotated[UUID, Lookup, References("journal_entries")]
    position: Annotated[int, Lookup]
    recorded_at: Moment
    effective_at: Moment
    approximate: Annotated[bool, Indexed]
    account: Annotated[str, Lookup, Read(Account)]
    debit: Naira
    credit: Naira
    version: int


JournalLineRow = row_of(JournalLine, table="journal_lines", newest="recorded_at")


def postings(event: Event, before: Aggregate | None, after: Aggregate) -> list[Posting]:
    """The lines of an event's entry: none is zero, and their sum is."""
    return [line for line in _lines(event, before, after) if line.debit]


def _lines(event: Event, before: Any, after: Any) -> Iterator[Posting]:
    match event, after:
        case _, Loan():
            yield from _of_loan(event, before, after)
        case _, Transaction():
            yield from _of_transaction(event, before, after)
        case _, AirtimeFloat():
            yield from _of_float(event, after)
        case SettlementRecorded(), _:
            yield Posting("1310", event.gross - event.fee)
            yield Posting("5210", event.fee)
            yield Posting(f"1300.{event.provider}", -event.gross)
        case CreditRefunded(), _:
            yield from _move(event.amount, "2110", f"1300.{event.payment_method}")


def _of_loan(event: Event, before: Loan | None, after: Loan) -> Iterator[Posting]:
    lent = f"1200.{after.network}"
    match event:
        case LoanWrittenOff():
            yield from _written_off(event, before, lent, 1)
        case LoanWriteOffUndone():
            yield from _written_off(event, after, lent, -1)
        case LoanRepaid() | LoanRepaymentReversed():
            yield from _of_money(event, before, lent)
            yield from _impaired(before, after)
        case LoanFeeCharged():
            yield from _move(event.amount, "1220", "4110")
            yield from _impaired(before, after)
        case LoanChargesWaived():
            yield from _waived(event.charges, 1)
            yield from _impaired(before, after)
        case _:
            yield from _of_airtime(event, before, after, lent)
            yield from _impaired(before, after)


def _of_money(
    event: LoanRepaid | LoanRepaymentReversed, before: Loan | None, lent: str
) -> Iterator[Posting]:
    """Money on a loan; on one that was written off it is a recovery, and money of before that is
    reversed is lost as well."""
    source = "2110" if event.transaction_id is None else "2100"
    sign = 1 if isinstance(event, LoanRepaid) else -1
    yield Posting(source, sign * event.amount)
    if before is None or before.written_off_at is None:
        yield Posting("1220", -sign * event.fee)
        yield Posting("1210", -sign * event.interest)
        yield Posting(lent, -sign * event.principal)
    elif isinstance(event, LoanRepaid):
        yield Posting("4200", -event.amount)
    else:
        recovered = min(event.amount, share_of(before.recovered, event.transaction_id))
        yield Posting("4200", recovered)
        yield Posting("5100", event.amount - recovered)


def _impaired(before: Loan | None, after: Loan) -> Iterator[Posting]:
    """Changes of the provision for a loan, each with its effective time."""
    old, new = _set_aside(before), _set_aside(after)
    for since in sorted(old.keys() | new.keys()):
        more = new.get(since, ZERO) - old.get(since, ZERO)
        yield from _move(max(more, ZERO), "5100", "1290", since)
        yield from _move(max(-more, ZERO), "1290", "5100", since)


def _set_aside(loan: Loan | None) -> Mapping[datetime, Decimal]:
    """The provision for a loan in naira, as changes by effective time: the amount outstanding at
    default, less later payments; nothing after a write-off."""
    steps = defaultdict[datetime, Decimal](Decimal)
    if loan is None or loan.written_off_at:
        return steps
    if loan.defaulted_at and loan.status in (LoanStatus.DEFAULTED, LoanStatus.COMPLETED):
        since = max(loan.defaulted_at, loan.disbursed_at or loan.defaulted_at)
        steps[since] = loan.amount_due
        for share in loan.shares.values():
            steps[max(since, share.at)] -= share.amount
    return steps


def _of_airtime(event: Event, before: Loan | None, after: Loan, lent: str) -> Iterator[Posting]:
    network = after.network
    match event:
        case LoanDisbursementRequested():
            yield from _move(event.reserved, f"1150.{network}", f"1100.{network}")
        case LoanDisbursementFailed() if before and (failed := before.attempt(event.reference)):
            yield from _move(failed.reserved, f"1100.{network}", f"1150.{network}")
        case LoanDisbursed():
            yield from _disbursed(after, lent, _held_by(event.reference, before, network), 1)
        case LoanDisbursementReversed() if before:
            yield from _disbursed(before, lent, _held_by(event.reference, before, network), -1)
            yield from _move(before.fees_charged, "4110", "1220")
            yield from _waived(before.waived, -1)
        case LoanDisbursementDisputed():
            there = _held_by(event.reference, before, network)
            yield from _move(after.airtime, "1190", there)
        case LoanDisputeResolved():
            gone = event.outcome is DisputeOutcome.LOST
            back = _float_of(after.attempt(event.reference), network)
            yield from _move(after.airtime, "5200" if gone else back, "1190")


def _disbursed(loan: Loan, lent: str, airtime: str, sign: int) -> Iterator[Posting]:
    yield Posting(lent, sign * loan.amount)
    yield Posting("1210", sign * loan.interest)
    yield Posting(airtime, -sign * loan.airtime)
    yield Posting("4100", -sign * (loan.agreed_fee - loan.vat))
    yield Posting("2300", -sign * loan.vat)


def _held_by(reference: str, loan: Loan | None, network: Network) -> str:
    """The account that holds a top-up's airtime before it is owed, or once it is not any more."""
    attempt = loan.attempt(reference) if loan else None
    if attempt and attempt.airtime is Airtime.DISPUTED:
        return "1190"
    return f"1150.{network}" if attempt and attempt.reserved else _float_of(attempt, network)


def _float_of(attempt: Attempt | None, network: Network) -> str:
    """The account that airtime of a top-up is taken from, or returned to. What was bought before
    the float was tracked is not in it."""
    return "5300" if attempt and attempt.earlier else f"1100.{network}"


def _of_float(event: Event, after: AirtimeFloat) -> Iterator[Posting]:
    """Loans and sales post what moves a float; here is what else changes it."""
    float_ = f"1100.{after.network}"
    match event:
        case FloatToppedUp():
            yield Posting(float_, event.amount)
            yield Posting("1310", -event.cost)
            yield Posting("4300", event.cost - event.amount)
        case FloatAdjusted() | FloatOpened():
            yield from _move(event.amount, float_, "5300")


def _of_transaction(
    event: Event, before: Transaction | None, after: Transaction
) -> Iterator[Posting]:
    cash = f"1300.{after.source or 'other'}"
    match event:
        case TransactionCompleted() if after.type is TransactionType.REPAYMENT:
            yield from _move(after.amount, cash, "2100")
            yield from _move(after.unallocated, "2100", "2110")
        case TransactionReversed() if after.type is TransactionType.REPAYMENT:
            yield from _move(after.amount, "2100", cash)
            yield from _move(after.unallocated, "2110", "2100")
        case TransactionCompleted() if not after.disburses:
            yield from _move(after.amount, cash, f"1100.{after.network}")
        case TransactionReversed() if not after.disburses:
            yield from _move(after.amount, f"1100.{after.network}", cash)
        case TransactionFailed() if event.funds_captured:
            yield from _move(after.amount, cash, "2120")
        case TransactionRefunded() if before and before.status is TransactionStatus.FAILED:
            yield from _move(after.amount, "2120", cash)


def _written_off(
    event: LoanWrittenOff | LoanWriteOffUndone, doubtful: Loan | None, lent: str, sign: int
) -> Iterator[Posting]:
    """The allowance bears what it holds for the doubtful loan, and the lender the rest."""
    held = sum(_set_aside(doubtful).values(), ZERO)
    yield Posting("1290", sign * held)
    yield Posting("5500", sign * (event.principal + event.interest + event.fee - held))
    yield Posting(lent, -sign * event.principal)
    yield Posting("1210", -sign * event.interest)
    yield Posting("1220", -sign * event.fee)


def _waived(charges: Charges, sign: int) -> Iterator[Posting]:
    yield Posting("5400", sign * charges.amount)
    yield Posting("1220", -sign * charges.fee)
    yield Posting("1210", -sign * charges.interest)


def _move(
    amount: Decimal, debit: str, credit: str, since: datetime | None = None
) -> Iterator[Posting]:
    yield Posting(debit, amount, since)
    yield Posting(credit, -amount, since)
