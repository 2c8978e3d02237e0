"""Requesting, approving, rejecting and revoking, and the exposure that follows."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rim_ledger.engine.aggregate import SYSTEM, Actor, Stamp
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.lateness import MarkDefaulted, ReverseDefault
from rim_ledger.lending.loan import LEGAL, Loan, LoanMetadataSet
from rim_ledger.lending.loan_requests import (
    ApproveLoan,
    RejectLoan,
    RequestLoan,
    RevokeApproval,
    SetLoanMetadata,
)
from rim_ledger.lending.user import User, is_historical
from rim_ledger.lending.user_commands import (
    SetCreditLimit,
    SetCreditScore,
    SuspendUser,
)
from rim_ledger.lending.write_off import WriteOffLoan
from rim_ledger.payments.reversal import ReverseDisbursement
from rim_ledger.values import Network, interest
from tests.lending.desk import OFFICER, Desk, refused
from tests.spec import examples, names

COMMANDS: dict[str, Command[Loan]] = {
    "approve": ApproveLoan(),
    "reject": RejectLoan(reason="no history"),
    "revoke-approval": RevokeApproval(reason="a mistake"),
    "disburse": DisburseLoan(),
    "default": MarkDefaulted(reason="cannot be found"),
    "reverse-default": ReverseDefault(reason="was found"),
    "charge-fee": ChargeFee(amount=1, reason="came late"),  # type: ignore[arg-type]
    "waive-charges": WaiveCharges(amount=1, reason="good will"),  # type: ignore[arg-type]
    "write-off": WriteOffLoan(reason="gone"),
    "reverse-disbursement": ReverseDisbursement(reason="wrong number", telco_reference="T-9"),
}
AFTER = {
    "approve": "approved",
    "reject": "rejected",
    "revoke-approval": "pending",
    "disburse": "approved",
    "default": "defaulted",
    "reverse-disbursement": "approved",
}
STAY = ("charge-fee", "waive-charges", "write-off")
STATUSES = ["pending", "approved", "rejected", "disbursed", "repaying", "defaulted", "completed"]


def test_a_request_takes_the_configured_terms_and_counts_against_the_limit() -> None:
    desk = Desk()
    loan = desk.loan(desk.request(100))
    assert (loan.status, loan.loan_id) == ("pending", "LOAN-2026-000001")
    assert (loan.interest_rate, loan.repayment_period, loan.amount_due) == (15, 30, Decimal(115))
    assert (desk.user.exposure, desk.user.available, desk.user.total_loans) == (100, 900, 1)
    assert loan.decision.reasons[0] == "automatic approval is off"


def test_a_request_may_bring_its_own_terms() -> None:
    desk = Desk()
    loan = desk.loan(desk.request(25, interest_rate=20.48, repayment_period=7))
    assert (loan.amount_due, loan.repayment_period) == (Decimal("30.12"), 7)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("status", STATUSES)
def test_the_table_of_transitions(status: str, command: str) -> None:
    desk = Desk()
    loan = desk.loan_that_is(status)
    if command == "reverse-disbursement" and status in ("repaying", "completed"):
        assert refused(lambda: desk.perform(Loan, loan, COMMANDS[command])) == "loan-was-paid"
    elif command in LEGAL[status]:
        desk.perform(Loan, loan, COMMANDS[command])
        stays = status if command in STAY else "disbursed"
        assert desk.loan(loan).status == AFTER.get(command, stays)
    else:
        assert refused(lambda: desk.perform(Loan, loan, COMMANDS[command])) == "invalid-transition"
        assert desk.loan(loan).status == status


def test_what_the_limit_does_not_leave_is_refused() -> None:
    desk = Desk(limit=300)
    desk.request(200)
    assert refused(lambda: desk.request(100.01)) == "credit-limit-exceeded"
    desk.request(100)


def test_a_rejected_loan_gives_its_room_back() -> None:
    desk = Desk(limit=300)
    loan = desk.request(300)
    desk.perform(Loan, loan, RejectLoan(reason="no history"))
    assert (desk.user.exposure, desk.user.total_loans) == (0, 1)
    desk.request(300)


def test_a_user_has_three_unfinished_loans_at_most() -> None:
    desk = Desk()
    loans = [desk.request(1) for _ in range(3)]
    assert refused(lambda: desk.request(1)) == "too-many-open-loans"
    desk.perform(Loan, loans[0], RejectLoan(reason="one too many"))
    desk.request(1)


def test_only_an_active_user_borrows_or_is_approved() -> None:
    desk = Desk()
    loan = desk.request(1)
    desk.perform(User, desk.ada, SuspendUser(reason="asked by the police"))
    assert refused(lambda: desk.request(1)) == "user-not-active"
    assert refused(lambda: desk.perform(Loan, loan, ApproveLoan())) == "user-not-active"


def test_nobody_approves_what_they_requested() -> None:
    desk = Desk()
    loan = desk.environment.new_id()
    wish = RequestLoan(user_id=desk.ada, amount=5, network=Network.GLO)
    desk.perform(Loan, loan, wish, OFFICER)
    assert refused(lambda: desk.perform(Loan, loan, ApproveLoan(), OFFICER)) == "self-approval"
    other = Actor(type="admin", id=UUID(int=2), name="uche", role="loan_officer")
    desk.perform(Loan, loan, ApproveLoan(), other)
    assert desk.loan(loan).approved_by == other.id


def test_a_good_request_is_approved_at_once_when_that_is_on() -> None:
    desk = Desk(limit=20_000)
    desk.configure("autoApprove", value=True)
    assert desk.loan(desk.request(1)).status == "pending"
    desk.perform(User, desk.ada, SetCreditScore(score=650, reason="bureau"))
    approved = desk.loan(desk.request(5000))
    assert (approved.status, approved.auto_approved, approved.approved_by) == (
        "approved",
        True,
        None,
    )
    assert desk.loan(desk.request(4999.99)).status == "approved"


def test_an_amount_above_the_automatic_one_waits_for_a_person() -> None:
    desk = Desk(limit=10_000)
    desk.configure("autoApprove", value=True)
    desk.perform(User, desk.ada, SetCreditScore(score=900, reason="bureau"))
    loan = desk.loan(desk.request(5000.01))
    assert loan.status == "pending"
    assert loan.decision.reasons == ("the amount 5000.01 is above 5000",)


def test_free_fields_are_sealed_and_set_once() -> None:
    desk = Desk()
    loan = desk.request(5, metadata={"employer": "Eko Fish Ltd"})
    assert "Eko" not in str(desk.loan(loan).notes)
    assert desk.perform(Loan, loan, SetLoanMetadata(metadata={"employer": "Eko Fish Ltd"})) == []
    after = desk.perform(Loan, loan, SetLoanMetadata(metadata={"salary": 90}))
    assert after == [LoanMetadataSet(metadata={"salary": 90})]


def test_a_request_for_nobody_is_not_found() -> None:
    desk = Desk()
    wish = RequestLoan(user_id=UUID(int=5), amount=5, network=Network.MTN)
    assert refused(lambda: desk.perform(Loan, desk.environment.new_id(), wish)) == "not-found"


class LoanRequests(RuleBasedStateMachine):
    """Any order of requests and decisions: exposure is what the loans say, within the limit."""

    @initialize()
    def register(self) -> None:
        self.desk, self.loans = Desk(), list[UUID]()

    @rule(amount=st.decimals("0.01", 1500, places=2))
    def request(self, amount: Decimal) -> None:
        room = amount <= self.desk.user.available and len(self.desk.user.reserved) < 3
        try:
            self.loans.append(self.desk.request(amount))  # type: ignore[arg-type]
        except Refused:
            assert not room
        else:
            assert room

    @rule(name=st.sampled_from(("approve", "reject", "revoke-approval")), choice=st.randoms())
    def decide(self, name: str, choice: Any) -> None:
        if not self.loans:
            return
        loan = choice.choice(self.loans)
        legal = name in LEGAL[self.desk.loan(loan).status]
        try:
            events = self.desk.perform(Loan, loan, COMMANDS[name])
        except Refused:
            assert not legal
        else:
            assert legal
            assert names(events)

    @invariant()
    def exposure_is_what_the_unfinished_loans_say(self) -> None:
        loans = [self.desk.loan(loan) for loan in self.loans]
        unfinished = [loan.amount for loan in loans if loan.status != "rejected"]
        assert self.desk.user.exposure == sum(unfinished) <= self.desk.user.credit_limit
        assert self.desk.user.total_loans == len(loans)

    @invariant()
    def what_is_due_is_amount_and_interest(self) -> None:
        for loan in map(self.desk.loan, self.loans):
            assert loan.amount_due == loan.amount + interest(loan.amount, loan.interest_rate)


TestLoanRequests = LoanRequests.TestCase
TestLoanRequests.settings = settings(max_examples=examples(60), stateful_step_count=25)


def test_a_lower_limit_is_legal_and_only_blocks_new_loans() -> None:
    desk = Desk()
    loan = desk.request(800)
    desk.perform(User, desk.ada, SetCreditLimit(limit=100, reason="new rules"))
    assert desk.user.available == 0
    assert refused(lambda: desk.request(1)) == "credit-limit-exceeded"
    desk.perform(Loan, loan, ApproveLoan())
    assert desk.loan(loan).status == "approved"


def test_loans_that_wait_and_loans_that_are_owed_are_unfinished() -> None:
    desk = Desk()
    desk.disbursed()
    desk.request()
    assert desk.user.unfinished == 2


def test_a_revoked_approval_leaves_nothing_of_itself() -> None:
    desk = Desk(limit=20_000)
    desk.configure("autoApprove", value=True)
    desk.perform(User, desk.ada, SetCreditScore(score=650, reason="bureau"))
    loan = desk.request(5000)
    assert desk.loan(loan).auto_approved
    desk.perform(Loan, loan, RevokeApproval(reason="a mistake"))
    found = desk.loan(loan)
    assert (found.auto_approved, found.approved_at, found.approved_by) == (False, None, None)


def test_who_completed_one_loan_in_time_and_one_late_has_completed() -> None:
    desk = Desk()
    desk.disbursed(100, repayment_period=1)
    desk.pay(115)
    desk.disbursed(100, repayment_period=1)
    desk.environment.pass_days(3)
    desk.pay(200)
    assert (desk.user.completed_on_time, desk.user.completed_late) == (1, 1)
    assert desk.user.repayment_status == "Completed"


def test_a_reversed_default_leaves_the_debt_as_before() -> None:
    desk = Desk()
    loan = desk.loan_that_is("defaulted")
    assert desk.user.debts[loan].defaulted
    desk.perform(Loan, loan, ReverseDefault(reason="was found"))
    assert not desk.user.debts[loan].defaulted


@pytest.mark.parametrize(("seconds", "historical"), [(0, False), (1, True)])
def test_what_is_recorded_more_than_a_week_late_is_history(seconds: int, historical: bool) -> None:
    now = Desk().environment.now()
    stamp = Stamp(at=now - timedelta(days=7, seconds=seconds), actor=SYSTEM, recorded_at=now)
    assert is_historical(stamp) is historical
