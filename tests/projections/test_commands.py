"""What commands write can be shown: a day of work, followed event by event."""

import asyncio

from rim_ledger.admin.bootstrap import FIRST_ADMIN, bootstrap
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.core import Actor, Stamp
from rim_ledger.ledger import Ledger
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.request import ApproveLoan, RequestLoan
from rim_ledger.lending.standing import DeleteUser, EraseUser, RegisterUser
from rim_ledger.lending.telco import SimulatedTelco
from rim_ledger.lending.user import User
from rim_ledger.values import Network
from tests.projections.story import VAULT, WORLD, followed, rebuilt_equals_live, rows

ADMIN = Actor(type="admin", id=FIRST_ADMIN, name="admin", role="superadmin")


def test_a_day_of_work_is_shown_whatever_the_page(database: str) -> None:
    async def story() -> int:
        async with Ledger(database, ENTITY_OF, VAULT, WORLD) as ledger:
            await bootstrap(ledger, None, WORLD)
            now = WORLD.now()
            staff, system = Stamp(at=now, actor=ADMIN), Stamp(at=now, actor=Actor(type="system"))
            ada = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada")
            user = await ledger.execute(User, None, ada, staff)
            wish = RequestLoan(user_id=user.id, amount=30, network=Network.MTN)
            lent = await ledger.execute(Loan, None, wish, system)
            await ledger.execute(Loan, lent.id, ApproveLoan(), staff)
            dispatch = Dispatch(database, ledger, SimulatedTelco(database), WORLD)
            await dispatch.disburse(lambda: ledger.execute(Loan, lent.id, DisburseLoan(), staff))
            gone = RegisterUser(phone="08031234568", email="bola@example.com", name="Bola")
            other = await ledger.execute(User, None, gone, staff)
            await ledger.execute(User, other.id, DeleteUser(), staff)
            await ledger.execute(User, other.id, EraseUser(), staff)
            head = ledger.head
        return head - await followed(database, page=1)

    assert asyncio.run(story()) == 0
    query = (
        "SELECT l.status, l.user_phone, t.status, t.user_email, a.username FROM read.loans l"
        " JOIN read.transactions t ON t.loan_id = l.id"
        " JOIN read.admin_users a ON a.id = approved_by"
    )
    assert rows(database, query) == [
        ("disbursed", "+2348031234567", "completed", "ada@example.com", "admin")
    ]
    assert rows(database, "SELECT phone, erased FROM read.users WHERE deleted_at IS NOT NULL") == [
        (None, True)
    ]
    assert rebuilt_equals_live(database)
