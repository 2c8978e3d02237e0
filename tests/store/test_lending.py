"""Lending on the real ledger: what parallel requests could break."""

import asyncio
from decimal import Decimal

import psycopg

from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.core import Refused
from rim_ledger.key_ring import derived
from rim_ledger.ledger import Ledger
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.request import RequestLoan
from rim_ledger.lending.standing import RegisterUser
from rim_ledger.lending.user import User
from rim_ledger.outcomes import Receipt
from rim_ledger.system.config import SetConfig
from rim_ledger.values import Network
from rim_ledger.vault import Vault
from rim_ledger.world import RealWorld
from tests.sample import STAMP

WORLD = RealWorld()
VAULT = Vault(derived(b"a secret of the tests"), WORLD)


def test_fifty_requests_at_once_in_two_processes_never_exceed_the_limit(database: str) -> None:
    ada = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada", credit_limit=1000)
    many = SetConfig(category="lending", key="maxOpenLoans", value=100)

    async def story() -> list[Receipt | BaseException]:
        async with (
            Ledger(database, ENTITY_OF, VAULT, WORLD) as one,
            Ledger(database, ENTITY_OF, VAULT, WORLD) as two,
        ):
            await one.submit(many.work, STAMP)
            user = await one.execute(User, None, ada, STAMP)
            wish = RequestLoan(user_id=user.id, amount=30, network=Network.MTN)
            answers = [(one, two)[n % 2].execute(Loan, None, wish, STAMP) for n in range(50)]
            return await asyncio.gather(*answers, return_exceptions=True)

    answers = asyncio.run(story())
    assert sum(isinstance(answer, Receipt) for answer in answers) == 33
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert [each.code for each in refused] == ["credit-limit-exceeded"] * 17
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT data ->> 'amount' FROM ledger.event_log WHERE name = 'CreditReserved'"
        ).fetchall()
        ((bodies,),) = connection.execute("SELECT string_agg(body, ' ') FROM ledger.events")
    assert sum(Decimal(amount) for (amount,) in rows) == 990
    assert not any(word in bodies for word in ("Ada", "8031234567", "example.com"))
