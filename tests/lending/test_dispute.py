"""Airtime that comes after it was given up: never sent twice for it, and somebody's in the end."""

from contextlib import suppress
from copy import copy
from itertools import product
from typing import Any, Final
from uuid import UUID

import pytest

from rim_ledger.delivery.kill_switch import SwitchOutbound
from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.attempt import DisputeOutcome, LoanDisputeResolved
from rim_ledger.lending.disbursement import DisburseLoan, SettleDisbursement
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RejectLoan, RevokeApproval
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import EraseUser, SuspendUser
from rim_ledger.payments.reversal import ReverseDisbursement
from tests.lending.desk import refused
from tests.lending.telecom import DELIVERED, FAILED, TelcoDesk
from tests.lending.test_top_up_callback import Sayings, back, resolved
from tests.spec import names


def given_up(desk: TelcoDesk) -> tuple[UUID, str]:
    """A loan that is pending again after its top-up failed, and the reference of that."""
    loan = desk.approved()
    reference = desk.ask(loan)
    desk.hear(FAILED, reference)
    desk.perform(Loan, loan, RevokeApproval(reason="the telco declined"))
    return loan, reference


def disputed(desk: TelcoDesk) -> tuple[UUID, str]:
    """The same, once the airtime came after all."""
    loan, reference = given_up(desk)
    desk.hear(DELIVERED, reference, key="late", telcoReference="T-1")
    return loan, reference


def overtaken(desk: TelcoDesk) -> tuple[UUID, str, str]:
    """A loan whose second top-up is under way when the first, taken for failed, comes after all."""
    loan = desk.approved()
    first = desk.ask(loan)
    desk.hear(FAILED, first)
    second = desk.ask(loan)
    desk.hear(DELIVERED, first, key="late")
    return loan, first, second


def resolve(
    desk: TelcoDesk, loan: UUID, reference: str, outcome: DisputeOutcome = DisputeOutcome.LOST
) -> list[Event]:
    return desk.perform(Loan, loan, resolved(reference, outcome))


def test_a_loan_whose_airtime_came_meanwhile_is_lent_without_asking_the_telco_again() -> None:
    desk = TelcoDesk()
    loan, reference = disputed(desk)
    assert desk.loan(loan).disputes == [reference]
    assert desk.journal()["1190"] == 100
    desk.perform(Loan, loan, ApproveLoan())
    told = names(desk.perform(Loan, loan, DisburseLoan()))
    assert "LoanDisbursed" in told
    assert "LoanDisbursementRequested" not in told
    lent = desk.loan(loan)
    assert (lent.status, lent.telco_reference, lent.disputed) == ("disbursed", "T-1", False)
    assert desk.top_up(loan).status == "completed"
    assert desk.user.debts.keys() == {loan}
    journal = desk.journal()
    assert (journal["1190"], journal["1200.MTN"], journal["1100.MTN"]) == (0, 100, -100)


def test_what_came_is_owed_though_nothing_would_be_sent_to_the_borrower_any_more() -> None:
    desk = TelcoDesk()
    loan, _ = disputed(desk)
    desk.perform(Loan, loan, ApproveLoan())
    desk.perform(User, desk.ada, SuspendUser(reason="asked by the police"))
    desk.run(SwitchOutbound(enabled=False).work)
    desk.perform(Loan, loan, DisburseLoan())
    assert desk.loan(loan).status == "disbursed"


def test_the_clock_takes_up_what_came_too_and_is_reminded_no_more() -> None:
    desk = TelcoDesk()
    loan, _ = disputed(desk)
    desk.configure("autoDisburse", value=True)
    desk.perform(Loan, loan, ApproveLoan())
    assert desk.reminders["disburse", loan] == desk.environment.time
    desk.perform(Loan, loan, DisburseLoan())
    assert desk.reminders["disburse", loan] is None


def test_a_top_up_that_fails_while_an_earlier_one_came_is_not_tried_again() -> None:
    desk = TelcoDesk()
    loan, first, second = overtaken(desk)
    assert refused(lambda: desk.ask(loan)) == "disbursement-in-flight"
    desk.hear(FAILED, second, key="m-2")
    desk.perform(Loan, loan, DisburseLoan())
    lent = desk.loan(loan)
    assert (lent.status, lent.owed and lent.owed.reference) == ("disbursed", first)
    assert len(lent.attempts) == 2


def test_taking_a_disbursement_back_is_about_the_top_up_that_is_owed() -> None:
    desk = TelcoDesk()
    loan, _, second = overtaken(desk)
    desk.hear(FAILED, second, key="m-2")
    desk.perform(Loan, loan, DisburseLoan())
    back = ReverseDisbursement(reason="wrong number", telco_reference="T-9")
    desk.perform(Loan, loan, back)
    statuses = [desk.top_up(loan, number).status for number in (0, 1)]
    assert statuses == ["refunded", "failed"]
    desk.hear(DELIVERED, second, key="later")
    assert desk.loan(loan).owed == desk.loan(loan).attempt(second)
    assert desk.top_up(loan).status == "completed"


@pytest.mark.parametrize(("outcome", "account"), [("returned", "1100.MTN"), ("lost", "5200")])
def test_airtime_of_a_rejected_loan_went_back_to_the_telco_or_is_lost(
    outcome: str, account: str
) -> None:
    desk = TelcoDesk()
    loan, reference = given_up(desk)
    desk.perform(Loan, loan, RejectLoan(reason="no history"))
    desk.hear(DELIVERED, reference, key="late")
    before = desk.journal()[account]
    told = resolve(desk, loan, reference, DisputeOutcome(outcome))
    assert names(told) == ["LoanDisputeResolved"]
    journal = desk.journal()
    assert (journal["1190"], journal[account] - before) == (0, 100)
    assert (desk.loan(loan).status, desk.loan(loan).disputed) == ("rejected", False)
    assert desk.hear(DELIVERED, reference, key="again") == []


