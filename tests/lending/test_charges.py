"""Late fees and waivers: what is due grows and falls, and every figure follows."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from rim_ledger.admin.bootstrap import BUILT_IN
from rim_ledger.catalogue import EVENTS
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.codec import Codec
from rim_ledger.engine.command import Command
from rim_ledger.lending.charges import ChargeFee, WaiveCharges, check_late_fee
from rim_ledger.lending.lateness import (
    MarkDefaulted,
    ReverseDefault,
    check_default,
    check_overdue,
)
from rim_ledger.lending.loan import Loan, LoanCompleted
from rim_ledger.lending.owed import Charges, Part
from rim_ledger.lending.restatement import (
    DebtChargesWaived,
    DebtFeeCharged,
    LoanChargesWaived,
    LoanFeeCharged,
)
from rim_ledger.lending.user_commands import erase_again
from rim_ledger.payments.reversal import ReverseDisbursement, ReverseTransaction
from rim_ledger.payments.transaction import Transaction
from rim_ledger.reminders import expected
from rim_ledger.values import day_after
from tests.lending.desk import Desk, refused
from tests.spec import names

WHY: dict[str, Any] = {"reason": "came late"}
BACK = ReverseDisbursement(reason="wrong number", telco_reference="T-9")
OPEN = ["disbursed", "repaying", "defaulted"]
NOT_OPEN = ["pending", "approved", "rejected", "completed"]


def fee(amount: Any = 4) -> ChargeFee:
    return ChargeFee(amount=amount, **WHY)


def waiver(amount: Any = None) -> WaiveCharges:
    return WaiveCharges(amount=amount, **WHY)


def written(desk: Desk) -> list[bytes]:
    """The bodies of all events, as they are stored."""
    codec = Codec(EVENTS)
    return [codec.to_stored_event(each).state for each in desk.log]


def balances(desk: Desk) -> dict[str, Decimal]:
    return {account: total for account, total in desk.journal().items() if total}


class LateFees(Desk):
    """A desk that charges a late fee of 5 naira after three days."""

    def __init__(self, amount: float = 5) -> None:
        super().__init__()
        self.configure("lateFee", value=amount)

    def overdue(self, amount: float = 100) -> UUID:
        """A loan of a day whose due day has just ended."""
        loan = self.disbursed(amount, repayment_period=1)
        self.pass_to(loan, days=0)
        self.run(check_overdue(loan))
        return loan

    def pass_to(self, loan: UUID, days: float) -> None:
        """Let it be so many days past due."""
        due = self.loan(loan).due_date
        assert due
        self.environment.time = day_after(due) + timedelta(days=days)

    def look(self, loan: UUID) -> list[Event]:
        return self.run(check_late_fee(loan))


@pytest.mark.parametrize("status", OPEN)
def test_a_fee_is_charged_to_an_open_loan(status: str) -> None:
    desk = Desk()
    loan = desk.loan_that_is(status)
    before = desk.loan(loan)
    assert desk.perform(Loan, loan, fee(4)) == [
        LoanFeeCharged(amount=Decimal(4), policy="late-fee-v1", reason="came late"),
        DebtFeeCharged(loan_id=loan, amount=Decimal(4)),
    ]
    after = desk.loan(loan)
    assert (after.fees_charged, after.amount_due) == (4, before.amount_due + 4)
    assert (after.status, after.interest) == (status, 15)
    assert desk.user.debts[loan].outstanding == after.outstanding_amount
    assert desk.user.exposure == 100, "a fee is no principal"
    assert desk.journal()["1220"] == -desk.journal()["4110"] == 4


@pytest.mark.parametrize("command", [fee(), waiver()])
@pytest.mark.parametrize("status", NOT_OPEN)
def test_nothing_is_charged_or_waived_on_a_loan_that_is_not_open(
    status: str, command: Command[Loan]
) -> None:
    desk = Desk()
    loan = desk.loan_that_is(status)
    assert refused(lambda: desk.perform(Loan, loan, command)) == "invalid-transition"


def test_no_fee_is_charged_to_a_loan_of_the_past() -> None:
    desk = Desk()
    loan = desk.disbursed()
    history = desk.loan(loan).but(historical=True)
    assert refused(lambda: list(fee().decide(history, desk.uow()))) == "historical-loan"


def test_fees_of_a_loan_are_a_tenth_of_it_in_all_rounded_down() -> None:
    desk = Desk()
    loan = desk.disbursed(Decimal("50.59"))
    assert refused(lambda: desk.perform(Loan, loan, fee(5.06))) == "fee-above-cap"
    desk.perform(Loan, loan, fee(5))
    desk.perform(Loan, loan, fee(0.05))
    assert refused(lambda: desk.perform(Loan, loan, fee(0.01))) == "fee-above-cap"
    desk.perform(Loan, loan, waiver(1))
    assert refused(lambda: desk.perform(Loan, loan, fee(0.01))) == "fee-above-cap"
    desk.configure("lateFeeMaxPercent", value=20)
    desk.perform(Loan, loan, fee(0.01))


def test_a_payment_pays_fees_then_interest_then_principal() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.perform(Loan, loan, fee(10))
    paid = desk.pay(30)
    (part,) = desk.transaction(paid).parts
    assert part == Part(loan_id=loan, fee=Decimal(10), interest=Decimal(15), principal=Decimal(5))
    assert desk.transaction(paid).allocations == [{"loanId": loan, "amount": 30}]
    assert desk.user.exposure == 95
    assert balances(desk) == {
        "1100.MTN": -100,
        "1200.MTN": 95,
        "1300.cash": 30,
        "4100": -15,
        "4110": -10,
    }


def test_a_defaulted_loan_is_paid_principal_first_and_fees_last() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.perform(Loan, loan, MarkDefaulted(reason="cannot be found"))
    desk.perform(Loan, loan, fee(10))
    assert (desk.journal()["1290"], desk.journal()["5100"]) == (-125, 125)
    desk.pay(110)
    debt = desk.user.debts[loan]
    assert (debt.principal, debt.interest, debt.fee) == (0, 5, 10)
    desk.pay(15)
    assert desk.loan(loan).status == "completed"
    assert desk.journal()["1290"] == 0


def test_a_waiver_takes_fees_first_then_interest_and_never_principal() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.perform(Loan, loan, fee(10))
    assert refused(lambda: desk.perform(Loan, loan, waiver(25.01))) == "waiver-too-large"
    assert desk.perform(Loan, loan, waiver(12)) == [
        LoanChargesWaived(
            charges=Charges(fee=Decimal(10), interest=Decimal(2)), reason="came late"
        ),
        DebtChargesWaived(loan_id=loan, charges=Charges(fee=Decimal(10), interest=Decimal(2))),
    ]
    known, debt = desk.loan(loan), desk.user.debts[loan]
    assert (known.amount_due, known.fees_charged, known.fees_waived) == (113, 10, 12)
    assert (debt.principal, debt.interest, debt.fee) == (100, 13, 0)
    desk.perform(Loan, loan, waiver())
    assert desk.loan(loan).outstanding_amount == 100
    assert refused(lambda: desk.perform(Loan, loan, waiver())) == "no-charges-left"
    assert balances(desk) == {
        "1100.MTN": -100,
        "1200.MTN": 100,
        "4100": -15,
        "4110": -10,
        "5400": 25,
    }


def test_charges_that_are_paid_are_not_waived() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.perform(Loan, loan, fee(10))
    desk.pay(25)
    assert refused(lambda: desk.perform(Loan, loan, waiver())) == "no-charges-left"
    desk.pay(100)
    assert desk.loan(loan).status == "completed"


def test_a_waiver_of_all_that_is_left_completes_the_loan() -> None:
    desk = Desk(limit=None)
    loan = desk.disbursed(100, repayment_period=1)
    desk.perform(Loan, loan, MarkDefaulted(reason="cannot be found"))
    desk.pay(100)
    paid_at = desk.environment.time
    desk.environment.pass_days(9)
    events = desk.perform(Loan, loan, waiver())
    assert LoanCompleted(paid_at=paid_at) in events
    known = desk.loan(loan)
    assert (known.status, known.outstanding_amount) == ("completed", 0)
    assert (known.completed_at, known.late) == (desk.environment.time, False)
    assert (desk.user.completed_on_time, desk.user.completed_late) == (1, 0), "by its money"
    assert desk.user.debts == {}
    assert desk.journal()["1290"] == desk.journal()["5100"] == 0
    assert desk.replayed() == desk.streams


def test_money_that_is_reversed_brings_back_what_it_paid_and_not_what_was_waived() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.perform(Loan, loan, fee(10))
    paid = desk.pay(122)
    assert refused(lambda: desk.perform(Loan, loan, waiver())) == "no-charges-left"
    desk.pay(3)
    desk.perform(Transaction, paid, ReverseTransaction(reason="a chargeback"))
    assert desk.loan(loan).outstanding_amount == 122

    other = Desk()
    loan = other.disbursed(100)
    other.perform(Loan, loan, fee(10))
    other.perform(Loan, loan, waiver(18))
    paid = other.pay(107)
    assert other.loan(loan).status == "completed"
    other.perform(Transaction, paid, ReverseTransaction(reason="a chargeback"))
    known, debt = other.loan(loan), other.user.debts[loan]
    assert (known.status, known.outstanding_amount, known.fees_waived) == ("disbursed", 107, 18)
    assert (debt.principal, debt.interest, debt.fee) == (100, 7, 0)


def test_a_reversed_disbursement_takes_fees_and_waivers_with_it() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.perform(Loan, loan, fee(10))
    desk.perform(Loan, loan, waiver(13))
    desk.perform(Loan, loan, BACK)
    known = desk.loan(loan)
    assert (known.amount_due, known.fees_charged, known.fees_waived) == (115, 0, 0)
    assert balances(desk) == {}
    assert desk.replayed() == desk.streams


def test_the_clock_charges_a_late_fee_once_when_the_days_of_grace_are_over() -> None:
    desk = LateFees()
    loan = desk.overdue()
    due = desk.loan(loan).due_date
    assert due
    at = day_after(due) + timedelta(days=3)
    assert desk.loan(loan).late_fee_at == desk.reminders["late-fee", loan] == at
    desk.pass_to(loan, days=2.9)
    assert desk.look(loan) == []
    assert desk.reminders["late-fee", loan] == at
    desk.pass_to(loan, days=3)
    assert desk.look(loan) == [
        LoanFeeCharged(amount=Decimal(5), policy="late-fee-v1", automatic=True),
        DebtFeeCharged(loan_id=loan, amount=Decimal(5)),
    ]
    assert desk.loan(loan).amount_due == 120
    assert desk.reminders["late-fee", loan] is None
    assert desk.look(loan) == []


def test_the_late_fee_stays_within_the_cap_with_what_was_charged_by_hand() -> None:
    desk = LateFees(amount=25)
    loan = desk.overdue()
    desk.perform(Loan, loan, fee(4))
    desk.pass_to(loan, days=3)
    desk.look(loan)
    assert desk.loan(loan).fees_charged == 10


def test_the_clock_waits_while_nothing_can_be_charged_and_until_the_loan_defaults() -> None:
    desk = LateFees()
    loan = desk.overdue()
    desk.configure("lateFee", value=0)
    desk.pass_to(loan, days=3)
    assert desk.look(loan) == []
    assert desk.reminders["late-fee", loan] == desk.environment.time + timedelta(days=1)
    desk.configure("lateFee", value=5)
    desk.pass_to(loan, days=4)
    assert names(desk.look(loan)) == ["LoanFeeCharged", "DebtFeeCharged"]


@pytest.mark.parametrize("step", ["default", "pardon", "pay"])
def test_no_late_fee_comes_once_the_loan_is_given_up_left_alone_or_repaid(step: str) -> None:
    desk = LateFees()
    loan = desk.overdue()
    match step:
        case "pay":
            desk.pay(115)
        case _:
            desk.perform(Loan, loan, MarkDefaulted(reason="cannot be found"))
            if step == "pardon":
                desk.perform(Loan, loan, ReverseDefault(reason="was found"))
    desk.pass_to(loan, days=5)
    assert desk.look(loan) == []
    assert desk.reminders["late-fee", loan] is None
    now = desk.environment.time
    assert "late-fee" not in {due.reminder[0] for due in expected(desk.loan(loan), now)}


def test_what_is_set_when_a_loan_falls_overdue_decides_whether_a_late_fee_comes() -> None:
    desk = LateFees(amount=0)
    loan = desk.overdue()
    assert ("late-fee", loan) not in desk.reminders
    desk.configure("lateFee", value=5)
    desk.pass_to(loan, days=5)
    assert desk.look(loan) == []
    assert desk.loan(loan).late_fee_at is None


def test_a_reopened_loan_is_charged_as_it_would_have_been_and_never_twice() -> None:
    desk = LateFees()
    loan = desk.overdue()
    paid = desk.pay(115)
    desk.pass_to(loan, days=3)
    desk.look(loan)
    desk.perform(Transaction, paid, ReverseTransaction(reason="a chargeback"))
    assert desk.reminders["late-fee", loan] == desk.loan(loan).late_fee_at
    desk.look(loan)
    assert desk.loan(loan).fees_charged == 5
    paid = desk.pay(120)
    desk.perform(Transaction, paid, ReverseTransaction(reason="a chargeback"))
    desk.run(check_overdue(loan))
    desk.pass_to(loan, days=9)
    assert desk.look(loan) == []


def test_a_lost_reminder_of_a_late_fee_is_known_to_be_missing() -> None:
    desk = LateFees()
    loan = desk.overdue()
    desk.configure("lateFee", value=0)
    for days in (0, 9, 10):
        desk.pass_to(loan, days=days)
        desk.look(loan)
        due = {each.reminder: each.latest for each in expected(desk.loan(loan), desk.uow().now)}
        there = desk.reminders["late-fee", loan]
        assert there
        assert due["late-fee", loan] >= there
    desk.configure("lateFee", value=5)
    desk.look(loan)
    kinds = [each.reminder[0] for each in expected(desk.loan(loan), desk.uow().now)]
    assert kinds == ["default"]


def test_a_ledger_without_fees_keeps_the_events_that_it_had() -> None:
    desk = Desk()
    loan = desk.disbursed(100, repayment_period=1)
    desk.environment.pass_days(40)
    desk.run(check_overdue(loan))
    desk.pay(5)
    desk.run(check_default(loan))
    desk.pay(5)
    assert ("late-fee", loan) not in desk.reminders
    assert all(b"fee" not in part for part in written(desk))


def test_charges_of_somebody_who_was_erased_go_on_without_words() -> None:
    desk = Desk()
    loan = desk.disbursed(100)
    desk.run(erase_again(desk.ada))  # As after a restore.
    charged, _ = desk.perform(Loan, loan, fee(4))
    waived, _ = desk.perform(Loan, loan, waiver(4))
    assert isinstance(charged, LoanFeeCharged)
    assert isinstance(waived, LoanChargesWaived)
    assert (charged.reason, waived.reason) == (None, None)


def test_who_may_charge_and_waive() -> None:
    may = {
        right: {role for role, (_, rights) in BUILT_IN.items() if (right, "write") in rights}
        for right in ("loans.fees", "loans.waiver")
    }
    assert may["loans.fees"] == {"superadmin", "loan_officer", "finance"}
    assert may["loans.waiver"] == {"superadmin", "finance"}
