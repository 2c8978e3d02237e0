"""Lending in any order with all its parts, where some of what admins do takes two of them."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule
from msgspec.structs import asdict

from rim_ledger.approvals.proposal import ProposalApproved, ProposalStatus
from rim_ledger.engine.aggregate import Aggregate, Event
from rim_ledger.engine.command import Command, Creation, perform
from rim_ledger.engine.refusals import NeedsApproval, Refused
from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.lateness import MarkDefaulted
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan
from rim_ledger.lending.reschedule import RescheduleLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import SetCreditLimit
from rim_ledger.lending.write_off import UndoWriteOff, WriteOffLoan
from rim_ledger.payments.payment_commands import RecordTransaction
from rim_ledger.payments.reversal import RefundCredit, ReverseTransaction
from rim_ledger.payments.transaction import PaymentMethod, Transaction, TransactionType
from rim_ledger.values import lagos_day
from tests.approvals.office import Admins
from tests.lending.desk import Desk
from tests.payments.test_float_walks import EXPECTED, FloatPayments
from tests.payments.test_payment import BEGUN, NOT_NOW
from tests.spec import examples, names

NAMES = "root", "bisi", "chidi"
ADMINS = st.sampled_from(NAMES)
AMOUNTS = st.decimals("0.01", 300, places=2)
DECIDING = {
    "separation-of-duties",
    "stale-proposal",
    "proposal-expired",
    "not-the-maker",
    "above-role-limit",
    "credit-too-small",
}
"""What proposing and deciding may be refused with besides."""


class LendingOffice(Desk, Admins):
    """A borrower, and admins who propose and decide."""


@dataclass(frozen=True)
class Way:
    """A command that an admin may ask for: about which streams, and with which amount."""

    kind: type[Aggregate]
    targets: list[UUID]
    command: Callable[[Decimal], Command[Any] | Creation[Any]]


@dataclass(frozen=True)
class Wish:
    """A command that waits, and its maker."""

    kind: type[Aggregate]
    target: UUID
    command: Command[Any] | Creation[Any]
    maker: str


def alone(desk: LendingOffice, wish: Wish) -> list[Event]:
    """What the maker would have done, if nothing took two people."""
    uow = desk.book_of(getattr(desk, wish.maker))
    perform(uow, wish.kind, wish.target, wish.command)
    return desk.keep(uow)


def told(events: list[Event]) -> list[tuple[str, list[Decimal]]]:
    """Events by name, with their amounts; ids are drawn anew each time."""
    return [
        (type(each).__name__, [one for one in asdict(each).values() if isinstance(one, Decimal)])
        for each in events
    ]


class ProposedPayments(FloatPayments):
    """The walks of loans, payments and the float, with commands that wait for a second admin."""

    DESK = LendingOffice

    @initialize(begun=st.integers(0, len(BEGUN)))
    def open(self, begun: int = 1) -> None:
        FloatPayments.open(self, begun)
        self.proposals, self.acted = dict[UUID, Wish](), Counter[UUID]()
        self.applications = list[UUID]()
        for command in self.ways():
            self.desk.rule(command.__name__, threshold=1 if command is ChargeFee else None)

    def ways(self) -> dict[type, Way]:
        """How each command that takes two people is asked for now."""
        desk = self.desk

        def later(amount: Decimal) -> RescheduleLoan:
            day = lagos_day(desk.environment.time) + timedelta(days=1 + int(amount) % 30)
            return RescheduleLoan(due_date=day, reason="ill")

        def refund(amount: Decimal) -> RefundCredit:
            reference = f"F-{desk.environment.new_id()}"
            return RefundCredit(
                amount=amount, payment_method=PaymentMethod.CARD, reference=reference
            )

        def payment(amount: Decimal) -> RecordTransaction:
            return RecordTransaction(
                type=TransactionType.REPAYMENT,
                user_id=desk.ada,
                amount=amount,
                payment_method=PaymentMethod.CASH,
            )

        new, ada, lent = [desk.environment.new_id()], [desk.ada], self.loans
        back = ReverseTransaction(reason="charged back")
        return {
            ApproveLoan: Way(Loan, self.applications, lambda _: ApproveLoan()),
            DisburseLoan: Way(Loan, self.applications, lambda _: DisburseLoan()),
            MarkDefaulted: Way(Loan, lent, lambda _: MarkDefaulted(reason="lost")),
            ChargeFee: Way(Loan, lent, lambda amount: ChargeFee(amount=amount, reason="late")),
            WaiveCharges: Way(Loan, lent, lambda amount: WaiveCharges(amount=amount, reason="x")),
            WriteOffLoan: Way(Loan, lent, lambda _: WriteOffLoan(reason="gone")),
            UndoWriteOff: Way(Loan, lent, lambda _: UndoWriteOff(reason="found")),
            RescheduleLoan: Way(Loan, lent, later),
            ReverseTransaction: Way(Transaction, self.paid, lambda _: back),
            RefundCredit: Way(User, ada, refund),
            RecordTransaction: Way(Transaction, new, payment),
            SetCreditLimit: Way(
                User, ada, lambda amount: SetCreditLimit(limit=100_000 + amount, reason="pays")
            ),
        }

    @rule(amount=AMOUNTS)
    def apply(self, amount: Decimal) -> None:
        self.attempt(lambda: self.applications.append(self.desk.request(amount)))

    @rule(maker=ADMINS, choice=st.randoms(), amount=AMOUNTS)
    def propose(self, maker: str, choice: Any, amount: Decimal) -> None:
        way = choice.choice([way for way in self.ways().values() if way.targets])
        kind, target, command = way.kind, choice.choice(way.targets), way.command(amount)
        by = getattr(self.desk, maker)

        def wish() -> None:
            proposal = self.desk.proposed(by, command, kind, target, permission="loans:write")
            self.proposals[proposal] = Wish(kind, target, command, maker)
            if not isinstance(command, ChargeFee) or command.amount > 1:
                with pytest.raises(NeedsApproval), self.desk.nothing_written():
                    self.desk.do(by, kind, target, command)

        self.attempt(wish)

    @rule(choice=st.randoms(), amount=AMOUNTS, admins=st.permutations(NAMES))
    def agree(self, choice: Any, amount: Decimal, admins: list[str]) -> None:
        """One proposes, and another approves at once."""
        known = {*self.proposals}
        self.propose(admins[0], choice, amount)
        for proposal in {*self.proposals} - known:
            self.decide_on(proposal, admins[1], "approve", sees=False)

    @precondition(lambda self: self.proposals)
    @rule(
        by=ADMINS,
        choice=st.randoms(),
        what=st.sampled_from(["approve", "approve", "approve", "reject", "withdraw"]),
        sees=st.booleans(),
    )
    def decide(self, by: str, choice: Any, what: str, sees: bool) -> None:
        self.decide_on(choice.choice([*self.proposals]), by, what, sees)

    def decide_on(self, id_: UUID, by: str, what: str, sees: bool) -> None:
        wish, before = self.proposals[id_], self.desk.known_proposal(id_)
        more: dict[str, Any] = {}
        if what == "approve" and sees:
            looked_at = (each.id for each in before.decided_on)
            more["versions"] = [
                {"id": each, "version": self.desk.stream(each).version} for each in looked_at
            ]
        twin = self.desk.copied()

        def act() -> None:
            events = getattr(self.desk, what)(getattr(self.desk, by), id_, **more)
            assert before.status is ProposalStatus.PENDING
            assert (by == wish.maker) == (what == "withdraw")
            if isinstance(events[-1], ProposalApproved):
                done = events[:-1]
                self.carried_out(id_, wish)
                assert told(done) == told(alone(twin, wish))
                if not sees:
                    foretold = [name for each in before.effects for name in each.events]
                    assert sorted(foretold) == sorted(names(done))

        self.attempt(act)

    def carried_out(self, id_: UUID, wish: Wish) -> None:
        """Note what an approval did to what is counted here."""
        self.acted[id_] += 1
        match wish.command:
            case DisburseLoan():
                self.applications.remove(wish.target)
                self.loans.append(wish.target)
            case RefundCredit(amount=amount):
                self.refunded += amount
            case RecordTransaction(amount=amount):
                self.paid.append(wish.target)
                self.received += amount
            case ReverseTransaction():
                self.paid.remove(wish.target)
                self.received -= self.desk.transaction(wish.target).amount

    def attempt(self, wish: Any) -> None:
        try:
            wish()
        except Refused as refusal:
            if refusal.code not in {*EXPECTED, *NOT_NOW, *DECIDING}:
                raise

    @invariant()
    def a_proposal_acts_once_and_only_when_approved(self) -> None:
        for id_ in self.proposals:
            approved = self.desk.known_proposal(id_).status is ProposalStatus.APPROVED
            assert self.acted[id_] == approved

    @invariant()
    def two_admins_stand_behind_what_took_two(self) -> None:
        for each in self.desk.log:
            if each.stamp.approved_by:
                assert each.stamp.actor.id != each.stamp.approved_by.id


TestProposedPayments = ProposedPayments.TestCase
TestProposedPayments.settings = settings(max_examples=examples(40), stateful_step_count=25)
