"""Loans, payments, sales and top-ups in any order: the float is what the journal says."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.attempt import DisputeOutcome
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.dispute import ResolveDispute
from rim_ledger.lending.loan import Loan
from rim_ledger.payments.payment_commands import CompleteTransaction
from rim_ledger.payments.transaction import Transaction
from tests.lending.test_float import MTN, adjust, figures, sold, top_up
from tests.payments.test_payment import Payments
from tests.spec import examples

REFUSED = ("float-exhausted", "float-not-tracked", "outstanding-debt", "invalid-transition")
EXPECTED = (*REFUSED, "credit-limit-exceeded", "disbursement-in-flight", "too-many-open-loans")


class FloatPayments(Payments):
    """The same walks with a float, which is tracked from its first top-up on."""

    @initialize()
    def begin(self) -> None:
        self.top_ups, self.sales = 0, list[UUID]()

    @rule(amount=st.decimals("0.01", 5000, places=2), discount=st.decimals(0, 1, places=2))
    def buy(self, amount: Decimal, discount: Decimal) -> None:
        self.top_ups += 1
        cost = (amount * (1 - discount)).quantize(Decimal("0.01"))
        top_up(self.desk, amount, cost, reference=f"B-{self.top_ups}")  # type: ignore[arg-type]

    @rule(amount=st.decimals(-500, 500, places=2).filter(bool))
    def correct(self, amount: Decimal) -> None:
        self.attempt(lambda: adjust(self.desk, amount))  # type: ignore[arg-type]

    @rule(amount=st.decimals("0.01", 500, places=2))
    def sell(self, amount: Decimal) -> None:
        self.sales.append(sold(self.desk, amount))  # type: ignore[arg-type]

    @rule(choice=st.randoms())
    def complete_sale(self, choice: Any) -> None:
        if self.sales:
            sale = choice.choice(self.sales)
            self.attempt(lambda: self.desk.perform(Transaction, sale, CompleteTransaction()))

    @rule(choice=st.randoms(), verdict=st.sampled_from(Verdict))
    def hear_late(self, choice: Any, verdict: Verdict) -> None:
        if self.loans:
            loan = self.desk.loan(choice.choice(self.loans))
            attempt = choice.choice(loan.attempts)
            self.desk.reply(loan.id, attempt.reference, verdict)

    @rule(choice=st.randoms(), verdict=st.sampled_from(Verdict))
    def send_anew(self, choice: Any, verdict: Verdict) -> None:
        if self.loans:
            loan = choice.choice(self.loans)
            self.attempt(lambda: self.desk.perform(Loan, loan, DisburseLoan()))
            self.desk.reply(loan, self.desk.loan(loan).reference or "", verdict)

    @rule(choice=st.randoms(), outcome=st.sampled_from(DisputeOutcome))
    def resolve(self, choice: Any, outcome: DisputeOutcome) -> None:
        disputed = [loan for loan in self.loans if self.desk.loan(loan).disputed]
        if disputed:
            loan = choice.choice(disputed)
            resolved = ResolveDispute(
                reference=self.desk.loan(loan).disputes[0],
                outcome=outcome,
                reason="found out",
                telco_reference=f"T-{self.desk.environment.new_id()}",
            )
            self.desk.perform(Loan, loan, resolved)

    def attempt(self, wish: Any) -> None:
        try:
            wish()
        except Refused as refusal:
            if refusal.code not in EXPECTED:
                raise

    @invariant()
    def the_float_is_what_the_journal_says(self) -> None:
        if MTN in self.desk.streams:
            figures(self.desk)


TestFloatPayments = FloatPayments.TestCase
TestFloatPayments.settings = settings(max_examples=examples(40), stateful_step_count=25)
