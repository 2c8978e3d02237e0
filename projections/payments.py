"""Transactions, statements and settlements as clients see them."""

from collections.abc import Iterator
from typing import Annotated, Any
from uuid import UUID

from msgspec import Struct
from pydantic import AfterValidator, Field

from projections.tables.columns import (
    Copied,
    EmailText,
    FreeFields,
    Indexed,
    Internal,
    Key,
    Lookup,
    Moment,
    Naira,
    Personal,
    PhoneText,
    Read,
    References,
    Sql,
    Unique,
    Words,
    free_fields,
)
from projections.tables.embedded import Allocation, Differences, ProviderClaim
from projections.tables.indexes import Index
from projections.tables.table import Row, row_of
from rim_ledger.engine.aggregate import shared
from rim_ledger.payments.settlement import Settlement
from rim_ledger.payments.statement import Finding, LineOutcome, Statement, StatementLinesSettled
from rim_ledger.payments.transaction import (
    PaymentMethod,
    Transaction,
    TransactionStatus,
    TransactionType,
)
from rim_ledger.values import Name, Network, Reference

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$"), AfterValidator(str.lower)]


class TransactionRow(Row, table="transactions", of=Transaction, person="user_id"):
    """Money that moved: airtime sold or lent, or a repayment."""

    id: Key
    transaction_id: Annotated[str, Unique]
    user_id: Annotated[UUID, Indexed, References("users")]
    user_phone: Annotated[PhoneText | None, Copied("users", "phone", by="user_id")]
    user_email: Annotated[EmailText | None, Copied("users", "email", by="user_id")]
    type: Annotated[TransactionType, Indexed]
    amount: Naira
    status: Annotated[TransactionStatus, Indexed]
    payment_method: PaymentMethod | None
    description: Words | None
    reference: Annotated[str | None, Lookup, Read(Reference)]
    provider: str | None
    network: Network | None
    loan_id: Annotated[UUID | None, Lookup, References("loans")]
    allocations: Annotated[list[Allocation], Sql("json")]
    unallocated: Naira
    failure_reason: Words | None
    occurred_at: Annotated[Moment, Indexed]
    quarantine: Annotated[bool, Internal, Indexed]
    provider_claim: Annotated[ProviderClaim | None, Sql("json"), Internal]
    reconciled_at: Annotated[Moment | None, Internal]
    reconciled_by: Annotated[UUID | None, Internal, References("admin_users")]
    notes: Annotated[Words | None, Internal]
    metadata: Annotated[FreeFields, Internal, Personal, free_fields()]
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class StatementRow(Row, table="statements", of=Statement):
    """A provider's file: how many of its lines came to what. Its lines lie in a table beside."""

    id: Key
    sha256: Annotated[str, Unique, Read(Sha256)]
    lines: int
    matched: int
    mismatched: int
    unknown: int
    duplicate: int
    already_reconciled: int
    own_record: int
    refused: int
    invalid: int
    finished_at: Moment | None
    created_at: Annotated[Moment, Indexed]
    created_by: Annotated[UUID | None, References("admin_users")]
    updated_at: Moment


class SettlementRow(Row, table="settlements", of=Settlement):
    """A provider's payout: `net` of it reached the bank."""

    id: Key
    provider: Annotated[str, Indexed, Read(Name)]
    gross: Naira
    fee: Naira
    net: Naira
    reference: Annotated[str, Lookup, Read(Reference)]
    date: str
    statement_id: Annotated[UUID | None, Indexed, References("statements")]
    created_at: Annotated[Moment, Indexed]
    created_by: Annotated[UUID | None, References("admin_users")]
    updated_at: Moment


class StatementLine(Struct, frozen=True, kw_only=True, gc=False):
    """A line of a statement, what it came to, and what differs. Its narration is kept nowhere."""

    id: Key
    statement_id: Annotated[UUID, References("statements")]
    line: int
    outcome: Annotated[LineOutcome, Lookup]
    transaction_id: Annotated[UUID | None, Lookup, References("transactions")]
    date: str | None
    reference: Annotated[str | None, Lookup, Read(Reference)]
    amount: Naira | None
    provider: str | None
    differs: Annotated[Differences | None, Sql("json")]
    reason: str | None
    version: int


StatementLineRow = row_of(
    StatementLine,
    table="statement_lines",
    newest="line",
    together=("statement_id", "line"),
    indexes=(Index(("statement_id", "outcome"), "line"),),
)


def found_lines(
    statement: UUID, position: int, version: int, event: StatementLinesSettled
) -> Iterator[StatementLine]:
    """Yield the rows of the lines that one event settled."""
    for number, each in enumerate(event.findings, 1):
        yield StatementLine(
            **shared(StatementLine, each),
            id=UUID(int=position << 20 | number),  # unique by position and number
            statement_id=statement,
            differs=_differs(each),
            version=version,
        )


def _differs(found: Finding) -> Any:
    if found.expected is None:
        return None
    return {"amount": {"statement": found.amount, "transaction": found.expected}}
