"""Airtime that is said to be gone: by a second person, once, and the telco is asked anyway."""

from typing import Any
from uuid import UUID

import pytest

from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.aggregate import Actor, Event
from rim_ledger.engine.command import Command
from rim_ledger.lending.attempt import Airtime, DisputeOutcome, LoanDisbursementAnswered
from rim_ledger.lending.disbursement import FIRST_QUERY, DisburseLoan, SettleDisbursement
from rim_ledger.lending.dispute import ResolveDispute
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RejectLoan, RequestLoan, RevokeApproval
from rim_ledger.payments.reversal import ReverseDisbursement
from rim_ledger.values import Network
from tests.lending.desk import refused
from tests.lending.telecom import DELIVERED, FAILED, TelcoDesk
from tests.spec import names

SEPARATION = "separation-of-duties"


def admin(number: int, **more: Any) -> Actor:
    return Actor(type="admin", id=UUID(int=number), name=f"admin {number}", **more)


SENDER, SECOND, THIRD = admin(1), admin(2), admin(3)
SENDERS_KEY = admin(1, api_key=UUID(int=77))
CAME = SettleDisbursement(outcome="delivered", evidence="Their portal says so.")
CAME_NOT = SettleDisbursement(outcome="failed", evidence="Their portal says so.")
AGAIN = DisburseLoan()


def back(reference: str = "BACK-1") -> ReverseDisbursement:
    return ReverseDisbursement(reason="wrong number", telco_reference=reference)


def resolve(reference: str, outcome: str = "lost", told: str | None = None) -> ResolveDispute:
    return ResolveDispute(
        reference=reference,
        outcome=DisputeOutcome(outcome),
        reason="They say so.",
        telco_reference=told,
    )


class Office(TelcoDesk):
    """A desk whose admins act in their own names."""

    def act(self, loan: UUID, command: Command[Loan], by: Actor = SECOND) -> list[Event]:
        return self.perform(Loan, loan, command, by)

    def code(self, loan: UUID, command: Command[Loan], by: Actor) -> str:
        return refused(lambda: self.act(loan, command, by))

    def sent(self, by: Actor = SENDER) -> tuple[UUID, str]:
        """A loan whose airtime is on its way, and the reference of that."""
        loan = self.approved()
        return loan, self.send(loan, by)

    def send(self, loan: UUID, by: Actor = SENDER) -> str:
        self.act(loan, AGAIN, by)
        reference = self.loan(loan).reference
        assert reference
        return reference

    def unknown(self) -> tuple[UUID, str]:
        loan, reference = self.sent()
        self.reply(loan, reference, Verdict.UNKNOWN)
        return loan, reference

    def came(self, told: str = "T-1") -> tuple[UUID, str]:
        loan, reference = self.sent()
        self.hear(DELIVERED, reference, telcoReference=told)
        return loan, reference

    def is_asked(self, loan: UUID) -> bool:
        return self.reminders.get(("query-top-up", loan)) is not None

    def airtime(self, loan: UUID, reference: str) -> Airtime:
        attempt = self.loan(loan).attempt(reference)
        assert attempt
        return attempt.airtime


def test_who_sent_airtime_does_not_say_that_it_failed() -> None:
    desk = Office()
    loan, _ = desk.unknown()
    for each in (SENDER, SENDERS_KEY):
        assert desk.code(loan, CAME_NOT, each) == SEPARATION
    desk.act(loan, CAME_NOT, SECOND)
    assert desk.loan(loan).disbursement == "failed"


def test_who_sent_airtime_may_say_that_it_came() -> None:
    desk = Office()
    loan, _ = desk.unknown()
    desk.act(loan, CAME, SENDER)
    assert desk.loan(loan).status == "disbursed"


def test_who_sent_airtime_does_not_say_that_it_came_back() -> None:
    desk = Office()
    loan, _ = desk.came()
    for each in (SENDER, SENDERS_KEY):
        assert desk.code(loan, back(), each) == SEPARATION
    desk.act(loan, back(), SECOND)
    assert desk.loan(loan).status == "approved"


@pytest.mark.parametrize("answer", [Verdict.DELIVERED, Verdict.UNKNOWN])
def test_who_approved_what_the_clock_sent_does_not_say_that_it_is_gone(answer: Verdict) -> None:
    desk = Office()
    loan = desk.request()
    desk.act(loan, ApproveLoan(), SECOND)
    desk.reply(loan, desk.ask(loan), answer)
    gone = back() if answer is Verdict.DELIVERED else CAME_NOT
    assert desk.code(loan, gone, SECOND) == SEPARATION
    desk.act(loan, gone, THIRD)


