"""The routes of payments: transactions."""

from api.pipeline.routes import AnyRoute, List, Route, resource
from api.routes.lending import DISBURSEMENT, ONE_LOAN, ONE_USER
from projections.lending import UserRow
from projections.payments import TransactionRow
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.user import User
from rim_ledger.payments.payment_commands import (
    AddNote,
    CompleteTransaction,
    FailTransaction,
    RecordTransaction,
)
from rim_ledger.payments.reversal import (
    Reconcile,
    RefundCredit,
    RefundTransaction,
    ReverseDisbursement,
    ReverseTransaction,
    UndoReconciliation,
)
from rim_ledger.payments.transaction import Transaction

TRANSACTIONS, ONE = "/v1/transactions", "/v1/transactions/{id}"
READ, WRITE = ("transactions", "read"), ("transactions", "write")
REFUND, REVERSAL = ("transactions.refund", "write"), ("transactions.reversal", "write")
RECONCILIATION = ("transactions.reconciliation", "write")

ROUTES: list[AnyRoute] = [
    *resource(TRANSACTIONS, TransactionRow, "transactions", own=True),
    List(
        ONE_USER + "/transactions",
        TransactionRow,
        READ,
        "A user's transactions",
        ("user_id", UserRow),
        own=True,
    ),
    Route("POST", TRANSACTIONS, Transaction, RecordTransaction, WRITE, "Record a payment"),
    Route("POST", ONE + "/complete", Transaction, CompleteTransaction, WRITE, "Complete"),
    Route("POST", ONE + "/fail", Transaction, FailTransaction, WRITE, "Fail"),
    Route("POST", ONE + "/notes", Transaction, AddNote, WRITE, "Add a note"),
    Route("POST", ONE + "/refund", Transaction, RefundTransaction, REFUND, "Give back"),
    Route("POST", ONE + "/reverse", Transaction, ReverseTransaction, REVERSAL, "Undo"),
    Route("POST", ONE + "/reconcile", Transaction, Reconcile, RECONCILIATION, "Reconcile"),
    Route(
        "POST",
        ONE + "/undo-reconciliation",
        Transaction,
        UndoReconciliation,
        RECONCILIATION,
        "Reconcile no more",
    ),
    Route("POST", ONE_USER + "/refund-credit", User, RefundCredit, REFUND, "Pay credit back"),
    Route(
        "POST",
        ONE_LOAN + "/reverse-disbursement",
        Loan,
        ReverseDisbursement,
        DISBURSEMENT,
        "Take a disbursement back",
    ),
]
