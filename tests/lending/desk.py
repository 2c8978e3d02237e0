"""A lending desk in memory: one borrower, whose loans can be brought into any status."""

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from projections.journal import postings
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.delivery.port import Outcome, Verdict
from rim_ledger.engine.aggregate import SYSTEM, Actor, Aggregate, Event
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import Work
from rim_ledger.lending.disbursement import DisburseLoan, record_outcome
from rim_ledger.lending.lateness import MarkDefaulted
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RejectLoan, RequestLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser, SetCreditLimit
from rim_ledger.payments.payment_commands import RecordTransaction
from rim_ledger.payments.transaction import PaymentMethod, Transaction, TransactionType
from rim_ledger.system.config import SetConfig
from rim_ledger.values import Network
from tests.spec import Memory

OFFICER = Actor(type="admin", id=UUID(int=1), name="bisi", role="loan_officer")


class Desk(Memory):
    """A memory with one borrower in it."""

    def __init__(self, limit: float | None = 1000, auto: bool = True) -> None:
        super().__init__()
        self.accounts = defaultdict[str, Decimal](Decimal)
        self.folded: dict[UUID, Aggregate] = {}
        self.posted_up_to = 0
        self.ada = self.environment.new_id()
        ada = RegisterUser(
            phone="08031234567",
            email="ada@example.com",
            name="Ada",
            credit_limit=limit,  # type: ignore[arg-type]
            auto_limit_enabled=auto,
        )
        self.perform(User, self.ada, ada)

    @property
    def user(self) -> User:
        return self.uow().read(User, self.ada)

    def loan(self, loan: UUID) -> Loan:
        return self.uow().read(Loan, loan)

    def transaction(self, id: UUID) -> Transaction:
        return self.uow().read(Transaction, id)

    def configure(self, key: str, value: Any) -> None:
        self.run(SetConfig(category="lending", key=key, value=value).work)

    def run(self, work: Work, actor: Actor = SYSTEM) -> list[Event]:
        """Commit a decision that is not a command, such as the clock's."""
        uow = self.uow(actor)
        work(uow)
        return self.keep(uow)

    def journal(self) -> defaultdict[str, Decimal]:
        """The balance of every account (debit above zero), posted from the log as far as it is."""
        for each in self.log[self.posted_up_to :]:
            before = self.folded.get(each.originator_id)
            after = (
                before.evolve(each.event, each.stamp)
                if before
                else ENTITY_OF[type(each.event)].begin(each.originator_id, each.event, each.stamp)
            )
            self.folded[each.originator_id] = after
            lines = postings(each.event, before, after)
            assert sum(line.debit for line in lines) == 0
            for line in lines:
                self.accounts[line.account] += line.debit
        self.posted_up_to = len(self.log)
        return self.accounts

    def request(self, amount: float | Decimal = 100, **terms: Any) -> UUID:
        loan = self.environment.new_id()
        wish = RequestLoan(user_id=self.ada, amount=amount, network=Network.MTN, **terms)  # type: ignore[arg-type]
        self.perform(Loan, loan, wish)
        return loan

    def approved(self, amount: float | Decimal = 100, **terms: Any) -> UUID:
        loan = self.request(amount, **terms)
        self.perform(Loan, loan, ApproveLoan())
        return loan

    def approved_beyond(self, loan: UUID) -> UUID:
        """A second approved loan, requested while more of them were allowed."""
        self.configure("maxOpenLoans", value=9)
        self.perform(User, self.ada, SetCreditLimit(limit=5000, reason="for now"))
        other = self.approved(1)
        self.configure("maxOpenLoans", value=1)
        assert other != loan
        return other

    def ask(self, loan: UUID) -> str:
        """Request the disbursement; the reference that the telco would hear."""
        self.perform(Loan, loan, DisburseLoan())
        reference = self.loan(loan).reference
        assert reference is not None
        return reference

    def reply(self, loan: UUID, reference: str, answer: Verdict) -> list[Event]:
        words = Outcome(answer, "no such number", "T-1")
        return self.run(record_outcome(loan, reference, words))

    def disbursed(self, amount: float | Decimal = 100, **terms: Any) -> UUID:
        loan = self.approved(amount, **terms)
        self.reply(loan, self.ask(loan), Verdict.DELIVERED)
        return loan

    def pay(self, amount: float | Decimal, loan: UUID | None = None) -> UUID:
        """A repayment in cash, settled at once."""
        transaction = self.environment.new_id()
        wish = RecordTransaction(
            type=TransactionType.REPAYMENT,
            user_id=self.ada,
            amount=amount,  # type: ignore[arg-type]
            payment_method=PaymentMethod.CASH,
            loan_id=loan,
        )
        self.perform(Transaction, transaction, wish)
        return transaction

    def loan_that_is(self, status: str) -> UUID:
        match status:
            case "pending":
                return self.request()
            case "approved":
                return self.approved()
            case "rejected":
                loan = self.request()
                self.perform(Loan, loan, RejectLoan(reason="no history"))
                return loan
        loan = self.disbursed()
        steps: dict[str, tuple[float, Command[Loan] | None]] = {
            "disbursed": (0, None),
            "repaying": (10, None),
            "defaulted": (0, MarkDefaulted(reason="cannot be found")),
            "completed": (115, None),
        }
        paid, command = steps[status]
        if paid:
            self.pay(paid, loan)
        if command:
            self.perform(Loan, loan, command)
        return loan


def refused(wish: Callable[[], object]) -> str:
    """The code that a wish is refused with."""
    with pytest.raises(Refused) as refusal:
        wish()
    return refusal.value.code
