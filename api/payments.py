"""The routes of payments: transactions."""

from api.lending import ONE_USER
from api.routes import AnyRoute, List, Route, resource
from projections.lending import UserRow
from projections.payments import TransactionRow
from rim_ledger.payments.payment import (
    AddNote,
    CompleteTransaction,
    FailTransaction,
    RecordTransaction,
)
from rim_ledger.payments.transaction import Transaction

TRANSACTIONS, ONE = "/v1/transactions", "/v1/transactions/{id}"
READ, WRITE = ("transactions", "read"), ("transactions", "write")

ROUTES: list[AnyRoute] = [
    *resource(TRANSACTIONS, TransactionRow, "transactions"),
    List(
        ONE_USER + "/transactions",
        TransactionRow,
        READ,
        "A user's transactions",
        ("user_id", UserRow),
    ),
    Route("POST", TRANSACTIONS, Transaction, RecordTransaction, WRITE, "Record a payment"),
    Route("POST", ONE + "/complete", Transaction, CompleteTransaction, WRITE, "Complete"),
    Route("POST", ONE + "/fail", Transaction, FailTransaction, WRITE, "Fail"),
    Route("POST", ONE + "/notes", Transaction, AddNote, WRITE, "Add a note"),
]
