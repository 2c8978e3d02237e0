"""Conflict of interest: nobody decides about their own, whatever phone or e-mail it has by now."""

from typing import Any

import pytest

from api.routes.lending import SwitchAutoLimit
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.command import Command, perform
from rim_ledger.engine.refusals import Forbidden
from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.lateness import MarkDefaulted, ReverseDefault
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import (
    ApproveLoan,
    RejectLoan,
    RequestLoan,
    RevokeApproval,
    SetLoanMetadata,
)
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
from rim_ledger.values import Network
from tests.lending.desk import Desk

USER: list[Command[User]] = [
    ChangeContact(name="Ada Obi"),
    VerifyPhone(),
    SetCreditLimit(limit=9, reason="so"),  # type: ignore[arg-type]
    SetCreditScore(score=9, reason="so"),
    EnableAutoLimit(),
    DisableAutoLimit(),
    SwitchAutoLimit(enabled=False),
    SuspendUser(reason="so"),
    ReinstateUser(),
    DeactivateUser(),
    ActivateUser(),
    DeleteUser(),
    EraseUser(),
]
LOAN: list[Command[Loan]] = [
    ApproveLoan(),
    RejectLoan(reason="so"),
    RevokeApproval(reason="so"),
    DisburseLoan(),
    MarkDefaulted(reason="so"),
    ReverseDefault(reason="so"),
    ChargeFee(amount=1, reason="so"),  # type: ignore[arg-type]
    WaiveCharges(reason="so"),
    WriteOffLoan(reason="so"),
    UndoWriteOff(reason="so"),
    SetLoanMetadata(metadata={"employer": "RIM"}),
]
STATUS = {
    RevokeApproval: "approved",
    DisburseLoan: "approved",
    MarkDefaulted: "disbursed",
    ReverseDefault: "defaulted",
    ChargeFee: "disbursed",
    WaiveCharges: "disbursed",
    WriteOffLoan: "defaulted",
    UndoWriteOff: "defaulted",
}
HASHES = ["phone_hash", "email_hash"]


def conflict(desk: Desk, contact: str, kind: type[Aggregate], id: Any, command: Any) -> str:
    """What a caller with this contact is refused with."""
    uow = desk.uow()
    uow.contacts = frozenset({contact})
    with pytest.raises(Forbidden) as refusal:
        perform(uow, kind, id, command)
    return refusal.value.code


@pytest.mark.parametrize("which", HASHES)
@pytest.mark.parametrize("command", USER, ids=lambda each: type(each).__name__)
def test_nobody_decides_about_themselves(command: Command[User], which: str) -> None:
    desk = Desk()
    contact = getattr(desk.user, which)
    assert conflict(desk, contact, User, desk.ada, command) == "conflict-of-interest"
    desk.perform(User, desk.ada, ChangeContact(phone="08035550001", email="new@example.com"))
    assert contact != getattr(desk.user, which)
    assert conflict(desk, contact, User, desk.ada, command) == "conflict-of-interest"
    assert desk.replayed()[desk.ada].aggregate == desk.user


@pytest.mark.parametrize("which", HASHES)
@pytest.mark.parametrize("command", LOAN, ids=lambda each: type(each).__name__)
def test_nobody_decides_about_a_loan_of_their_own(command: Command[Loan], which: str) -> None:
    desk = Desk()
    loan = desk.loan_that_is(STATUS.get(type(command), "pending"))
    contact = getattr(desk.user, which)
    assert conflict(desk, contact, Loan, loan, command) == "conflict-of-interest"


@pytest.mark.parametrize("which", HASHES)
def test_nobody_asks_for_a_loan_in_a_name_that_once_had_their_contact(which: str) -> None:
    desk = Desk()
    contact = getattr(desk.user, which)
    desk.perform(User, desk.ada, ChangeContact(phone="08035550001", email="new@example.com"))
    wish = RequestLoan(user_id=desk.ada, amount=10, network=Network.MTN)  # type: ignore[arg-type]
    assert conflict(desk, contact, Loan, desk.environment.new_id(), wish) == "conflict-of-interest"


@pytest.mark.parametrize("own", [("phone", "+2348035550001"), ("email", "own@example.com")])
def test_nobody_gives_a_borrower_their_own_phone_or_email(own: tuple[str, str]) -> None:
    desk = Desk()
    contact = desk.vault.fingerprint(*own)
    wishes: list[tuple[Any, Any]] = [
        (desk.ada, ChangeContact(phone="08035550001", email="own@example.com")),
        (
            desk.environment.new_id(),
            RegisterUser(phone="08035550001", email="own@example.com", name="Me"),
        ),
    ]
    for id_, wish in wishes:
        assert conflict(desk, contact, User, id_, wish) == "conflict-of-interest"
