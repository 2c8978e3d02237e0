"""The plain way: FastAPI, SQLAlchemy and asyncpg, rows updated in place and an audit row beside."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict, PlainSerializer
from pydantic.alias_generators import to_camel
from sqlalchemy import insert, make_url, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from .bodies import OpenLoan, Receipt, Repay, user_id
from .tables import AuditLog, Loan, Table, Transaction, User, now

# A pool as large as the load's 64 connections: smaller ones gave the same rate, with longer tails.
engine = create_async_engine(
    make_url(os.environ["DATABASE_URL"]).set(drivername="postgresql+asyncpg"),
    pool_size=int(os.environ.get("POOL_SIZE", "64")),
    max_overflow=0,
    connect_args={"server_settings": {"synchronous_commit": "on"}},
)
sessions = async_sessionmaker(engine, expire_on_commit=False)

Money = Annotated[Decimal, PlainSerializer(float, when_used="json")]


class LoanAnswer(BaseModel):
    model_config = ConfigDict(from_attributes=True, alias_generator=to_camel, populate_by_name=True)

    id: UUID
    loan_id: str
    user_id: UUID
    amount: Money
    status: str
    network: str
    interest_rate: Money
    repayment_period: int
    due_date: datetime
    amount_due: Money
    amount_paid: Money
    outstanding: Money
    created_at: datetime
    updated_at: datetime
    version: int


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Table.metadata.create_all)
    yield
    await engine.dispose()


async def session_of_request() -> AsyncIterator[AsyncSession]:
    async with sessions() as session:
        yield session


app = FastAPI(lifespan=lifespan)
Session = Annotated[AsyncSession, Depends(session_of_request)]


def audit(action: str, entity: str, entity_id: UUID, user: User, **changes: Any) -> AuditLog:
    return AuditLog(
        action=action, entity=entity, entity_id=entity_id, user_id=user.id, changes=changes
    )


def change(old: object, new: object) -> dict[str, str]:
    return {"old": str(old), "new": str(new)}


@app.post("/seed/{users}", status_code=204)
async def seed(users: int, session: Session) -> None:
    rows = [
        {
            "id": user_id(number),
            "user_id": f"USR-{number:06}",
            "phone": f"+234803{number:07}",
            "email": f"user{number}@example.com",
            "credit_limit": Decimal(1_000_000),
        }
        for number in range(users)
    ]
    await session.execute(insert(User), rows)
    await session.commit()


@app.post("/loans", status_code=201)
async def open_loan(body: OpenLoan, session: Session) -> Receipt:
    user = await session.get(User, body.user_id, with_for_update=True)
    if user is None:
        raise HTTPException(404, "no such user")
    if user.status != "active":
        raise HTTPException(409, "only an active user borrows")
    if body.amount > user.credit_limit - user.exposure:
        raise HTTPException(409, "the amount exceeds the credit limit")
    loan = Loan(
        id=uuid4(),
        user_id=user.id,
        user_phone=user.phone,
        amount=body.amount,
        network=body.network,
        interest_rate=body.interest_rate,
        repayment_period=body.repayment_period,
        due_date=now() + timedelta(days=body.repayment_period),
        amount_due=body.amount + body.fee,
    )
    user.exposure += body.amount
    user.total_loans += 1
    entry = audit(
        "create",
        "Loan",
        loan.id,
        user,
        amount=change(None, loan.amount),
        amountDue=change(None, loan.amount_due),
        status=change(None, "disbursed"),
    )
    session.add_all([loan, entry])
    await session.commit()
    return Receipt.model_construct(id=loan.id, loan_id=loan.loan_id, version=loan.version)


@app.post("/loans/{loan_id}/repay")
async def repay(loan_id: UUID, body: Repay, session: Session) -> Receipt:
    found = await session.execute(
        select(Loan, User)
        .join(User, Loan.user_id == User.id)
        .where(Loan.id == loan_id)
        .with_for_update()
    )
    row = found.one_or_none()
    if row is None:
        raise HTTPException(404, "no such loan")
    loan, user = row.tuple()
    if body.amount > loan.outstanding:
        raise HTTPException(409, "the amount exceeds what is outstanding")
    paid, status, principal = loan.amount_paid, loan.status, loan.outstanding_principal
    loan.amount_paid += body.amount
    loan.status = "repaying" if loan.outstanding else "completed"
    loan.completed_at = None if loan.outstanding else now()
    loan.version += 1
    user.total_repaid += body.amount
    user.exposure -= principal - loan.outstanding_principal
    transaction = Transaction(
        id=uuid4(),
        user_id=user.id,
        loan_id=loan.id,
        user_phone=user.phone,
        type="repayment",
        amount=body.amount,
        payment_method=body.payment_method,
    )
    entries = [
        audit("create", "Transaction", transaction.id, user, amount=change(None, body.amount)),
        audit(
            "update",
            "Loan",
            loan.id,
            user,
            amountPaid=change(paid, loan.amount_paid),
            status=change(status, loan.status),
        ),
    ]
    session.add_all([transaction, *entries])
    await session.commit()
    return Receipt.model_construct(id=loan.id, loan_id=loan.loan_id, version=loan.version)


@app.get("/loans/{loan_id}")
async def read_loan(loan_id: UUID, session: Session) -> LoanAnswer:
    loan = await session.get(Loan, loan_id)
    if loan is None:
        raise HTTPException(404, "no such loan")
    return LoanAnswer.model_validate(loan)


@app.get("/loans")
async def list_loans(
    session: Session,
    user: Annotated[UUID, Query(alias="userId")],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: UUID | None = None,
) -> list[LoanAnswer]:
    """Newest first; `before` is the last id of the page before."""
    query = select(Loan).where(Loan.user_id == user).limit(limit)
    if before is not None:
        last = select(Loan.created_at, Loan.id).where(Loan.id == before).scalar_subquery()
        query = query.where(tuple_(Loan.created_at, Loan.id) < last)
    found = await session.scalars(query.order_by(Loan.created_at.desc(), Loan.id.desc()))
    return [LoanAnswer.model_validate(loan) for loan in found]
