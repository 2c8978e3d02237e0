"""The tables of the CRUD peer, as SQLAlchemy models."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import DateTime, ForeignKey, Index, Numeric, Sequence, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

ZERO = Decimal(0)


def now() -> datetime:
    return datetime.now(UTC)


class Table(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        Decimal: Numeric(16, 2),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
    }


loan_number = Sequence("loan_number", metadata=Table.metadata, cache=50)
transaction_number = Sequence("transaction_number", metadata=Table.metadata, cache=50)


class User(Table):
    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(unique=True)
    phone: Mapped[str] = mapped_column(index=True)
    email: Mapped[str] = mapped_column(index=True)
    status: Mapped[str] = mapped_column(index=True, default="active")
    credit_limit: Mapped[Decimal]
    exposure: Mapped[Decimal] = mapped_column(default=ZERO)
    total_repaid: Mapped[Decimal] = mapped_column(default=ZERO)
    total_loans: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class Loan(Table):
    __tablename__ = "loans"
    __table_args__ = (Index("ix_loans_user_id", "user_id", "created_at", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    loan_id: Mapped[str] = mapped_column(
        unique=True,
        server_default=text("'LOAN-' || lpad(nextval('loan_number')::text, 6, '0')"),
    )
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    user_phone: Mapped[str]
    amount: Mapped[Decimal]
    status: Mapped[str] = mapped_column(index=True, default="disbursed")
    network: Mapped[str] = mapped_column(index=True)
    interest_rate: Mapped[Decimal] = mapped_column(Numeric(10, 6))
    repayment_period: Mapped[int]
    due_date: Mapped[datetime] = mapped_column(index=True)
    amount_due: Mapped[Decimal]
    amount_paid: Mapped[Decimal] = mapped_column(default=ZERO)
    version: Mapped[int] = mapped_column(default=1)
    completed_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(index=True, default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)

    @property
    def outstanding(self) -> Decimal:
        return self.amount_due - self.amount_paid

    @property
    def outstanding_principal(self) -> Decimal:
        """What is left of the amount lent, the fee being paid off first."""
        return min(self.amount, self.outstanding)


class Transaction(Table):
    __tablename__ = "transactions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    transaction_id: Mapped[str] = mapped_column(
        unique=True,
        server_default=text("'TXN-' || lpad(nextval('transaction_number')::text, 6, '0')"),
    )
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    loan_id: Mapped[UUID] = mapped_column(ForeignKey("loans.id"))
    user_phone: Mapped[str]
    type: Mapped[str] = mapped_column(index=True)
    amount: Mapped[Decimal]
    status: Mapped[str] = mapped_column(index=True, default="completed")
    payment_method: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(index=True, default=now)


class AuditLog(Table):
    __tablename__ = "audit_logs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    action: Mapped[str] = mapped_column(index=True)
    entity: Mapped[str] = mapped_column(index=True)
    entity_id: Mapped[UUID] = mapped_column(index=True)
    user_id: Mapped[UUID] = mapped_column(index=True)
    changes: Mapped[dict[str, Any]]
    timestamp: Mapped[datetime] = mapped_column(index=True, default=now)
