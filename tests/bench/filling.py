"""Fills a ledger with the lives of loans, decided by the real rules, faster than HTTP would."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from rim_ledger.admin.bootstrap import FIRST_ADMIN
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.aggregate import Actor, Stamp
from rim_ledger.engine.command import perform
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import RequestLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser
from rim_ledger.payments.payment_commands import RecordTransaction
from rim_ledger.payments.transaction import PaymentMethod, Transaction, TransactionType
from rim_ledger.values import Network
from rim_ledger.vault.key_ring import open_ring
from rim_ledger.vault.personal_keys import Vault

LOANS = 10
"""Of each user; a life is a user with so many loans, each repaid in two parts."""
AT_ONCE = 100
HALF = Decimal("288.69")

ReportProgress = Callable[[int, int], object]


async def fill(url: str, secret: str, events: int, first: int, told: ReportProgress) -> None:
    """Write lives of users numbered from `first` on, until the log has so many events."""
    environment = SystemEnvironment()
    vault = Vault(open_ring(url, [secret.encode()], environment), environment)
    actor = Actor(type="admin", id=FIRST_ADMIN, name="admin", role="superadmin")
    async with Ledger(url, ENTITY_OF, vault, environment) as ledger:
        while ledger.head < events:
            stamp = Stamp(
                at=datetime.now(UTC),
                actor=actor,
                ip="127.0.0.1",
                user_agent="bench",
                request_id="1",
            )
            lives = (_life(number) for number in range(first, first + AT_ONCE))
            await asyncio.gather(*(ledger.submit(life, stamp) for life in lives))
            first += AT_ONCE
            told(min(ledger.head, events), events)


def _life(number: int) -> Callable[[UnitOfWork], UUID]:
    register = RegisterUser(
        phone=f"0803{number:07}",
        email=f"user{number}@example.com",
        name=f"User {number}",
        credit_limit=Decimal(1_000_000),
        auto_limit_enabled=False,
    )

    def work(uow: UnitOfWork) -> UUID:
        user = perform(uow, User, None, register)
        request = RequestLoan(
            user_id=user,
            amount=Decimal("500.50"),
            network=Network.MTN,
            repayment_period=30,
            interest_rate=Decimal("15.36"),
        )
        stamp = uow.stamp
        for _ in range(LOANS):
            uow.stamp = Stamp(at=stamp.at - timedelta(days=8), actor=stamp.actor)
            loan = perform(uow, Loan, None, request)
            uow.stamp = stamp
            perform(uow, Loan, loan, DisburseLoan())
            half = RecordTransaction(
                type=TransactionType.REPAYMENT,
                user_id=user,
                loan_id=loan,
                amount=HALF,
                payment_method=PaymentMethod.CASH,
            )
            for _ in range(2):
                perform(uow, Transaction, None, half)
        return user

    return work