def test_nor_does_who_requested_what_the_policy_approved_and_the_clock_sent() -> None:
    desk = Office()
    desk.configure("autoApprove", value=True)
    desk.configure("autoApproveMinScore", value=0)
    loan = desk.environment.new_id()
    wish = RequestLoan(user_id=desk.ada, amount=10, network=Network.MTN)  # type: ignore[arg-type]
    desk.perform(Loan, loan, wish, SECOND)
    desk.reply(loan, desk.ask(loan), Verdict.DELIVERED)
    assert desk.code(loan, back(), SECOND) == SEPARATION
    desk.act(loan, back(), THIRD)


@pytest.mark.parametrize("gone", [back(), None])
def test_who_said_that_airtime_is_gone_does_not_reject_its_loan(
    gone: ReverseDisbursement | None,
) -> None:
    desk = Office()
    loan, _ = desk.came() if gone else desk.unknown()
    desk.act(loan, gone or CAME_NOT, SECOND)
    desk.act(loan, RevokeApproval(reason="gone"), SECOND)
    assert desk.code(loan, RejectLoan(reason="gone"), SECOND) == SEPARATION
    desk.act(loan, RejectLoan(reason="gone"), THIRD)


def test_the_telcos_own_word_makes_up_for_a_second_person() -> None:
    desk = Office()
    loan, reference = desk.came()
    desk.hear(FAILED, reference, key="later")
    desk.act(loan, back(), SENDER)
    assert desk.loan(loan).status == "approved"


@pytest.mark.parametrize("said", [{"amount": 50}, {"provider": "another"}])
def test_a_word_of_the_telco_on_something_else_makes_up_for_nobody(said: dict[str, Any]) -> None:
    desk = Office()
    loan, reference = desk.came()
    desk.hear(FAILED, reference, key="later", **said)
    assert desk.code(loan, back(), SENDER) == SEPARATION


@pytest.mark.parametrize("gone", [back(), None])
def test_who_said_that_airtime_is_gone_does_not_send_it_anew(
    gone: ReverseDisbursement | None,
) -> None:
    desk = Office()
    loan, _ = desk.came() if gone else desk.unknown()
    desk.act(loan, gone or CAME_NOT, SECOND)
    assert desk.code(loan, AGAIN, SECOND) == SEPARATION
    desk.send(loan, THIRD)


def test_nor_does_the_clock_once_somebody_said_so() -> None:
    desk = Office()
    desk.configure("autoDisburse", value=True)
    loan, _ = desk.came()
    desk.act(loan, back(), SECOND)
    desk.act(loan, RevokeApproval(reason="a wrong number"), SECOND)
    desk.act(loan, ApproveLoan(), SECOND)
    assert desk.reminders["disburse", loan] is None


def test_a_return_is_named_by_the_telcos_own_reference_of_it() -> None:
    desk = Office()
    loan, reference = desk.came("T-1a")
    for taken in (reference, reference.lower(), "T-1a", "t-1A"):
        assert desk.code(loan, back(taken), SECOND) == "reference-taken"
    desk.act(loan, back("BACK-1"), SECOND)
    attempt = desk.loan(loan).attempt(reference)
    assert attempt
    assert (attempt.telco_reference, attempt.return_reference) == ("T-1a", "BACK-1")


def test_a_return_counts_once_however_it_is_written() -> None:
    desk = Office()
    loan, _ = desk.came("T-1")
    desk.act(loan, back("BACK-1"), SECOND)
    second = desk.send(loan)
    desk.hear(DELIVERED, second, key="m-2", telcoReference="T-2")
    other, _ = desk.came("T-3")
    for each in (loan, other):
        for taken in ("BACK-1", "back-1"):
            assert desk.code(each, back(taken), SECOND) == "reference-taken"
    assert desk.code(loan, back("T-1"), SECOND) == "reference-taken"
    desk.act(loan, back("BACK-2"), SECOND)


@pytest.mark.parametrize("outcome", [CAME, CAME_NOT])
def test_what_staff_settled_is_asked_about_until_the_telco_agrees(
    outcome: SettleDisbursement,
) -> None:
    desk = Office()
    loan, reference = desk.unknown()
    desk.act(loan, outcome)
    assert desk.reminders["query-top-up", loan] == desk.environment.now() + FIRST_QUERY
    assert desk.reply(loan, reference, Verdict.UNKNOWN) == []
    assert desk.is_asked(loan)
    assert [each.reference for each in desk.loan(loan).to_ask] == [reference]
    came = outcome is CAME
    agrees = Verdict.DELIVERED if came else Verdict.FAILED
    assert desk.reply(loan, reference, agrees) == [
        LoanDisbursementAnswered(reference=reference, delivered=came)
    ]
    assert not desk.is_asked(loan)
    assert desk.loan(loan).to_ask == ()
    assert desk.reply(loan, reference, agrees) == []


