"""The stock eventsourcing library: mutable aggregates, its own PostgreSQL recorder, thread pool."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from eventsourcing.application import AggregateNotFoundError, Application
from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import IntegrityError
from eventsourcing.utils import retry
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from psycopg.conninfo import conninfo_to_dict

from .bodies import OpenLoan, Receipt, Repay, user_id

# 40 connections gain about 4 % but crowd a server of 100; the aggregate cache gains nothing.
server = conninfo_to_dict(os.environ["DATABASE_URL"])
# The library knows no passfile.
passfile = server.get("passfile")
kept = Path(str(passfile)).read_text().rstrip().rpartition(":")[2] if passfile else ""
password = str(server.get("password", kept))
STORE = {
    "PERSISTENCE_MODULE": "eventsourcing.postgres",
    "POSTGRES_DBNAME": str(server["dbname"]),
    "POSTGRES_HOST": str(server.get("host", "127.0.0.1")),
    "POSTGRES_PORT": str(server.get("port", 5432)),
    "POSTGRES_USER": str(server.get("user", "postgres")),
    "POSTGRES_PASSWORD": password,
    "POSTGRES_POOL_SIZE": os.environ.get("POOL_SIZE", "10"),
    "POSTGRES_MAX_OVERFLOW": os.environ.get("MAX_OVERFLOW", "0"),
}


class Refusal(Exception):
    """A rule said no."""


class User(Aggregate):
    @event("Registered")
    def __init__(self, user_id: UUID, phone: str, credit_limit: Decimal) -> None:
        self.phone = phone
        self.credit_limit = credit_limit
        self.status = "active"
        self.exposure = Decimal(0)
        self.total_repaid = Decimal(0)
        self.total_loans = 0

    @staticmethod
    def create_id(user_id: UUID) -> UUID:
        return user_id

    def borrow(self, amount: Decimal) -> None:
        if self.status != "active":
            raise Refusal("only an active user borrows")
        if amount > self.credit_limit - self.exposure:
            raise Refusal("the amount exceeds the credit limit")
        self._borrowed(amount)

    @event("Borrowed")
    def _borrowed(self, amount: Decimal) -> None:
        self.exposure += amount
        self.total_loans += 1

    @event("Repaid")
    def repaid(self, amount: Decimal, principal: Decimal) -> None:
        self.total_repaid += amount
        self.exposure -= principal


class Loan(Aggregate):
    @event("Opened")
    def __init__(
        self,
        user_id: UUID,
        amount: Decimal,
        network: str,
        repayment_period: int,
        interest_rate: Decimal,
        amount_due: Decimal,
    ) -> None:
        self.user_id = user_id
        self.amount = amount
        self.network = network
        self.repayment_period = repayment_period
        self.interest_rate = interest_rate
        self.amount_due = amount_due
        self.amount_paid = Decimal(0)
        self.status = "disbursed"

    @property
    def outstanding(self) -> Decimal:
        return self.amount_due - self.amount_paid

    @property
    def outstanding_principal(self) -> Decimal:
        return min(self.amount, self.outstanding)

    def repay(self, amount: Decimal, payment_method: str) -> None:
        if amount > self.outstanding:
            raise Refusal("the amount exceeds what is outstanding")
        self._repaid(amount, payment_method)

    @event("Repaid")
    def _repaid(self, amount: Decimal, payment_method: str) -> None:
        self.amount_paid += amount
        self.status = "repaying" if self.outstanding else "completed"


class Lending(Application[UUID]):
    def register(self, users: int) -> None:
        for first in range(0, users, 500):
            self.save(
                *(
                    User(user_id(number), f"+234803{number:07}", Decimal(1_000_000))
                    for number in range(first, min(first + 500, users))
                )
            )

    @retry(IntegrityError, max_attempts=10, wait=0.005)
    def open_loan(self, body: OpenLoan) -> Loan:
        user: User = self.repository.get(body.user_id)
        user.borrow(body.amount)
        loan = Loan(**body.model_dump(), amount_due=body.amount + body.fee)
        self.save(loan, user)
        return loan

    @retry(IntegrityError, max_attempts=10, wait=0.005)
    def repay(self, loan_id: UUID, body: Repay) -> Loan:
        loan: Aggregate = self.repository.get(loan_id)
        if not isinstance(loan, Loan):
            raise AggregateNotFoundError("no such loan")
        user: User = self.repository.get(loan.user_id)
        principal = loan.outstanding_principal
        loan.repay(body.amount, body.payment_method)
        user.repaid(body.amount, principal - loan.outstanding_principal)
        self.save(loan, user)
        return loan


lending = Lending(env=STORE)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    lending.close()


app = FastAPI(lifespan=lifespan)


@app.exception_handler(Refusal)
async def refused(_: Request, why: Refusal) -> JSONResponse:
    return JSONResponse({"detail": str(why)}, 409)


@app.exception_handler(AggregateNotFoundError)
async def not_found(_: Request, why: AggregateNotFoundError) -> JSONResponse:
    return JSONResponse({"detail": str(why)}, 404)


@app.exception_handler(IntegrityError)
async def overtaken(_: Request, why: IntegrityError) -> JSONResponse:
    return JSONResponse({"detail": "others were always faster"}, 409)


@app.post("/seed/{users}", status_code=204)
def seed(users: int) -> None:
    lending.register(users)


def receipt(loan: Loan) -> Receipt:
    return Receipt.model_construct(id=loan.id, loan_id=f"LOAN-{loan.id}", version=loan.version)


@app.post("/loans", status_code=201)
def open_loan(body: OpenLoan) -> Receipt:
    return receipt(lending.open_loan(body))


@app.post("/loans/{loan_id}/repay")
def repay(loan_id: UUID, body: Repay) -> Receipt:
    return receipt(lending.repay(loan_id, body))
