"""Users, loans and airtime floats as clients see them."""

from typing import Annotated, Final
from uuid import UUID

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
    NameText,
    Percent,
    Personal,
    PhoneText,
    Read,
    References,
    Sql,
    Tags,
    Unique,
    UniqueName,
    UniqueWhile,
    Words,
    free_fields,
)
from projections.tables.indexes import Index
from projections.tables.table import Row
from rim_ledger.lending.airtime_float import AirtimeFloat
from rim_ledger.lending.attempt import Disbursement
from rim_ledger.lending.fees import FeeMode
from rim_ledger.lending.loan import Loan, LoanStatus
from rim_ledger.lending.product import LoanProduct
from rim_ledger.lending.user import RepaymentStatus, User, UserStatus
from rim_ledger.values import Network

DECISION_CLEAR: Final = free_fields(
    "creditScore", "previousLoans", "autoApproved", "policy", "reasons"
)


class UserRow(Row, table="users", of=User, person="id"):
    """A borrower, with standing, score and limit."""

    id: Key
    user_id: Annotated[str, Unique]
    phone: Annotated[PhoneText | None, Lookup]
    email: Annotated[EmailText | None, Lookup]
    name: NameText | None
    credit_score: int
    repayment_status: RepaymentStatus
    total_repaid: Naira
    status: Annotated[UserStatus, Indexed]
    credit_limit: Naira
    auto_limit_enabled: bool
    total_loans: int
    credit_balance: Naira
    exposure: Naira
    opted_out: bool
    erased: bool
    deleted_at: Moment | None
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


OFFERED: Final = (
    "t.offered AND NOT t.archived AND EXISTS (SELECT FROM read.users u WHERE u.id = %s"
    " AND u.credit_score >= t.min_score AND u.credit_limit - u.exposure >= t.min_amount)"
)
"""The products that a borrower sees: `LoanProduct.is_offered_to` in SQL."""


class LoanProductRow(Row, table="loan_products", of=LoanProduct, borrowers=OFFERED):
    """A loan product: terms that loans take and keep. Borrowers see what is offered to them."""

    id: Key
    name: Annotated[UniqueName, UniqueWhile("NOT archived")]
    networks: Annotated[list[Network], Sql("text[]"), Read(Network)]
    min_amount: Naira
    max_amount: Naira
    interest_rate: Percent
    repayment_period: int
    fee_mode: FeeMode
    offered: Annotated[bool, Internal, Indexed]
    min_score: Annotated[int, Internal]
    archived: Annotated[bool, Internal, Indexed]
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class LoanRow(
    Row,
    table="loans",
    of=Loan,
    person="user_id",
    indexes=(Index(("status",), "due_date"),),
):
    """A loan, from its request to its end."""

    id: Key
    loan_id: Annotated[str, Unique]
    user_id: Annotated[UUID, Indexed, References("users")]
    user_phone: Annotated[PhoneText | None, Copied("users", "phone", by="user_id")]
    user_email: Annotated[EmailText | None, Copied("users", "email", by="user_id")]
    product_id: Annotated[UUID | None, Indexed, References("loan_products")]
    product_version: int | None
    amount: Naira
    status: Annotated[LoanStatus, Indexed]
    disbursement: Disbursement
    network: Annotated[Network, Indexed]
    interest_rate: Percent
    fee_mode: FeeMode
    repayment_period: int
    due_date: Annotated[Moment | None, Indexed]
    original_due_date: Moment | None
    rescheduled_count: int
    upfront_fee: Naira
    vat: Naira
    amount_due: Naira
    amount_paid: Naira
    outstanding_amount: Naira
    fees_charged: Naira
    fees_waived: Naira
    approved_at: Moment | None
    approved_by: Annotated[UUID | None, Internal, References("admin_users")]
    rejected_at: Moment | None
    rejected_by: Annotated[UUID | None, Internal, References("admin_users")]
    rejection_reason: Words | None
    disbursed_at: Annotated[Moment | None, Indexed]
    completed_at: Annotated[Moment | None, Indexed]
    defaulted_at: Annotated[Moment | None, Indexed]
    written_off_at: Annotated[Moment | None, Internal, Indexed]
    written_off_by: Annotated[UUID | None, Internal, References("admin_users")]
    written_off_amount: Annotated[Naira | None, Internal]
    telco_reference: str | None
    disputed: Annotated[bool, Internal, Indexed]
    disputes: Annotated[Tags, Internal]
    metadata: Annotated[FreeFields, Internal, Personal, DECISION_CLEAR]
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class FloatRow(Row, table="floats", of=AirtimeFloat):
    """The airtime float of a tracked network: what was bought and not yet sent."""

    id: Key
    network: Annotated[Network, Unique]
    balance: Naira
    low: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment
