"""Transactions as clients see them."""

from typing import Annotated
from uuid import UUID

from projections.columns import (
    Copied,
    EmailText,
    Indexed,
    Json,
    Key,
    Moment,
    Naira,
    Personal,
    PhoneText,
    References,
    Unique,
    Words,
    free_fields,
)
from projections.tables import Row
from rim_ledger.payments.transaction import (
    PaymentMethod,
    Transaction,
    TransactionStatus,
    TransactionType,
)
from rim_ledger.values import Network


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
    reference: Annotated[str | None, Indexed]
    provider: str | None
    network: Network | None
    loan_id: Annotated[UUID | None, Indexed, References("loans")]
    allocations: Json
    unallocated: Naira
    failure_reason: Words | None
    occurred_at: Moment
    quarantine: Annotated[bool, Indexed]
    provider_claim: Json
    reconciled_at: Moment | None
    reconciled_by: Annotated[UUID | None, References("admin_users")]
    notes: Words | None
    metadata: Annotated[Json, Personal, free_fields()]
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment
