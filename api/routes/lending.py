"""The routes of lending: users, loan products and loans."""

from collections.abc import Iterable

from api.context import Context
from api.pipeline.routes import AnyRoute, CommandRequest, List, One, Resource
from projections.lending import LoanProductRow, LoanRow, UserRow
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending import loan_requests as requests
from rim_ledger.lending import product_commands as products
from rim_ledger.lending import user_commands as users
from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.disbursement import DisburseLoan, SettleDisbursement
from rim_ledger.lending.dispute import ResolveDispute
from rim_ledger.lending.lateness import MarkDefaulted, ReverseDefault
from rim_ledger.lending.reschedule import RescheduleLoan
from rim_ledger.lending.separation import BorrowerCommand
from rim_ledger.lending.user import User
from rim_ledger.lending.write_off import UndoWriteOff, WriteOffLoan


async def send_airtime(context: Context, _: CommandRequest, receipt: Receipt) -> Receipt:
    """Send the airtime, now that the request for it is committed."""
    return receipt if receipt.replayed else await context.dispatch.disburse(receipt)


class SwitchAutoLimit(BorrowerCommand[User]):
    """Let the policy move the limit, or leave it where it is."""

    enabled: bool

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        command = users.EnableAutoLimit() if self.enabled else users.DisableAutoLimit()
        return command.decide(aggregate, uow)


of_users = Resource("/v1/users", UserRow, "users")
of_products = Resource("/v1/loan-products", LoanProductRow, "loan_products", own=True)
of_loans = Resource("/v1/loans", LoanRow, "loans", own=True)

ROUTES: list[AnyRoute] = [
    List("/v1/users", UserRow, ("users", "read"), "List users"),
    One("/v1/users/{id}", UserRow, ("users", "read"), "One of the users", own=True),
    of_users("POST", users.RegisterUser, "Register a user"),
    of_users("PATCH /{id}", users.ChangeContact, "Change name, phone or e-mail"),
    of_users("POST /{id}/suspend", users.SuspendUser, "Suspend"),
    of_users("POST /{id}/reinstate", users.ReinstateUser, "Reinstate"),
    of_users("POST /{id}/deactivate", users.DeactivateUser, "Deactivate"),
    of_users("POST /{id}/activate", users.ActivateUser, "Activate"),
    of_users("POST /{id}/credit-limit", users.SetCreditLimit, "Set the limit", "users.credit"),
    of_users("POST /{id}/credit-score", users.SetCreditScore, "Set the score", "users.credit"),
    of_users("POST /{id}/auto-limit", SwitchAutoLimit, "Switch the auto limit", "users.credit"),
    of_users("POST /{id}/erase", users.EraseUser, "Erase for ever", "erasure"),
    of_users("DELETE /{id}", users.DeleteUser, "Hide a user"),
    of_users("POST /{id}/verify-phone", users.VerifyPhone, "Verify the phone"),
    of_users.lists("/loans", LoanRow, "A user's loans", "user_id", "loans", own=True),
    *of_products.reads,
    of_products("POST", products.CreateLoanProduct, "Create a product"),
    of_products("PATCH /{id}", products.UpdateLoanProduct, "Change a product"),
    of_products("DELETE /{id}", products.ArchiveLoanProduct, "Archive a product"),
    *of_loans.reads,
    of_loans("POST", requests.RequestLoan, "Request a loan", own=True),
    of_loans("PATCH /{id}", requests.SetLoanMetadata, "Replace the free fields"),
    of_loans("POST /{id}/approve", requests.ApproveLoan, "Approve", "loans.approval"),
    of_loans("POST /{id}/reject", requests.RejectLoan, "Reject", "loans.approval"),
    of_loans("POST /{id}/revoke-approval", requests.RevokeApproval, "Revoke", "loans.approval"),
    of_loans(
        "POST /{id}/disburse",
        DisburseLoan,
        "Disburse",
        "loans.disbursement",
        after=send_airtime,
        alone=True,
    ),
    of_loans(
        "POST /{id}/settle",
        SettleDisbursement,
        "Settle a disbursement of unknown outcome",
        "loans.disbursement",
    ),
    of_loans(
        "POST /{id}/resolve-dispute",
        ResolveDispute,
        "Say what became of airtime in dispute",
        "loans.disbursement",
    ),
    of_loans("POST /{id}/charge-fee", ChargeFee, "Charge a fee", "loans.fees"),
    of_loans("POST /{id}/waive-charges", WaiveCharges, "Waive charges", "loans.waiver"),
    of_loans("POST /{id}/write-off", WriteOffLoan, "Write off", "loans.writeoff"),
    of_loans("POST /{id}/undo-write-off", UndoWriteOff, "Undo a write-off", "loans.writeoff"),
    of_loans("POST /{id}/reschedule", RescheduleLoan, "Reschedule", "loans.reschedule"),
    of_loans("POST /{id}/default", MarkDefaulted, "Give up", "loans.default"),
    of_loans("POST /{id}/reverse-default", ReverseDefault, "Take back", "loans.default"),
]
