"""The routes of lending: users and loans."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from api.pipeline.routes import AnyRoute, List, One, Route, resource
from projections.lending import LoanProductRow, LoanRow, UserRow
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.disbursement import DisburseLoan, SettleDisbursement
from rim_ledger.lending.dispute import ResolveDispute
from rim_ledger.lending.lateness import MarkDefaulted, ReverseDefault
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import (
    ApproveLoan,
    RejectLoan,
    RequestLoan,
    RevokeApproval,
    SetLoanMetadata,
)
from rim_ledger.lending.product import LoanProduct
from rim_ledger.lending.product_commands import (
    ArchiveLoanProduct,
    CreateLoanProduct,
    UpdateLoanProduct,
)
from rim_ledger.lending.reschedule import RescheduleLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import (
    ActivateUser,
    ChangeContact,
    DeactivateUser,
    DeleteUser,
    DisableAutoLimit,
    EnableAutoLimit,
    EraseUser,
    RegisterUser,
    ReinstateUser,
    SetCreditLimit,
    SetCreditScore,
    SuspendUser,
    VerifyPhone,
)
from rim_ledger.lending.write_off import UndoWriteOff, WriteOffLoan

if TYPE_CHECKING:
    from api.context import Context
    from api.pipeline.routes import CommandRequest


async def send_airtime(context: "Context", _: "CommandRequest", receipt: Receipt) -> Receipt:
    """Send the airtime, now that the request for it is committed."""
    return receipt if receipt.replayed else await context.dispatch.disburse(receipt)


class SwitchAutoLimit(Command[User]):
    """Let the policy move the limit, or leave it where it is."""

    enabled: bool

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        command = EnableAutoLimit() if self.enabled else DisableAutoLimit()
        return command.decide(aggregate, uow)


USERS, ONE_USER = "/v1/users", "/v1/users/{id}"
PRODUCTS, PRODUCT = "/v1/loan-products", "/v1/loan-products/{id}"
WRITE_PRODUCTS, DELETE_PRODUCTS = ("loan_products", "write"), ("loan_products", "delete")
LOANS, ONE_LOAN = "/v1/loans", "/v1/loans/{id}"
READ_USERS, WRITE_USERS = ("users", "read"), ("users", "write")
CREDIT = ("users.credit", "write")
WRITE_LOANS, APPROVAL = ("loans", "write"), ("loans.approval", "write")
DISBURSEMENT, DEFAULT = ("loans.disbursement", "write"), ("loans.default", "write")
FEES, WAIVER = ("loans.fees", "write"), ("loans.waiver", "write")
WRITE_OFF, RESCHEDULE = ("loans.writeoff", "write"), ("loans.reschedule", "write")

ROUTES: list[AnyRoute] = [
    List(USERS, UserRow, READ_USERS, "List users"),
    One(ONE_USER, UserRow, READ_USERS, "One of the users", own=True),
    Route("POST", USERS, User, RegisterUser, WRITE_USERS, "Register a user"),
    Route("PATCH", ONE_USER, User, ChangeContact, WRITE_USERS, "Change name, phone or e-mail"),
    Route("POST", ONE_USER + "/suspend", User, SuspendUser, WRITE_USERS, "Suspend"),
    Route("POST", ONE_USER + "/reinstate", User, ReinstateUser, WRITE_USERS, "Reinstate"),
    Route("POST", ONE_USER + "/deactivate", User, DeactivateUser, WRITE_USERS, "Deactivate"),
    Route("POST", ONE_USER + "/activate", User, ActivateUser, WRITE_USERS, "Activate"),
    Route("POST", ONE_USER + "/credit-limit", User, SetCreditLimit, CREDIT, "Set the limit"),
    Route("POST", ONE_USER + "/credit-score", User, SetCreditScore, CREDIT, "Set the score"),
    Route("POST", ONE_USER + "/auto-limit", User, SwitchAutoLimit, CREDIT, "Switch the auto limit"),
    Route("POST", ONE_USER + "/erase", User, EraseUser, ("erasure", "write"), "Erase for ever"),
    Route("DELETE", ONE_USER, User, DeleteUser, ("users", "delete"), "Hide a user"),
    Route("POST", ONE_USER + "/verify-phone", User, VerifyPhone, WRITE_USERS, "Verify the phone"),
    List(
        ONE_USER + "/loans",
        LoanRow,
        ("loans", "read"),
        "A user's loans",
        ("user_id", UserRow),
        own=True,
    ),
    *resource(PRODUCTS, LoanProductRow, "loan_products", own=True),
    Route("POST", PRODUCTS, LoanProduct, CreateLoanProduct, WRITE_PRODUCTS, "Create a product"),
    Route("PATCH", PRODUCT, LoanProduct, UpdateLoanProduct, WRITE_PRODUCTS, "Change a product"),
    Route("DELETE", PRODUCT, LoanProduct, ArchiveLoanProduct, DELETE_PRODUCTS, "Archive a product"),
    *resource(LOANS, LoanRow, "loans", own=True),
    Route("POST", LOANS, Loan, RequestLoan, WRITE_LOANS, "Request a loan", own=True),
    Route("PATCH", ONE_LOAN, Loan, SetLoanMetadata, WRITE_LOANS, "Replace the free fields"),
    Route("POST", ONE_LOAN + "/approve", Loan, ApproveLoan, APPROVAL, "Approve"),
    Route("POST", ONE_LOAN + "/reject", Loan, RejectLoan, APPROVAL, "Reject"),
    Route("POST", ONE_LOAN + "/revoke-approval", Loan, RevokeApproval, APPROVAL, "Revoke"),
    Route(
        "POST",
        ONE_LOAN + "/disburse",
        Loan,
        DisburseLoan,
        DISBURSEMENT,
        "Disburse",
        after=send_airtime,
        alone=True,
    ),
    Route(
        "POST",
        ONE_LOAN + "/settle",
        Loan,
        SettleDisbursement,
        DISBURSEMENT,
        "Settle a disbursement of unknown outcome",
    ),
    Route(
        "POST",
        ONE_LOAN + "/resolve-dispute",
        Loan,
        ResolveDispute,
        DISBURSEMENT,
        "Say what became of airtime in dispute",
    ),
    Route("POST", ONE_LOAN + "/charge-fee", Loan, ChargeFee, FEES, "Charge a fee"),
    Route("POST", ONE_LOAN + "/waive-charges", Loan, WaiveCharges, WAIVER, "Waive charges"),
    Route("POST", ONE_LOAN + "/write-off", Loan, WriteOffLoan, WRITE_OFF, "Write off"),
    Route("POST", ONE_LOAN + "/undo-write-off", Loan, UndoWriteOff, WRITE_OFF, "Undo a write-off"),
    Route("POST", ONE_LOAN + "/reschedule", Loan, RescheduleLoan, RESCHEDULE, "Reschedule"),
    Route("POST", ONE_LOAN + "/default", Loan, MarkDefaulted, DEFAULT, "Give up"),
    Route("POST", ONE_LOAN + "/reverse-default", Loan, ReverseDefault, DEFAULT, "Take back"),
]
