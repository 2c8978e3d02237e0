"""Lending on the real ledger: what parallel requests could break."""

import asyncio
import re
from decimal import Decimal
from importlib.resources import files
from uuid import UUID

import psycopg

from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.command import Command
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RequestLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser
from rim_ledger.payments.payment_commands import (
    CompleteTransaction,
    FailTransaction,
    RecordTransaction,
)
from rim_ledger.payments.reversal import RefundTransaction
from rim_ledger.payments.transaction import Transaction
from rim_ledger.system.config import SetConfig
from rim_ledger.values import Network
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault
from tests.sample import STAMP

WORLD = SystemEnvironment()
VAULT = Vault(derived(b"a secret of the tests"), WORLD)


async def test_fifty_requests_at_once_in_two_processes_never_exceed_the_limit(
    database: str,
) -> None:
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

    answers = await story()
    assert sum(isinstance(answer, Receipt) for answer in answers) == 33
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert [each.code for each in refused] == ["credit-limit-exceeded"] * 17
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT data ->> 'amount' FROM ledger.event_log WHERE name = 'CreditReserved'"
        ).fetchall()
        ((bodies,),) = connection.execute("SELECT string_agg(body, ' ') FROM ledger.events")
    assert sum(Decimal(amount) for (amount,) in rows) == 990
    # Within what is sealed three letters may stand by chance.
    assert re.findall(r"\bAda\b|8031234567|example\.com", bodies) == []


OLD = files("rim_ledger.postgres.sql").joinpath("0016_unsettled_payments.sql").read_text()
LISTED = "SELECT kind, name, stream_id FROM ledger.claims WHERE kind LIKE 'payments-of-user.%'"


async def test_payments_of_before_stand_on_the_list_that_new_ones_stand_on(database: str) -> None:
    async with Ledger(database, ENTITY_OF, VAULT, WORLD) as ledger:
        ada = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada")
        user = (await ledger.execute(User, None, ada, STAMP)).id

        async def record(**more: object) -> UUID:
            known = {"type": "repayment", "amount": 5, "paymentMethod": "card"}
            wish = RecordTransaction.model_validate(known | {"userId": str(user)} | more)
            return (await ledger.execute(Transaction, None, wish, STAMP)).id

        async def does(command: Command[Transaction], id: UUID) -> None:
            await ledger.execute(Transaction, id, command, STAMP)

        captured = FailTransaction(reason="no", funds_captured=True)
        await record()
        await record(type="airtime", network="MTN")
        await record(paymentMethod="cash")
        await does(CompleteTransaction(), await record())
        await does(FailTransaction(reason="no"), await record())
        await does(captured, await record())
        back = await record()
        await does(captured, back)
        await does(RefundTransaction(reason="back"), back)
        wish = RequestLoan(user_id=user, amount=30, network=Network.MTN)  # type: ignore[arg-type]
        loan = (await ledger.execute(Loan, None, wish, STAMP)).id
        for command in (ApproveLoan(), DisburseLoan()):
            await ledger.execute(Loan, loan, command, STAMP)
    with psycopg.connect(database) as connection:
        new = set(connection.execute(LISTED))
        assert len(new) == 3
        connection.execute("DELETE FROM ledger.claims WHERE kind LIKE 'payments-of-user.%'")
        connection.execute(OLD.encode())
        assert set(connection.execute(LISTED)) == new
