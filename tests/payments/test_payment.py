"""Payments: recorded, completed, failed; references; the netting law under any order of things."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import asdict

from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.aggregate import Actor
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Forbidden, Invalid, Refused
from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.fees import FeeMode, LoanTerms
from rim_ledger.lending.lateness import MarkDefaulted, ReverseDefault
from rim_ledger.lending.loan import OPEN, Loan
from rim_ledger.lending.product import LoanProduct
from rim_ledger.lending.product_commands import CreateLoanProduct, UpdateLoanProduct
from rim_ledger.lending.reschedule import RescheduleLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import EraseUser, SuspendUser, erase_again
from rim_ledger.lending.write_off import UndoWriteOff, WriteOffLoan
from rim_ledger.payments.payment_commands import (
    AddNote,
    CompleteTransaction,
    FailTransaction,
    RecordTransaction,
)
from rim_ledger.payments.reversal import (
    RefundCredit,
    RefundTransaction,
    ReverseDisbursement,
    ReverseTransaction,
)
from rim_ledger.payments.transaction import LEGAL, PaymentMethod, Transaction, TransactionType
from rim_ledger.schedule import DECISIONS
from rim_ledger.values import Network, interest, is_past, lagos_day
from tests.lending.desk import Desk, refused
from tests.spec import examples, names

CARD = PaymentMethod.CARD
COMMANDS: dict[str, Command[Transaction]] = {
    "complete": CompleteTransaction(),
    "fail": FailTransaction(reason="the card was declined", funds_captured=True),
    "reverse": ReverseTransaction(reason="charged back"),
    "refund": RefundTransaction(reason="never used"),
}
AFTER = {"complete": "completed", "fail": "failed", "reverse": "refunded", "refund": "refunded"}


def record(desk: Desk, amount: Any = 50, method: PaymentMethod = CARD, **terms: Any) -> UUID:
    id_ = desk.environment.new_id()
    wish = RecordTransaction(
        type=TransactionType.REPAYMENT,
        user_id=desk.ada,
        amount=amount,
        payment_method=method,
        **terms,
    )
    desk.perform(Transaction, id_, wish)
    return id_


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("status", ["pending", "completed", "failed", "refunded"])
def test_the_table_of_transitions(status: str, command: str) -> None:
    desk = Desk()
    payment = record(desk)
    steps = {"pending": (), "completed": ("complete",), "failed": ("fail",)}
    for step in steps.get(status, ("complete", "reverse")):
        desk.perform(Transaction, payment, COMMANDS[step])
    wish = COMMANDS[command]
    if command in LEGAL[status]:
        desk.perform(Transaction, payment, wish)
        assert desk.transaction(payment).status == AFTER[command]
    else:
        assert refused(lambda: desk.perform(Transaction, payment, wish)) == "invalid-transition"


def test_a_repayment_waits_until_its_money_is_there() -> None:
    desk = Desk()
    loan = desk.disbursed()
    payment = record(desk, 115)
    assert desk.loan(loan).amount_paid == 0
    events = names(desk.perform(Transaction, payment, CompleteTransaction(reference="P-7")))
    assert events[:3] == ["RepaymentAllocated", "LoanRepaid", "LoanCompleted"]
    assert events[-1] == "TransactionCompleted"
    assert (desk.loan(loan).status, desk.transaction(payment).reference) == ("completed", "P-7")


def test_a_repayment_is_accepted_in_every_standing() -> None:
    desk = Desk()
    desk.disbursed()
    desk.perform(User, desk.ada, SuspendUser(reason="asked by the police"))
    desk.pay(115)
    assert desk.user.repayment_status == "Completed"


def test_a_named_loan_must_be_open_and_the_payers_own() -> None:
    desk = Desk()
    assert refused(lambda: record(desk, loan_id=desk.request())) == "loan-not-open"
    assert refused(lambda: record(desk, loan_id=UUID(int=9))) == "not-found"


def test_money_for_a_loan_that_was_repaid_meanwhile_goes_to_the_others() -> None:
    desk = Desk()
    first, second = desk.disbursed(), desk.disbursed()
    waiting = record(desk, 50, loan_id=first)
    desk.pay(115, first)
    desk.perform(Transaction, waiting, CompleteTransaction())
    assert desk.loan(second).amount_paid == 50


def test_a_reference_stands_for_one_payment_unless_that_failed() -> None:
    desk = Desk()
    first = record(desk, reference="R-1", provider="paystack")
    twice = {"reference": "R-1", "provider": "paystack"}
    assert refused(lambda: record(desk, **twice)) == "reference-taken"
    record(desk, reference="R-1", provider="flutterwave")
    record(desk, reference="R-1")
    assert refused(lambda: record(desk, reference="R-1")) == "reference-taken"
    record(desk, method=PaymentMethod.WALLET, reference="R-1")
    desk.perform(Transaction, first, FailTransaction(reason="declined"))
    record(desk, **twice)


@pytest.mark.parametrize("refunded", [False, True])
def test_a_failed_payment_keeps_its_reference_if_money_was_captured(refunded: bool) -> None:
    desk = Desk()
    terms = {"reference": "R-1", "provider": "paystack"}
    first = record(desk, **terms)
    desk.perform(Transaction, first, COMMANDS["fail"])
    if refunded:
        desk.perform(Transaction, first, COMMANDS["refund"])
    assert refused(lambda: record(desk, **terms)) == "reference-taken"
    late = record(desk, provider="paystack")
    comes = CompleteTransaction(reference="R-1")
    assert refused(lambda: desk.perform(Transaction, late, comes)) == "reference-taken"


SPELLINGS = ["paystack", "PayStack", "pay stack", "Pay-Stack", "\uff50aystack"]


@pytest.mark.parametrize("provider", SPELLINGS)
@pytest.mark.parametrize("reference", ["R-1a", "r-1A"])
def test_one_receipt_is_one_payment_however_it_is_written(provider: str, reference: str) -> None:
    desk = Desk()
    record(desk, reference="R-1a", provider="paystack")
    again = {"reference": reference, "provider": provider}
    assert refused(lambda: record(desk, **again)) == "reference-taken"
    waiting = record(desk, provider=provider)
    comes = CompleteTransaction(reference=reference)
    assert refused(lambda: desk.perform(Transaction, waiting, comes)) == "reference-taken"


def test_a_reference_that_is_repeated_in_another_case_is_no_other() -> None:
    desk = Desk()
    payment = record(desk, reference="R-1a")
    desk.perform(Transaction, payment, CompleteTransaction(reference="r-1A"))
    assert desk.transaction(payment).status == "completed"


def test_a_reference_that_comes_with_the_money_must_agree() -> None:
    desk = Desk()
    payment = record(desk, reference="R-1")
    other = CompleteTransaction(reference="R-2")
    assert refused(lambda: desk.perform(Transaction, payment, other)) == "reference-differs"
    desk.perform(Transaction, payment, CompleteTransaction(reference="R-1"))
    late = record(desk)
    again = CompleteTransaction(reference="R-1")
    assert refused(lambda: desk.perform(Transaction, late, again)) == "reference-taken"


def test_cash_needs_a_permission_of_its_own() -> None:
    desk = Desk()
    wish = RecordTransaction(
        type=TransactionType.REPAYMENT,
        user_id=desk.ada,
        amount=5,
        payment_method=PaymentMethod.CASH,
    )
    uow = desk.uow()
    uow.rights = {("transactions", "write")}
    with pytest.raises(Forbidden, match=r"transactions\.cash:write"):
        list(wish.begin(desk.environment.new_id(), uow))


def test_nobody_handles_a_payment_of_their_own() -> None:
    desk = Desk()
    wish = RecordTransaction(
        type=TransactionType.REPAYMENT, user_id=desk.ada, amount=5, payment_method=CARD
    )
    uow = desk.uow(Actor(type="admin", id=UUID(int=3), name="ada"))
    uow.contacts = frozenset({desk.user.phone_hash})
    with pytest.raises(Forbidden, match="your own"):
        list(wish.begin(desk.environment.new_id(), uow))


@pytest.mark.parametrize(
    "command",
    [FailTransaction(reason="mine", funds_captured=True), AddNote(note="mine")],
)
def test_nobody_fails_a_payment_of_their_own_or_writes_upon_it(
    command: Command[Transaction],
) -> None:
    desk = Desk()
    payment = record(desk)
    uow = desk.uow(Actor(type="admin", id=UUID(int=3), name="ada"))
    uow.contacts = frozenset({desk.user.phone_hash})
    with pytest.raises(Forbidden, match="your own"):
        list(command.decide(desk.transaction(payment), uow))


def test_a_sale_of_airtime_touches_no_loan() -> None:
    desk = Desk()
    loan = desk.disbursed()
    sale = desk.environment.new_id()
    wish = RecordTransaction(
        type=TransactionType.AIRTIME,
        user_id=desk.ada,
        amount=200,
        network=Network.GLO,
        payment_method=PaymentMethod.CASH,
    )
    assert names(desk.perform(Transaction, sale, wish)) == [
        "TransactionRecorded",
        "TransactionCompleted",
    ]
    assert (desk.loan(loan).amount_paid, desk.user.credit_balance) == (0, 0)


@pytest.mark.parametrize(
    ("type_", "terms", "pointer"),
    [
        ("repayment", {}, "/paymentMethod"),
        ("repayment", {"payment_method": CARD, "network": Network.GLO}, "/network"),
        ("airtime", {}, "/network"),
        ("airtime", {"network": Network.GLO, "loan_id": UUID(int=9)}, "/loanId"),
    ],
)
def test_a_payment_has_the_fields_of_its_kind(
    type_: TransactionType, terms: dict[str, Any], pointer: str
) -> None:
    desk = Desk()
    wish = RecordTransaction(type=type_, user_id=desk.ada, amount=5, **terms)
    with pytest.raises(Invalid) as refusal:
        desk.perform(Transaction, desk.environment.new_id(), wish)
    assert refusal.value.more["pointer"] == pointer


def test_words_about_a_payment_are_sealed() -> None:
    desk = Desk()
    payment = record(desk, description="from her brother Emeka", metadata={"teller": "Emeka"})
    desk.perform(Transaction, payment, AddNote(note="Emeka called"))
    assert desk.perform(Transaction, payment, AddNote(note="Emeka called")) == []
    assert "Emeka" not in str(desk.transaction(payment))


def test_an_erased_person_stays_erased() -> None:
    desk = Desk()
    desk.perform(User, desk.ada, EraseUser())
    assert desk.uow().reveal(desk.ada, desk.user.name) is None
    assert refused(lambda: record(desk)) == "erased"
    again = Desk()
    again.environment.count = 100
    assert refused(lambda: desk.perform(User, desk.ada, EraseUser())) == "already-done"


def test_a_payment_that_waits_for_an_erased_person_can_still_be_failed() -> None:
    desk = Desk()
    waiting = record(desk)
    desk.run(erase_again(desk.ada))  # As it was possible before, and is again after a restore.
    desk.perform(Transaction, waiting, FailTransaction(reason="Ada never paid"))
    failed = desk.transaction(waiting)
    assert (failed.status, failed.failure_reason) == ("failed", None)


NOT_NOW = {
    "invalid-transition",
    "loan-was-paid",
    "fee-above-cap",
    "historical-loan",
    "already-done",
    "loan-written-off",
    "not-written-off",
    "recovered-since",
    "no-charges-left",
    "waiver-too-large",
    "too-many-reschedules",
    "due-date-too-early",
    "due-date-too-late",
}
"""What a step at any time may be refused with."""


BEGUN = (("500", FeeMode.ADDON, 0), ("99.99", FeeMode.UPFRONT, 7.5))
"""The amounts of loans that a walk may begin with, with the mode of their fee and the rate of VAT.
"""


class Payments(RuleBasedStateMachine):
    """Loans and payments in any order: the two sides agree and no kobo is lost."""

    DESK: type[Desk] = Desk
    """Where they are recorded."""

    @initialize(begun=st.integers(0, len(BEGUN)))
    def open(self, begun: int = 1) -> None:
        self.desk = self.DESK(limit=100_000, auto=False)
        self.desk.configure("maxOpenLoans", value=100)
        self.desk.configure("lateFee", value=7.5)
        self.desk.configure("writeOffAfterDays", value=60)
        self.desk.configure("maxReschedules", value=3)
        self.loans, self.waiting, self.paid = list[UUID](), list[UUID](), list[UUID]()
        self.received = self.refunded = Decimal(0)
        self.product, self.editions = UUID(int=77), [LoanTerms(Decimal(12), 14, FeeMode.UPFRONT)]
        (terms,) = self.editions
        created = CreateLoanProduct(
            name="Any",
            networks=(Network.MTN,),
            min_amount=Decimal("0.01"),
            max_amount=Decimal(2000),
            **asdict(terms),
        )
        self.desk.perform(LoanProduct, self.product, created)
        for amount, mode, vat in BEGUN[:begun]:
            terms = Decimal(amount), Decimal("15.36"), 7, Verdict.DELIVERED
            Payments.lend(self, *terms, mode=mode, vat=vat)

    @rule(
        amount=st.decimals("0.01", 2000, places=2),
        rate=st.decimals(0, 40, places=2),
        days=st.integers(1, 60),
        answer=st.sampled_from(Verdict),
        mode=st.sampled_from(FeeMode),
        vat=st.sampled_from([0, 5, 7.5]),
        on_product=st.booleans(),
    )
    def lend(
        self,
        amount: Decimal,
        rate: Decimal,
        days: int,
        answer: Verdict,
        mode: FeeMode = FeeMode.ADDON,
        vat: float = 0,
        on_product: bool = False,
    ) -> None:
        self.desk.configure("vatRate", value=vat)
        terms: dict[str, Any] = {"interest_rate": rate, "repayment_period": days, "fee_mode": mode}
        if on_product:
            terms = {"product_id": self.product}
        try:
            loan = self.desk.approved(amount, **terms)
            reference = self.desk.ask(loan)
        except Refused as refusal:
            if refusal.code not in ("outstanding-debt", "fee-exceeds-amount", "float-exhausted"):
                raise
            return
        self.loans.append(loan)
        self.desk.reply(loan, reference, answer)

    @rule(rate=st.decimals(0, 40, places=2), days=st.integers(1, 60), mode=st.sampled_from(FeeMode))
    def change_product(self, rate: Decimal, days: int, mode: FeeMode) -> None:
        change = UpdateLoanProduct(interest_rate=rate, repayment_period=days, fee_mode=mode)
        if self.desk.perform(LoanProduct, self.product, change):
            self.editions.append(LoanTerms(rate, days, mode))

    @rule(amount=st.decimals("0.01", 3000, places=2), named=st.integers(0, 5))
    def pay(self, amount: Decimal, named: int) -> None:
        opened = [loan for loan in self.loans if self.desk.loan(loan).status in OPEN]
        named_loan = opened[named] if named < len(opened) else None
        self.paid.append(self.desk.pay(amount, named_loan))
        self.received += amount

    @rule(amount=st.decimals("0.01", 3000, places=2))
    def promise(self, amount: Decimal) -> None:
        self.waiting.append(record(self.desk, amount))

    @rule(choice=st.randoms(), fails=st.booleans())
    def settle(self, choice: Any, fails: bool) -> None:
        if not self.waiting:
            return
        payment = choice.choice(self.waiting)
        self.waiting.remove(payment)
        wish = COMMANDS["fail" if fails else "complete"]
        self.desk.perform(Transaction, payment, wish)
        if not fails:
            self.paid.append(payment)
            self.received += self.desk.transaction(payment).amount

    @rule(choice=st.randoms())
    def reverse(self, choice: Any) -> None:
        if self.paid:
            payment = choice.choice(self.paid)
            self.paid.remove(payment)
            self.desk.perform(Transaction, payment, COMMANDS["reverse"])
            self.received -= self.desk.transaction(payment).amount

    @rule(share=st.decimals("0.01", 1, places=2))
    def refund_credit(self, share: Decimal) -> None:
        if (credit := self.desk.user.credit_balance) > 0:
            amount = max(Decimal("0.01"), (credit * share).quantize(Decimal("0.01")))
            self.desk.perform(
                User,
                self.desk.ada,
                RefundCredit(
                    amount=amount,
                    payment_method=PaymentMethod.CARD,
                    reference=f"F-{self.desk.environment.new_id()}",
                ),
            )
            self.refunded += amount

    @rule(choice=st.randoms())
    def reverse_disbursement(self, choice: Any) -> None:
        returned = f"T-{self.desk.environment.new_id()}"
        back = ReverseDisbursement(reason="wrong number", telco_reference=returned)
        self.try_on_loan(choice, back)

    @rule(choice=st.randoms(), back=st.booleans())
    def default(self, choice: Any, back: bool) -> None:
        command = ReverseDefault(reason="found") if back else MarkDefaulted(reason="lost")
        self.try_on_loan(choice, command)

    @rule(choice=st.randoms(), amount=st.decimals("0.01", 30, places=2))
    def charge(self, choice: Any, amount: Decimal) -> None:
        self.try_on_loan(choice, ChargeFee(amount=amount, reason="came late"))

    @rule(choice=st.randoms(), amount=st.none() | st.decimals("0.01", 30, places=2))
    def waive(self, choice: Any, amount: Decimal | None) -> None:
        self.try_on_loan(choice, WaiveCharges(amount=amount, reason="good will"))

    @rule(choice=st.randoms(), undo=st.booleans())
    def write_off(self, choice: Any, undo: bool) -> None:
        gone = MarkDefaulted(reason="lost"), WriteOffLoan(reason="gone")
        self.try_on_loan(choice, *([UndoWriteOff(reason="found")] if undo else gone))

    @rule(choice=st.randoms(), days=st.integers(1, 40))
    def reschedule(self, choice: Any, days: int) -> None:
        day = lagos_day(self.desk.environment.time) + timedelta(days=days)
        self.try_on_loan(choice, RescheduleLoan(due_date=day, reason="a talk"))

    def try_on_loan(self, choice: Any, *commands: Command[Loan]) -> None:
        """Give commands to one of the loans, if any, as far as they are legal."""
        if not self.loans:
            return
        loan = choice.choice(self.loans)
        for command in commands:
            try:
                self.desk.perform(Loan, loan, command)
            except Refused as refusal:
                if refusal.code not in NOT_NOW:
                    raise

    @rule(days=st.integers(1, 40))
    def wait(self, days: int) -> None:
        self.desk.environment.time += timedelta(days=days)
        for (what, stream), at in list(self.desk.reminders.items()):
            if what in DECISIONS and at and at <= self.desk.environment.time:
                self.desk.run(DECISIONS[what](stream))

    @invariant()
    def the_netting_law_holds(self) -> None:
        loans = [self.desk.loan(loan) for loan in self.loans]
        lent = [loan for loan in loans if loan.disbursed_at]
        outstanding = sum(loan.outstanding_amount for loan in lent)
        due = sum(loan.amount_due for loan in lent)
        credit = self.desk.user.credit_balance
        assert outstanding - credit == due - self.received + self.refunded

    @invariant()
    def credit_never_stands_beside_open_debt(self) -> None:
        user = self.desk.user
        assert not (user.debts and user.credit_balance > 0)
        assert user.total_repaid == sum(self.desk.loan(loan).amount_paid for loan in self.loans)

    @invariant()
    def what_was_received_is_allocated_or_credit(self) -> None:
        for payment in map(self.desk.transaction, self.paid):
            shared = sum((each["amount"] for each in payment.allocations), payment.unallocated)
            assert shared == payment.amount

    @invariant()
    def the_loan_and_the_users_side_agree(self) -> None:
        user = self.desk.user
        for loan in map(self.desk.loan, self.loans):
            debt = user.debts.get(loan.id)
            assert (debt is not None) == (loan.status in OPEN)
            assert (loan.id in user.reserved) == (loan.status == "approved")
            assert loan.amount_due >= loan.amount_paid >= 0
            if debt:
                assert debt.outstanding == loan.outstanding_amount > 0
                assert debt.paid == loan.amount_paid
                days = debt.due_at, debt.first_due_at, debt.overdue
                assert days == (loan.due_date, loan.original_due_date, loan.overdue)
            completed = loan.disbursed_at is not None and not loan.outstanding_amount
            assert completed == (loan.status == "completed")

    @invariant()
    def the_journal_balances_and_agrees(self) -> None:
        uow = self.desk.journal()
        user = self.desk.user
        loans = [self.desk.loan(loan) for loan in self.loans]
        lent = [loan for loan in loans if loan.disbursed_at]
        written_off = [loan for loan in lent if loan.written_off_at]
        assets = [loan for loan in lent if not loan.written_off_at]
        doubtful = sum(loan.outstanding_amount for loan in assets if loan.status == "defaulted")
        receivable = sum(loan.outstanding_amount for loan in assets)
        gone = sum(loan.written_off_amount or 0 for loan in written_off)
        recovered = sum(each.amount for loan in written_off for each in loan.recovered.values())
        assert sum(uow.values()) == 0
        assert -uow["2110"] == user.credit_balance
        assert uow["1200.MTN"] + uow["1210"] + uow["1220"] == receivable
        assert (-uow["1290"], uow["5100"]) == (doubtful, doubtful + gone)
        assert (-uow["4200"], uow["5500"]) == (recovered, 0)
        assert gone - recovered == sum(loan.outstanding_amount for loan in written_off)
        assert uow["2100"] == 0
        assert -uow["4100"] == sum(loan.agreed_fee - loan.vat for loan in lent)
        assert -uow["2300"] == sum(loan.vat for loan in lent)
        assert -uow["4110"] == sum(loan.fees_charged for loan in lent)
        assert uow["5400"] == sum(loan.fees_waived for loan in lent)

    @invariant()
    def the_float_is_what_the_journal_says(self) -> None:
        """It is not tracked here."""
        lent = [loan for loan in map(self.desk.loan, self.loans) if loan.disbursed_at]
        delivered = sum(loan.amount - loan.upfront_fee for loan in lent)
        assert -self.desk.journal()["1100.MTN"] == delivered

    @invariant()
    def what_is_due_is_principal_interest_and_fees_less_what_was_waived(self) -> None:
        for loan in map(self.desk.loan, self.loans):
            fee = interest(loan.amount, loan.interest_rate)
            upfront = loan.fee_mode is FeeMode.UPFRONT
            assert (loan.interest, loan.upfront_fee) == ((0, fee) if upfront else (fee, 0))
            agreed = loan.amount if upfront else loan.amount + fee
            assert loan.amount_due == agreed + loan.fees_charged - loan.fees_waived
            assert loan.fees_charged <= loan.amount / 10
            assert loan.amount_due >= loan.amount

    @invariant()
    def a_top_up_is_the_amount_without_an_upfront_fee(self) -> None:
        for loan in map(self.desk.loan, self.loans):
            for attempt in loan.attempts:
                sent = self.desk.transaction(attempt.transaction_id)
                assert sent.amount == loan.amount - loan.upfront_fee

    @invariant()
    def a_loan_keeps_the_terms_of_its_product_as_it_was(self) -> None:
        for loan in map(self.desk.loan, self.loans):
            if loan.product_version:
                terms = self.editions[loan.product_version - 1]
                known = loan.interest_rate, loan.repayment_period, loan.fee_mode
                assert known == (terms.interest_rate, terms.repayment_period, terms.fee_mode)

    @invariant()
    def a_loan_is_late_by_its_original_due_day(self) -> None:
        loans = [self.desk.loan(loan) for loan in self.loans]
        ended = [loan for loan in loans if loan.status == "completed"]
        for loan in loans:
            if loan.due_date and loan.original_due_date:
                moved = loan.due_date - loan.original_due_date
                assert timedelta() <= moved <= timedelta(days=30)
                assert bool(moved) == (loan.rescheduled_count > 0)
        for loan in ended:
            assert loan.original_due_date
            assert loan.late == is_past(loan.original_due_date, loan.paid_up())
        late = sum(loan.late for loan in ended)
        user = self.desk.user
        assert (user.completed_late, user.completed_on_time) == (late, len(ended) - late)

    @invariant()
    def replaying_the_log_gives_the_same_state(self) -> None:
        assert self.desk.replayed() == self.desk.streams


class UntrackedPayments(Payments):
    """The same without a float: its account tells what went out."""

    @invariant()
    def what_went_out_is_what_was_lent_less_fees(self) -> None:
        lent = [loan for each in self.loans if (loan := self.desk.loan(each)).disbursed_at]
        gone = sum(loan.amount - loan.upfront_fee for loan in lent)
        assert -self.desk.journal()["1100.MTN"] == gone


TestPayments = UntrackedPayments.TestCase
TestPayments.settings = settings(max_examples=examples(60), stateful_step_count=25)


def test_two_people_are_asked_for_when_money_moves_with_cash_at_once_else_with_completion() -> None:
    desk = Desk()
    said: dict[str, Any] = {"type": TransactionType.REPAYMENT, "user_id": desk.ada, "amount": 5}
    for method, naira in ((PaymentMethod.CASH, 5), (CARD, 0)):
        wish = RecordTransaction(**said, payment_method=method)
        assert wish.naira(None, desk.uow()) == naira


def test_a_note_is_kept_and_the_same_note_again_is_none() -> None:
    desk = Desk()
    payment = record(desk)
    note = AddNote(note="The receipt is lost.")  # type: ignore[arg-type]
    assert names(desk.perform(Transaction, payment, note)) == ["TransactionNoted"]
    assert desk.perform(Transaction, payment, note) == []


def test_a_payment_has_ended_when_it_neither_waits_nor_is_held() -> None:
    desk = Desk()
    payment = record(desk)
    assert not desk.transaction(payment).ended
    desk.perform(Transaction, payment, CompleteTransaction())
    assert desk.transaction(payment).ended
    assert not desk.transaction(payment).but(quarantined=True).ended
