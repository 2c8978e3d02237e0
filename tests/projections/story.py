"""A small history for the tables to follow: an admin, two borrowers, their loans and payments."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from projections.follow.follower import Follower
from projections.follow.rebuild import rebuild
from projections.tables import schema
from rim_ledger.admin.admin_role import AdminRole, AdminRoleCreated
from rim_ledger.admin.admin_user import AdminCreated, AdminUser
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.aggregate import SYSTEM, Actor, Aggregate, Event, Stamp
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.ledger import Ledger, Work
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.loan import Decision, Loan, LoanRequested
from rim_ledger.lending.user import CreditReserved, User, UserRegistered
from rim_ledger.values import Network
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault

WORLD = SystemEnvironment()
VAULT = Vault(derived(b"a secret of the tests"), WORLD)
ROLE, ADMIN, ADA, BOLA, LOAN = (WORLD.new_id() for _ in range(5))
AT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
STAMP = Stamp(
    at=AT,
    actor=Actor(type="admin", id=ADMIN, name="root", role="superadmin"),
    ip="10.0.0.7",
    user_agent="a browser",
    request_id="r-1",
)


def role(name: str = "superadmin") -> AdminRoleCreated:
    permissions: Any = [{"resource": "users", "actions": ["read"]}]
    return AdminRoleCreated(name=name, description="May see users.", permissions=permissions)


def admin() -> AdminCreated:
    return AdminCreated(
        username="root", email="root@example.com", email_hash="h", role_id=ROLE, name="Root"
    )


def user(number: int = 1, phone: str = "+2348031234567", email: str = "ada@example.com") -> Any:
    return UserRegistered(
        user_id=f"USR-2026-{number:06}",
        phone=phone,
        email=email,
        name="Ada",
        phone_hash=f"p{number}",
        email_hash=f"e{number}",
        credit_score=500,
        credit_limit=Decimal("1000.50"),
        auto_limit_enabled=True,
    )


def loan(number: int = 1, user_id: UUID = ADA) -> LoanRequested:
    return LoanRequested(
        loan_id=f"LOAN-2026-{number:06}",
        user_id=user_id,
        amount=Decimal("100"),
        network=Network.MTN,
        interest_rate=Decimal("15.360000"),
        amount_due=Decimal("115.36"),
        repayment_period=30,
        decision=Decision(500, 0, Decimal("1000.50"), ("automatic approval is off",)),
        metadata={"purpose": "school fees"},
    )


def reserved(id: UUID) -> CreditReserved:
    return CreditReserved(loan_id=id, amount=Decimal("100"))


def opens(kind: type[Aggregate], id: UUID, *events: Event) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        uow.append(kind, id, events)
        return id

    return work


def erases(id: UUID, *events: Event) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        uow.append(User, id, events)
        uow.erase(id)
        return id

    return work


def found(uow: UnitOfWork) -> UUID:
    """The system makes the first admin, as nobody else is there."""
    uow.stamp = Stamp(at=AT, actor=SYSTEM)
    uow.append(AdminRole, ROLE, [role()])
    uow.append(AdminUser, ADMIN, [admin()])
    return ADMIN


EVENTS = 6
"""How many events the start has."""
START: tuple[Work, ...] = (
    found,
    opens(User, ADA, user()),
    opens(User, BOLA, user(2, "+2348031234568", "bola@example.com")),
    opens(User, ADA, reserved(LOAN)),
    opens(Loan, LOAN, loan()),
)


async def written(url: str, *works: Work, stamp: Stamp = STAMP) -> int:
    """Commit these decisions in order; the head of the log afterwards."""
    async with Ledger(url, ENTITY_OF, VAULT, WORLD) as ledger:
        for work in works:
            await ledger.submit(work, stamp)
        return ledger.head


async def followed(url: str, page: int = 1000) -> int:
    """Bring the tables up to the head; how many events that took."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await schema.create(connection)
        follower, total = Follower(connection, VAULT), 0
        while count := await follower.advance(limit=page):
            total += count
        return total


async def told(url: str, *works: Work, page: int = 1000) -> int:
    """Write and follow."""

    async def story() -> int:
        await written(url, *works)
        return await followed(url, page)

    return await story()


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


def head(url: str) -> int:
    return int(rows(url, "SELECT max(position) FROM ledger.events")[0][0])


async def rebuilt_equals_live(url: str) -> bool:
    return not (await rebuild(url, VAULT, check=True)).differences
