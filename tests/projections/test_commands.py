"""What commands write can be shown: a day of work, followed event by event."""

from decimal import Decimal

from rim_ledger.admin.bootstrap import FIRST_ADMIN, bootstrap
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.aggregate import SYSTEM, Actor, Stamp
from rim_ledger.engine.ledger import Ledger
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RequestLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import DeleteUser, EraseUser, RegisterUser
from rim_ledger.payments.payment_commands import RecordTransaction
from rim_ledger.payments.statement import Finding, LineOutcome
from rim_ledger.payments.statement_matching import StatementLine, begin, finish, settle
from rim_ledger.payments.transaction import PaymentMethod, Transaction, TransactionType
from rim_ledger.values import Network
from tests.delivery.telco import simulated
from tests.projections.story import VAULT, WORLD, followed, rebuilt_equals_live, rows

ADMIN = Actor(type="admin", id=FIRST_ADMIN, name="admin", role="superadmin")


async def test_a_day_of_work_is_shown_whatever_the_page(database: str) -> None:
    async def story() -> int:
        async with Ledger(database, ENTITY_OF, VAULT, WORLD) as ledger:
            await bootstrap(ledger, None, WORLD)
            now = WORLD.now()
            staff, system = Stamp(at=now, actor=ADMIN), Stamp(at=now, actor=Actor(type="system"))
            ada = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada")
            user = await ledger.execute(User, None, ada, system)  # Or the admin could not lend.
            wish = RequestLoan(user_id=user.id, amount=30, network=Network.MTN)
            lent = await ledger.execute(Loan, None, wish, system)
            await ledger.execute(Loan, lent.id, ApproveLoan(), staff)
            dispatch = Dispatch(database, ledger, simulated(database, ledger, WORLD), WORLD)
            await dispatch.disburse(await ledger.execute(Loan, lent.id, DisburseLoan(), staff))
            gone = RegisterUser(phone="08031234568", email="bola@example.com", name="Bola")
            other = await ledger.execute(User, None, gone, staff)
            await ledger.execute(User, other.id, DeleteUser(), staff)
            await ledger.execute(User, other.id, EraseUser(), staff)
            head = ledger.head
        return head - await followed(database, page=1)

    assert await story() == 0
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
    assert await rebuilt_equals_live(database)


async def test_the_lines_of_a_statement_are_shown_and_rebuilt(database: str) -> None:
    def line(number: int, reference: str, amount: str) -> StatementLine:
        said = {"date": "2026-01-05", "amount": amount, "provider": "paystack"}
        return StatementLine.model_validate({"line": number, "reference": reference, **said})

    async with Ledger(database, ENTITY_OF, VAULT, WORLD) as ledger:
        await bootstrap(ledger, None, WORLD)
        staff = Stamp(at=WORLD.now(), actor=ADMIN)
        system = Stamp(at=WORLD.now(), actor=SYSTEM)
        ada = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada")
        user = await ledger.execute(User, None, ada, staff)
        payment = RecordTransaction(
            type=TransactionType.REPAYMENT,
            user_id=user.id,
            amount=Decimal(50),
            payment_method=PaymentMethod.CARD,
            provider="paystack",
            reference="R-1",
        )
        await ledger.execute(Transaction, None, payment, system)
        statement = (await ledger.submit(begin("5a" * 32), staff)).id
        unread = Finding(line=2, outcome=LineOutcome.INVALID, reason="This is not CSV.")
        await ledger.submit(settle(statement, [line(1, "R-1", "49.5"), unread]), staff)
        await ledger.submit(settle(statement, [line(3, "R-1", "50")]), staff)
        await ledger.submit(finish(statement), staff)
    await followed(database, page=3)
    query = (
        "SELECT line, outcome, differs::text, l.reason, t.status FROM read.statement_lines l"
        " LEFT JOIN read.transactions t ON t.id = l.transaction_id ORDER BY line"
    )
    differs = '{"amount":{"statement":49.50,"transaction":50.00}}'
    assert rows(database, query) == [
        (1, "mismatched", differs, None, "completed"),
        (2, "invalid", None, "This is not CSV.", None),
        (3, "matched", None, None, "completed"),
    ]
    query = "SELECT lines, matched, mismatched, invalid, finished_at IS NULL FROM read.statements"
    assert rows(database, query) == [(3, 1, 1, 1, False)]
    assert await rebuilt_equals_live(database)