def test_what_the_telco_says_later_of_a_settled_top_up_opens_a_dispute() -> None:
    desk = Office()
    loan, first = desk.unknown()
    desk.act(loan, CAME_NOT)
    second = desk.send(loan)
    assert [each.reference for each in desk.loan(loan).to_ask] == [first, second]
    desk.reply(loan, second, Verdict.DELIVERED)
    assert desk.is_asked(loan)
    assert names(desk.reply(loan, first, Verdict.DELIVERED)) == ["LoanDisbursementDisputed"]
    assert desk.loan(loan).disputes == [first]
    assert not desk.is_asked(loan)


def test_a_loan_that_was_rejected_meanwhile_is_asked_about_as_well() -> None:
    desk = Office()
    loan, reference = desk.came()
    desk.act(loan, back())
    desk.act(loan, RevokeApproval(reason="too late"))
    desk.act(loan, RejectLoan(reason="no history"), THIRD)
    assert desk.is_asked(loan)
    assert names(desk.reply(loan, reference, Verdict.DELIVERED)) == ["LoanDisbursementDisputed"]


def test_a_return_that_the_telco_does_not_know_of_is_in_dispute() -> None:
    desk = Office()
    loan, reference = desk.came()
    desk.act(loan, back())
    assert desk.reminders["query-top-up", loan] == desk.environment.now() + FIRST_QUERY
    desk.reply(loan, reference, Verdict.DELIVERED)
    assert desk.airtime(loan, reference) is Airtime.DISPUTED
    assert desk.journal()["1190"] == 100
    desk.act(loan, AGAIN, SENDER)
    assert len(desk.loan(loan).attempts) == 1
    assert (desk.airtime(loan, reference), desk.top_up(loan).status) == ("owed", "completed")
    former = [each for each in desk.log if type(each.event).__name__ == "TransactionReversed"]
    assert [desk.transaction(each.originator_id).status for each in former] == ["refunded"]
    assert sum(desk.journal().values()) == 0


def test_a_delivery_that_staff_settled_and_the_telco_denies_is_kept_for_them() -> None:
    desk = Office()
    loan, reference = desk.unknown()
    desk.act(loan, CAME, SENDER)
    told = names(desk.reply(loan, reference, Verdict.FAILED))
    assert sorted(told) == ["LoanDisbursementAnswered", "TransactionQuarantined"]
    assert desk.top_up(loan).quarantine
    assert not desk.is_asked(loan)
    desk.act(loan, back(), SENDER)
    assert desk.loan(loan).status == "approved"


@pytest.mark.parametrize("by", [SENDER, SECOND])
@pytest.mark.parametrize("outcome", list(DisputeOutcome))
def test_a_dispute_is_resolved_by_nobody_who_sent_it_or_said_that_it_is_gone(
    outcome: DisputeOutcome, by: Actor
) -> None:
    desk = Office()
    loan, reference = desk.came()
    desk.act(loan, back("BACK-1"), SECOND)
    desk.reply(loan, reference, Verdict.DELIVERED)
    assert desk.code(loan, resolve(reference, outcome, "BACK-1"), by) == SEPARATION
    desk.act(loan, resolve(reference, outcome, "BACK-1"), THIRD)
    assert desk.airtime(loan, reference) == outcome
    assert desk.code(loan, AGAIN, THIRD) == SEPARATION
    assert not desk.is_asked(loan)


def test_airtime_that_went_back_after_a_dispute_has_a_reference_of_its_own() -> None:
    desk = Office()
    loan, reference = desk.unknown()
    desk.act(loan, CAME_NOT)
    desk.act(loan, RevokeApproval(reason="too late"))
    desk.reply(loan, reference, Verdict.DELIVERED)
    assert desk.code(loan, resolve(reference, "returned"), THIRD) == "missing"
    assert desk.code(loan, resolve(reference, "returned", "T-1"), THIRD) == "reference-taken"
    desk.act(loan, resolve(reference, "returned", "BACK-1"), THIRD)
    other, _ = desk.came()
    assert desk.code(other, back("back-1"), SECOND) == "reference-taken"


def test_its_integration_stays_as_it_is_while_a_telco_is_asked() -> None:
    desk = Office()
    loan, reference = desk.came()
    desk.act(loan, back())
    assert desk.loan(loan).lists
    desk.reply(loan, reference, Verdict.FAILED)
    assert not desk.loan(loan).lists
    assert desk.replayed() == desk.streams
