"""The routes of payments: transactions."""

from api.pipeline.routes import AnyRoute, Resource
from api.routes.lending import of_loans, of_users
from projections.payments import TransactionRow
from rim_ledger.payments import payment_commands as payments
from rim_ledger.payments import reversal

REFUND, RECONCILIATION = "transactions.refund", "transactions.reconciliation"

of_transactions = Resource("/v1/transactions", TransactionRow, "transactions", own=True)

ROUTES: list[AnyRoute] = [
    *of_transactions.reads,
    of_users.lists(
        "/transactions",
        TransactionRow,
        "A user's transactions",
        "user_id",
        "transactions",
        own=True,
    ),
    of_transactions("POST", payments.RecordTransaction, "Record a payment"),
    of_transactions("POST /{id}/complete", payments.CompleteTransaction, "Complete"),
    of_transactions("POST /{id}/fail", payments.FailTransaction, "Fail"),
    of_transactions("POST /{id}/notes", payments.AddNote, "Add a note"),
    of_transactions("POST /{id}/refund", reversal.RefundTransaction, "Give back", REFUND),
    of_transactions(
        "POST /{id}/reverse", reversal.ReverseTransaction, "Undo", "transactions.reversal"
    ),
    of_transactions("POST /{id}/reconcile", reversal.Reconcile, "Reconcile", RECONCILIATION),
    of_transactions(
        "POST /{id}/undo-reconciliation",
        reversal.UndoReconciliation,
        "Reconcile no more",
        RECONCILIATION,
    ),
    of_users("POST /{id}/refund-credit", reversal.RefundCredit, "Pay credit back", REFUND),
    of_loans(
        "POST /{id}/reverse-disbursement",
        reversal.ReverseDisbursement,
        "Take a disbursement back",
        "loans.disbursement",
    ),
]