def test_once_the_dispute_is_resolved_the_loan_may_be_sent_anew() -> None:
    desk = TelcoDesk()
    loan, reference = disputed(desk)
    desk.perform(Loan, loan, ApproveLoan())
    resolve(desk, loan, reference)
    assert desk.ask(loan).endswith("-2")


def test_a_dispute_is_resolved_once_and_by_its_own_reference() -> None:
    desk = TelcoDesk()
    loan, reference = disputed(desk)
    assert refused(lambda: resolve(desk, loan, reference + "0")) == "not-in-dispute"
    resolve(desk, loan, reference)
    assert refused(lambda: resolve(desk, loan, reference)) == "not-in-dispute"


def test_why_airtime_is_borne_is_sealed_and_left_out_for_who_was_erased() -> None:
    desk = TelcoDesk()
    loan, reference = disputed(desk)
    other, second = given_up(desk)
    for each in (loan, other):
        desk.perform(Loan, each, RejectLoan(reason="no history"))
    (told,) = resolve(desk, loan, reference)
    assert isinstance(told, LoanDisputeResolved)
    assert told.reason == "They say so."
    assert not any("They say" in str(each.event) for each in desk.log)
    desk.perform(User, desk.ada, EraseUser())
    desk.hear(DELIVERED, second, key="later")
    (told,) = resolve(desk, other, second)
    assert isinstance(told, LoanDisputeResolved)
    assert told.reason is None


@pytest.mark.parametrize(
    ("outcome", "kept"), [("returned", []), ("lost", ["TransactionQuarantined"])]
)
def test_a_failure_that_is_told_later_agrees_with_airtime_that_went_back_only(
    outcome: str, kept: list[str]
) -> None:
    desk = TelcoDesk()
    loan, reference = disputed(desk)
    resolve(desk, loan, reference, DisputeOutcome(outcome))
    assert names(desk.hear(FAILED, reference, key="again")) == kept


MOVES: Final = [
    *product(["delivered", "failed", "returned", "lost"], [0, 1]),
    *product(["disburse", "unknown", "settled", "approve", "revoke", "reject", "reverse"], [-1]),
]
"""What may happen next: to the first or the second top-up, or to the loan."""

DECISIONS: Final[dict[str, Command[Loan]]] = {
    "disburse": DisburseLoan(),
    "settled": SettleDisbursement(outcome="delivered", evidence="Their portal says so."),
    "approve": ApproveLoan(),
    "revoke": RevokeApproval(reason="too late"),
    "reject": RejectLoan(reason="no history"),
}

LAWS: Final = (
    Sayings.what_came_is_what_the_attempts_say,
    Sayings.what_is_in_dispute_is_listed,
    Sayings.a_transaction_that_failed_stays_so,
    Sayings.one_delivery_at_most_is_owed,
    Sayings.the_float_lost_what_came_and_was_not_taken_back,
)


def move(machine: Sayings, what: str, attempt: int) -> None:
    """One step more, unless it is refused or there is no such top-up."""
    loan = machine.known
    there = -len(loan.attempts) <= attempt < len(loan.attempts)
    if not there and what not in DECISIONS and what != "reverse":
        return
    reference = loan.attempts[attempt].reference if loan.attempts else ""
    match what:
        case "reverse":
            if owed := loan.owed:
                with suppress(Refused):  # It came back before, under this reference.
                    machine.note(machine.desk.perform(Loan, machine.loan, back(owed.reference)))
        case "delivered" | "failed":
            machine.note(machine.desk.hear(f"top-up.{what}", reference))
        case "unknown":
            machine.note(machine.desk.reply(machine.loan, reference, Verdict.UNKNOWN))
        case _:
            wish = DECISIONS.get(what) or resolved(reference, DisputeOutcome(what))
            with suppress(Refused):
                machine.note(machine.desk.perform(Loan, machine.loan, wish))


def copied(machine: Sayings) -> Sayings:
    """The same once more, to try another step from there."""
    twin = copy(machine)
    twin.desk, twin.came = machine.desk.copied(), dict(machine.came)
    return twin


def test_every_order_of_two_top_ups_keeps_the_laws() -> None:
    """From each state that two top-ups can bring a loan into, each step is tried."""
    seen, asked = set[tuple[Any, ...]](), set[tuple[Any, ...]]()
    begun = Sayings()
    begun.approve()
    ahead = [begun]
    while ahead:
        machine = ahead.pop()
        for law in LAWS:
            law(machine)
        loan = machine.known
        airtimes = [each.airtime for each in loan.attempts]
        state = loan.status, loan.disbursement, *airtimes
        known = state, *(each.unconfirmed for each in loan.attempts)
        if known not in asked and len(loan.attempts) <= 2:
            asked.add(known)
            seen.add(state)
            for step in MOVES:
                ahead.append(copied(machine))
                move(ahead[-1], *step)
    for airtime in product(["owed", "disputed"], ["disputed", "returned", "lost"]):
        orders = {airtime, airtime[::-1]}
        assert orders & {state[2:] for state in seen}, f"no way leads to {airtime}"
    assert ("rejected", "failed", "disputed") in seen
