"""The floor: FastAPI checks the same bodies, decides nothing and keeps nothing."""

from uuid import UUID, uuid4

from fastapi import FastAPI

from .bodies import OpenLoan, Receipt, Repay

app = FastAPI()


@app.post("/seed/{users}", status_code=204)
async def seed(users: int) -> None:
    """Nothing to fill; here so that every peer starts alike."""


@app.post("/loans", status_code=201)
async def open_loan(body: OpenLoan) -> Receipt:
    return Receipt.model_construct(id=uuid4(), loan_id="LOAN-0", version=1)


@app.post("/loans/{loan_id}/repay", status_code=201)
async def repay(loan_id: UUID, body: Repay) -> Receipt:
    return Receipt.model_construct(id=loan_id, loan_id="LOAN-0", version=2)
