"""What was deleted, archived or revoked takes no command; money that comes in is still taken."""

from typing import Any, cast
from uuid import UUID

import pytest

from api.catalogue import ROUTES
from api.pipeline.routes import Route
from rim_ledger.catalogue import ENTITIES
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import RequestLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import DeleteUser, EraseUser, RegisterUser
from rim_ledger.payments.payment_commands import CompleteTransaction, RecordTransaction
from rim_ledger.payments.reversal import RefundCredit
from rim_ledger.payments.transaction import PaymentMethod, Transaction, TransactionType
from rim_ledger.support.conversation import PostMessage
from rim_ledger.support.ticket import Ticket
from rim_ledger.support.ticket_workflow import ResolveTicket
from rim_ledger.values import Network
from tests.spec import Memory
from tests.support.desk import SupportDesk

COMMANDS = sorted(
    {
        each.command
        for each in ROUTES
        if isinstance(each, Route) and issubclass(each.command, Command)
    },
    key=lambda each: each.__name__,
)
WHEN_GONE = {DeleteUser, EraseUser, RefundCredit}
ADA = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada")


class Gone(Aggregate):
    """Something that is kept for the record only."""

    def require_present(self) -> None:
        raise Refused("gone", "It is kept for the record only.")


def test_every_entity_that_can_be_put_away_says_so() -> None:
    ends = {"archived", "deleted_at", "revoked_at", "erased"}
    mortal = [kind for kind in ENTITIES if ends & {*kind.__struct_fields__}]
    assert len(mortal) >= 10
    assert all(kind.require_present is not Aggregate.require_present for kind in mortal)


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_reaches_what_is_gone(command: type[Command[Any]]) -> None:
    assert (command in WHEN_GONE) == command.WHEN_GONE
    if not command.WHEN_GONE:
        with pytest.raises(Refused) as refusal:
            command.model_construct().decided(Gone(id=UUID(int=1)), cast("UnitOfWork", None))
        assert refusal.value.code == "gone"


@pytest.mark.parametrize("end", [DeleteUser(), EraseUser()])
def test_a_user_who_is_gone_neither_buys_nor_borrows(end: Command[User]) -> None:
    memory = Memory()
    ada = memory.environment.new_id()
    memory.perform(User, ada, ADA)
    memory.perform(User, ada, end)
    sale = RecordTransaction(
        type=TransactionType.AIRTIME, user_id=ada, amount=50, network=Network.MTN
    )
    loan = RequestLoan(user_id=ada, amount=50, network=Network.MTN)
    for kind, wish in ((Transaction, sale), (Loan, loan)):
        with pytest.raises(Refused) as refusal:
            memory.perform(kind, memory.environment.new_id(), wish)
        assert refusal.value.code == "user-gone"


def test_money_of_a_deleted_user_still_comes_in_and_goes_back() -> None:
    memory = Memory()
    ada, payment = memory.environment.new_id(), memory.environment.new_id()
    memory.perform(User, ada, ADA)
    memory.perform(User, ada, DeleteUser())
    paid = RecordTransaction(
        type=TransactionType.REPAYMENT, user_id=ada, amount=50, payment_method=PaymentMethod.CARD
    )
    memory.perform(Transaction, payment, paid)
    memory.perform(Transaction, payment, CompleteTransaction())
    assert memory.uow().read(User, ada).credit_balance == 50
    back = RefundCredit(amount=50, payment_method=PaymentMethod.CARD, reference="R-1")
    memory.perform(User, ada, back)
    assert memory.uow().read(User, ada).credit_balance == 0


def test_nothing_is_said_to_a_customer_who_is_gone() -> None:
    desk = SupportDesk()
    ticket = desk.open()
    desk.perform(Ticket, ticket, ResolveTicket(resolution="done"))
    desk.perform(User, desk.customer, DeleteUser())
    with pytest.raises(Refused) as refusal:
        desk.perform(Ticket, ticket, PostMessage(message="still there?"))
    assert refusal.value.code == "user-gone"
