"""What a telco tells by itself: as much as its answers, once, and of nobody else's top-ups."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rim_ledger.delivery.callbacks import UnknownReference
from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.aggregate import Actor, Event
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.attempt import (
    DisputeOutcome,
    LoanDisbursed,
    LoanDisbursementDisputed,
    LoanDisbursementRequested,
    LoanDisbursementReversed,
    LoanDisputeResolved,
)
from rim_ledger.lending.disbursement import DisburseLoan, SettleDisbursement
from rim_ledger.lending.dispute import ResolveDispute
from rim_ledger.lending.fees import FeeMode
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RejectLoan, RevokeApproval
from rim_ledger.payments.reversal import Reconcile, ReverseDisbursement
from rim_ledger.payments.transaction import Transaction, TransactionFailed
from rim_ledger.system.integration import ApiIntegration, IntegrationBroken
from rim_ledger.system.integration_commands import DeactivateIntegration, open_breaker
from tests.lending.desk import refused
from tests.lending.telecom import DELIVERED, FAILED, TelcoDesk
from tests.spec import examples, names


@pytest.mark.parametrize("unknown", [False, True])
def test_a_delivery_disburses_the_loan_as_an_answer_would(unknown: bool) -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    reference = desk.ask(loan)
    if unknown:
        desk.reply(loan, reference, Verdict.UNKNOWN)
    desk.hear(DELIVERED, reference, telcoReference="T-7", amount=100, provider="vtu")
    lent = desk.loan(loan)
    assert (lent.status, lent.disbursement, lent.telco_reference) == (
        "disbursed",
        "delivered",
        "T-7",
    )
    assert desk.top_up(loan).status == "completed"
    assert desk.reminders["query-top-up", loan] is None
    assert desk.log[-1].stamp.actor == Actor(type="integration", id=desk.telco, name="VTU")
    for answer in Verdict:
        assert desk.reply(loan, reference, answer) == [], (
            "whoever asked meanwhile hears nothing new"
        )


@pytest.mark.parametrize(("amount", "status"), [(84.64, "disbursed"), (100, "approved")])
def test_of_an_upfront_fee_the_telco_delivers_the_rest(amount: float, status: str) -> None:
    desk = TelcoDesk()
    loan = desk.approved(100, fee_mode=FeeMode.UPFRONT, interest_rate=15.36)
    desk.hear(DELIVERED, desk.ask(loan), amount=amount)
    assert desk.loan(loan).status == status
    assert desk.top_up(loan).quarantine == (status == "approved")


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"reason": "no-such-line"}, "The telco declined: no-such-line."),
        ({"reason": "Ada has no phone"}, "The telco declined: no reason given."),
        ({}, "The telco declined: no reason given."),
    ],
)
def test_a_failure_leaves_the_loan_to_be_tried_again(said: dict[str, Any], kept: str) -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    reference = desk.ask(loan)
    *_, failed = desk.hear(FAILED, reference, **said)
    assert failed.reason == kept  # type: ignore[attr-defined]
    assert (desk.loan(loan).disbursement, desk.top_up(loan).status) == ("failed", "failed")
    assert desk.ask(loan).endswith("-2")


def test_a_reference_of_the_telcos_own_is_kept_only_if_it_can_be_one() -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    desk.hear(DELIVERED, desk.ask(loan), telcoReference="T 7 for Ada")
    assert desk.loan(loan).telco_reference is None
    assert desk.loan(loan).disbursement == "delivered"


@pytest.mark.parametrize("type_", [DELIVERED, FAILED])
def test_the_same_word_again_changes_nothing(type_: str) -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    reference = desk.ask(loan)
    assert desk.hear(type_, reference) != []
    assert desk.hear(type_, reference, key="m-2") == []


def test_a_delivery_after_a_failure_and_another_attempt_is_in_dispute_once() -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    first = desk.ask(loan)
    desk.hear(FAILED, first)
    second = desk.ask(loan)
    told = desk.hear(DELIVERED, first, telcoReference="T-1")
    assert told == [LoanDisbursementDisputed(reference=first, telco_reference="T-1")]
    assert desk.hear(DELIVERED, first, key="m-2", telcoReference="T-1") == []
    assert desk.reply(loan, first, Verdict.DELIVERED) == []
    assert desk.loan(loan).disbursement == "requested"
    desk.hear(DELIVERED, second)
    assert desk.loan(loan).status == "disbursed"
    journal = desk.journal()
    assert (journal["1190"], journal["1100.MTN"]) == (100, -200)


def test_a_delivery_after_the_failure_of_the_only_attempt_is_the_disbursement() -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    reference = desk.ask(loan)
    desk.hear(FAILED, reference)
    desk.hear(DELIVERED, reference)
    assert desk.loan(loan).status == "disbursed"
    assert desk.top_up(loan).status == "completed"


@pytest.mark.parametrize("type_", [DELIVERED, FAILED])
@pytest.mark.parametrize("said", [{"amount": 50}, {"amount": 100.01}, {"provider": "VTU"}])
def test_another_amount_or_provider_moves_nothing_and_is_kept_for_staff(
    type_: str, said: dict[str, Any]
) -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    reference = desk.ask(loan)
    assert names(desk.hear(type_, reference, **said)) == ["TransactionQuarantined"]
    assert (desk.loan(loan).disbursement, desk.top_up(loan).status) == ("requested", "pending")
    assert desk.top_up(loan).provider_claim == {
        "type": type_,
        "amount": Decimal(str(said["amount"])) if "amount" in said else None,
        "provider": said.get("provider", "vtu"),
        "messageId": "m-1",
    }
    assert desk.hear(type_, reference, key="m-2", **said) == []


@pytest.mark.parametrize("answer", [Verdict.DELIVERED, Verdict.FAILED])
def test_an_answer_that_names_no_amount_settles_the_loan_and_staff_still_have_to_look(
    answer: Verdict,
) -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    reference = desk.ask(loan)
    desk.hear(DELIVERED, reference, amount=50)
    desk.reply(loan, reference, answer)
    assert desk.loan(loan).disbursement == answer
    assert desk.top_up(loan).quarantine
    desk.perform(Transaction, desk.top_up(loan).id, Reconcile(notes="100 came"))
    assert not desk.top_up(loan).quarantine


def test_a_failure_after_a_delivery_moves_nothing_and_is_kept_for_staff() -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    reference = desk.ask(loan)
    desk.hear(DELIVERED, reference)
    assert names(desk.hear(FAILED, reference, key="m-2")) == ["TransactionQuarantined"]
    assert (desk.loan(loan).status, desk.top_up(loan).quarantine) == ("disbursed", True)


@pytest.mark.parametrize("type_", [DELIVERED, FAILED])
def test_what_staff_took_back_the_telco_confirms_or_contradicts_once(type_: str) -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    reference = desk.ask(loan)
    desk.hear(DELIVERED, reference)
    desk.perform(Loan, loan, back(reference))
    disputed = type_ == DELIVERED
    told = "LoanDisbursementDisputed" if disputed else "LoanDisbursementAnswered"
    assert names(desk.hear(type_, reference, key="m-2")) == [told]
    assert desk.loan(loan).disputed == disputed
    assert desk.reply(loan, reference, Verdict(type_.removeprefix("top-up."))) == []
    assert (desk.loan(loan).status, desk.top_up(loan).status) == ("approved", "refunded")


def test_a_telco_speaks_of_what_was_asked_of_it_and_of_nothing_else() -> None:
    desk = TelcoDesk()
    other = desk.connect("Baxi", "Glo")
    loan = desk.approved()
    reference = desk.ask(loan)
    unknown = [
        (other, reference),
        (desk.telco, f"DSB-{desk.loan(loan).loan_id}-2"),
        (desk.telco, f"DSB-{desk.loan(loan).loan_id}"),
        (desk.telco, "DSB-LOAN-2026-000099-1"),
        (desk.telco, "P-1"),
    ]
    for by, named in unknown:
        with pytest.raises(UnknownReference):
            desk.hear(DELIVERED, named, by=by)
    simulated = desk.approved(1)
    desk.perform(ApiIntegration, desk.telco, DeactivateIntegration())
    with pytest.raises(UnknownReference):
        desk.hear(DELIVERED, desk.ask(simulated))
    assert desk.loan(loan).disbursement == desk.loan(simulated).disbursement == "requested"


def test_who_is_called_no_more_is_still_heard_of_what_it_was_asked() -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    reference = desk.ask(loan)
    assert desk.run(open_breaker(desk.telco, 5)) == [IntegrationBroken(failures=5)]
    assert desk.uow().read(ApiIntegration, desk.telco).status == "error"
    desk.hear(DELIVERED, reference)
    assert desk.loan(loan).status == "disbursed"


def settle(desk: TelcoDesk, loan: Any, outcome: Any, **more: Any) -> list[Event]:
    wish = SettleDisbursement(outcome=outcome, evidence="Their portal says so.", **more)
    return desk.perform(Loan, loan, wish)


def test_staff_settle_what_the_telco_leaves_open_on_evidence_that_is_sealed() -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    desk.reply(loan, desk.ask(loan), Verdict.UNKNOWN)
    told = settle(desk, loan, "delivered", telco_reference="T-5")
    assert names(told)[0] == "LoanDisbursementSettled"
    assert told[0].evidence == "Their portal says so."  # type: ignore[attr-defined]
    assert not any("portal" in str(each.event) for each in desk.log)
    assert (desk.loan(loan).status, desk.loan(loan).telco_reference) == ("disbursed", "T-5")


def test_what_staff_found_is_contradicted_by_the_telco_as_its_own_word_would_be() -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    first = desk.ask(loan)
    desk.reply(loan, first, Verdict.UNKNOWN)
    settle(desk, loan, "failed")
    assert desk.top_up(loan).status == "failed"
    desk.hear(DELIVERED, first)
    assert desk.loan(loan).status == "disbursed"


@pytest.mark.parametrize("answer", [None, Verdict.FAILED])
def test_only_what_is_unknown_is_settled_by_hand(answer: Verdict | None) -> None:
    desk = TelcoDesk()
    loan = desk.approved()
    assert refused(lambda: settle(desk, loan, "failed")) == "disbursement-not-unknown"
    reference = desk.ask(loan)
    if answer:
        desk.reply(loan, reference, answer)
    assert refused(lambda: settle(desk, loan, "delivered")) == "disbursement-not-unknown"


def back(reference: str) -> ReverseDisbursement:
    """The airtime of a top-up came back, says the telco under a reference that fits."""
    return ReverseDisbursement(reason="wrong number", telco_reference=f"BACK-{reference}")


def resolved(reference: str, outcome: DisputeOutcome) -> ResolveDispute:
    """The dispute about a top-up ends."""
    return ResolveDispute(
        reference=reference,
        outcome=outcome,
        reason="They say so.",
        telco_reference=f"BACK-{reference}",
    )


class Sayings(RuleBasedStateMachine):
    """Any order of words, answers, settlements, attempts, decisions and reversals: no airtime is
    sent beside airtime that came, what came is owed, in dispute, back or lost, and once only, and
    the books say the same."""

    @initialize()
    def approve(self) -> None:
        self.desk = TelcoDesk()
        self.loan, self.came = self.desk.approved(), dict[str, str]()

    @property
    def known(self) -> Loan:
        return self.desk.loan(self.loan)

    def count(self, where: str) -> int:
        return list(self.came.values()).count(where)

    def note(self, events: list[Event]) -> None:
        """Airtime comes once, and each is where one of the legal steps leads to."""
        for event in events:
            match event:
                case LoanDisbursementRequested():
                    assert not {"owed", "disputed"} & set(self.came.values())
                case LoanDisbursed():
                    assert self.came.get(event.reference, "disputed") == "disputed"
                    self.came[event.reference] = "owed"
                case LoanDisbursementDisputed():
                    assert self.came.get(event.reference, "returned") == "returned"
                    self.came[event.reference] = "disputed"
                case LoanDisputeResolved():
                    assert self.came[event.reference] == "disputed"
                    self.came[event.reference] = event.outcome
                case LoanDisbursementReversed():
                    assert self.came[event.reference] == "owed"
                    self.came[event.reference] = "returned"

    @rule()
    def ask(self) -> None:
        before = self.known
        try:
            events = self.desk.perform(Loan, self.loan, DisburseLoan())
        except Refused:
            assert before.status != "approved" or before.in_flight
        else:
            self.note(events)
            assert self.known.in_flight != before.disputed

    @precondition(lambda self: self.known.attempts)
    @rule(
        type_=st.sampled_from([DELIVERED, FAILED]),
        key=st.sampled_from(["m-1", "m-2", "m-3"]),
        amount=st.sampled_from([None, 100, 50]),
        choice=st.randoms(),
    )
    def hear(self, type_: str, key: str, amount: int | None, choice: Any) -> None:
        before = self.known
        attempt = choice.choice(before.attempts)
        said = {} if amount is None else {"amount": amount}
        events = self.desk.hear(type_, attempt.reference, key=key, **said)
        self.note(events)
        if amount == 50:
            assert self.known == before
            assert set(names(events)) <= {"TransactionQuarantined"}
        elif type_ == DELIVERED:
            assert attempt.reference in self.came

    @precondition(lambda self: self.known.attempts)
    @rule(answer=st.sampled_from(Verdict), choice=st.randoms())
    def answer(self, answer: Verdict, choice: Any) -> None:
        attempt = choice.choice(self.known.attempts)
        self.note(self.desk.reply(self.loan, attempt.reference, answer))

    @rule(outcome=st.sampled_from(["delivered", "failed"]))
    def settle(self, outcome: str) -> None:
        unknown = self.known.disbursement == "unknown"
        try:
            self.note(settle(self.desk, self.loan, outcome))
        except Refused:
            assert not unknown
        else:
            assert unknown

    @rule(
        wish=st.sampled_from(
            [
                RevokeApproval(reason="too late"),
                ApproveLoan(),
                RejectLoan(reason="no history"),
            ]
        )
    )
    def decide(self, wish: Any) -> None:
        self.attempt_to(wish)

    def attempt_to(self, wish: Any) -> None:
        before = self.known
        try:
            events = self.desk.perform(Loan, self.loan, wish)
        except Refused:
            assert self.known == before
        else:
            assert before != self.known
            self.note(events)

    @precondition(lambda self: self.known.owed)
    @rule()
    def reverse(self) -> None:
        owed = self.known.owed
        assert owed
        self.attempt_to(back(owed.reference))

    @rule(outcome=st.sampled_from(DisputeOutcome), choice=st.randoms())
    def resolve(self, outcome: DisputeOutcome, choice: Any) -> None:
        before = self.known
        reference = choice.choice([each.reference for each in before.attempts] or ["P-1"])
        wish = resolved(reference, outcome)
        try:
            events = self.desk.perform(Loan, self.loan, wish)
        except Refused:
            assert reference not in before.disputes
        else:
            assert reference in before.disputes
            self.note(events)

    @invariant()
    def what_came_is_what_the_attempts_say(self) -> None:
        told = {each.reference: each.airtime for each in self.known.attempts if each.delivered}
        assert told == self.came

    @invariant()
    def what_is_in_dispute_is_listed(self) -> None:
        disputes = {each for each, where in self.came.items() if where == "disputed"}
        assert set(self.known.disputes) == disputes
        assert self.known.disputed == bool(disputes)

    @invariant()
    def a_transaction_that_failed_stays_so(self) -> None:
        failed = [each for each in self.desk.log if isinstance(each.event, TransactionFailed)]
        assert {self.desk.transaction(each.originator_id).status for each in failed} <= {"failed"}

    @invariant()
    def one_delivery_at_most_is_owed(self) -> None:
        owed = self.known.status == "disbursed"
        assert self.count("owed") == owed
        assert self.desk.user.exposure == 100 * (self.known.status != "rejected")
        assert len(self.desk.user.debts) == owed
        statuses = [self.desk.top_up(self.loan, n).status for n in range(len(self.known.attempts))]
        assert statuses.count("completed") == owed
        assert statuses.count("pending") == self.known.in_flight

    @invariant()
    def the_float_lost_what_came_and_was_not_taken_back(self) -> None:
        journal = self.desk.journal()
        assert journal["1100.MTN"] == -100 * (len(self.came) - self.count("returned"))
        assert journal["1190"] == 100 * self.count("disputed")
        assert journal["1200.MTN"] == 100 * self.count("owed")
        assert journal["5200"] == 100 * self.count("lost")
        assert sum(journal.values()) == 0


TestSayings = Sayings.TestCase
TestSayings.settings = settings(max_examples=examples(150), stateful_step_count=25)
