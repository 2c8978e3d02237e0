"""The tables follow the log: every field, every change, through every interruption."""

import asyncio
import contextlib
import json
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from projections.catalogue import TABLES
from projections.follow import follower
from projections.follow.fold import PoisonEvent
from projections.follow.follower import Follower, follow
from projections.tables.schema import Outdated
from rim_ledger.admin.admin_role import AdminRole, AdminRoleCreated
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.lending.loan import Loan, LoanRejected
from rim_ledger.lending.user import (
    AutoLimitDisabled,
    CreditScoreSet,
    User,
    UserContactChanged,
    UserErased,
    UserSuspended,
)
from rim_ledger.payments.transaction import (
    PaymentMethod,
    Transaction,
    TransactionCompleted,
    TransactionNoted,
    TransactionRecorded,
    TransactionType,
)
from rim_ledger.system.config import SetConfig, SystemConfig, SystemConfigReset, config_id
from rim_ledger.vault.personal_keys import opened
from tests.projections.story import (
    ADA,
    ADMIN,
    AT,
    BOLA,
    EVENTS,
    LOAN,
    ROLE,
    START,
    VAULT,
    WORLD,
    erases,
    followed,
    loan,
    opens,
    rebuilt_equals_live,
    reserved,
    rows,
    told,
    user,
    written,
)


async def test_a_follower_writes_nothing_into_the_tables_of_another_version(database: str) -> None:
    await told(database, *START)
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        follower = Follower(connection, VAULT)
        assert await follower.advance() == 0
        await written(database, opens(User, BOLA, AutoLimitDisabled()))
        await connection.execute("COMMENT ON SCHEMA read IS 'of tomorrow'")
        with pytest.raises(Outdated):
            await follower.advance()
    assert rows(database, "SELECT position FROM read.tracking") == [(EVENTS,)]


WHEN = "2026-03-04T05:06:07.000089Z"


async def test_pages_of_one_transaction_may_each_refer_to_what_they_bring(database: str) -> None:
    """The journal entry of a payment refers to the payment, which comes with the same page."""
    await told(database, *START)
    payment = WORLD.new_id()
    paid = TransactionRecorded(
        transaction_id="TXN-2026-000001",
        user_id=ADA,
        type=TransactionType.REPAYMENT,
        amount=Decimal(50),
    )
    completed = TransactionCompleted(unallocated=Decimal(50))
    await written(
        database,
        opens(User, BOLA, AutoLimitDisabled()),
        opens(Transaction, payment, paid, completed),
    )
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        follower = Follower(connection, VAULT)
        async with connection.transaction():
            assert await follower.advance(limit=1) == 1
            assert await follower.advance() == 2
    assert rows(database, "SELECT transaction_id FROM read.journal_entries") == [(payment,)]


def shown(url: str, table: str, id: Any, masked: bool = False) -> dict[str, Any]:
    query = f"SELECT {TABLES[table].json(masked)} FROM read.{table} t WHERE id = '{id}'"
    ((text,),) = rows(url, query)
    shown = json.loads(text)
    shown.pop("updatedAt", None)
    return dict(shown)


async def test_a_user_is_shown_with_every_field(database: str) -> None:
    await told(database, *START)
    assert shown(database, "users", ADA) == {
        "id": str(ADA),
        "userId": "USR-2026-000001",
        "phone": "+2348031234567",
        "email": "ada@example.com",
        "name": "Ada",
        "creditScore": 500,
        "repaymentStatus": "Pending",
        "totalRepaid": 0,
        "status": "active",
        "creditLimit": 1000.5,
        "autoLimitEnabled": True,
        "totalLoans": 1,
        "creditBalance": 0,
        "exposure": 100,
        "optedOut": False,
        "erased": False,
        "deletedAt": None,
        "createdAt": WHEN,
    }
    ((version, updated, recorded),) = rows(
        database,
        "SELECT u.version, u.updated_at, e.recorded_at FROM read.users u JOIN ledger.events e"
        f" ON (e.stream_id, e.version) = (u.id, u.version) WHERE u.id = '{ADA}'",
    )
    assert (version, updated) == (2, recorded)


async def test_a_loan_is_shown_with_every_field(database: str) -> None:
    await told(database, *START)
    assert shown(database, "loans", LOAN) == {
        "id": str(LOAN),
        "loanId": "LOAN-2026-000001",
        "userId": str(ADA),
        "userPhone": "+2348031234567",
        "userEmail": "ada@example.com",
        "productId": None,
        "productVersion": None,
        "amount": 100,
        "status": "pending",
        "disbursement": "none",
        "network": "MTN",
        "interestRate": 15.36,
        "feeMode": "addon",
        "repaymentPeriod": 30,
        "dueDate": None,
        "originalDueDate": None,
        "rescheduledCount": 0,
        "upfrontFee": 0,
        "vat": 0,
        "amountDue": 115.36,
        "amountPaid": 0,
        "outstandingAmount": 115.36,
        "feesCharged": 0,
        "feesWaived": 0,
        "approvedAt": None,
        "approvedBy": None,
        "rejectedAt": None,
        "rejectedBy": None,
        "rejectionReason": None,
        "disbursedAt": None,
        "completedAt": None,
        "defaultedAt": None,
        "writtenOffAt": None,
        "writtenOffBy": None,
        "writtenOffAmount": None,
        "telcoReference": None,
        "disputed": False,
        "disputes": [],
        "metadata": {
            "purpose": "school fees",
            "creditScore": 500,
            "previousLoans": 0,
            "autoApproved": False,
            "policy": "decision-v1",
            "reasons": ["automatic approval is off"],
        },
        "createdAt": WHEN,
    }


async def test_admins_roles_settings_and_transactions_are_shown(database: str) -> None:
    payment, rate = WORLD.new_id(), SetConfig(category="lending", key="interestRate", value=12.5)
    recorded = TransactionRecorded(
        transaction_id="TXN-2026-000001",
        user_id=ADA,
        type=TransactionType.REPAYMENT,
        amount=50,
        payment_method=PaymentMethod.CASH,
        metadata={"fee": 3},
    )
    note = TransactionNoted(note="brought by her sister")
    await told(database, *START, opens(Transaction, payment, recorded, note), rate.work)
    admin = shown(database, "admin_users", ADMIN)
    assert (admin["username"], admin["role"]) == ("root", "superadmin")
    assert admin["email"] == "root@example.com"
    assert not {"sessions", "emailHash", "version"} & admin.keys()
    role = shown(database, "admin_roles", ROLE)
    assert role["permissions"] == [{"resource": "users", "actions": ["read"]}]
    transaction = shown(database, "transactions", payment)
    assert transaction["userPhone"] == "+2348031234567"
    assert (transaction["metadata"], transaction["allocations"]) == ({"fee": 3}, [])
    assert transaction["notes"] == "brought by her sister"
    ((setting,),) = rows(database, "SELECT id FROM read.system_config")
    config = shown(database, "system_config", setting)
    assert (config["value"], config["dataType"]) == (12.5, "number")
    assert config["updatedBy"] == str(ADMIN)


async def test_a_setting_that_was_reset_and_has_no_default_shows_no_value(database: str) -> None:
    name = config_id("site", "banner")
    on = SetConfig(category="site", key="banner", value=True)
    await told(database, *START, on.work, opens(SystemConfig, name, SystemConfigReset()))
    setting = shown(database, "system_config", name)
    assert (setting["value"], setting["dataType"]) == (None, "boolean")
    assert await rebuilt_equals_live(database)


async def test_money_has_two_decimals_and_a_rate_only_those_it_needs(database: str) -> None:
    await told(database, *START)
    ((text,),) = rows(database, f"SELECT {TABLES['loans'].json(masked=False)} FROM read.loans t")
    assert '"amount":100.00,' in text
    assert '"interestRate":15.36,' in text


async def test_phones_emails_and_names_are_masked_for_those_who_may_not_see_them(
    database: str,
) -> None:
    await told(database, *START)
    masked = shown(database, "users", ADA, masked=True)
    assert (masked["phone"], masked["email"]) == ("+234******4567", "a***@example.com")
    assert masked["name"] == "A***"
    assert shown(database, "loans", LOAN, masked=True)["userPhone"] == "+234******4567"


async def test_a_changed_contact_reaches_every_copy(database: str) -> None:
    await told(database, *START)
    await told(
        database, opens(User, ADA, UserContactChanged(phone="+2348030000000", phone_hash="x"))
    )
    copy = shown(database, "loans", LOAN)
    assert (copy["userPhone"], copy["userEmail"]) == ("+2348030000000", "ada@example.com")
    assert await rebuilt_equals_live(database)


@pytest.mark.parametrize("page", [1, 2, 1000])
async def test_the_size_of_a_page_changes_nothing(database: str, page: int) -> None:
    changed = UserContactChanged(email="new@example.com", email_hash="y")
    assert await told(database, *START, opens(User, ADA, changed), page=page) == EVENTS + 1
    assert shown(database, "loans", LOAN)["userEmail"] == "new@example.com"
    assert await rebuilt_equals_live(database)


async def test_the_audit_log_tells_who_what_when_from_where_and_old_and_new(database: str) -> None:
    await told(database, *START, opens(User, ADA, CreditScoreSet(score=650, reason="paid on time")))
    ((found,),) = rows(database, "SELECT id FROM read.audit_logs WHERE action = 'CreditScoreSet'")
    entry = shown(database, "audit_logs", found)
    entry.pop("recordedAt")
    assert entry == {
        "id": str(found),
        "position": EVENTS + 1,
        "action": "CreditScoreSet",
        "entity": "User",
        "entityId": str(ADA),
        "userId": str(ADMIN),
        "userName": "root",
        "userRole": "superadmin",
        "actorType": "admin",
        "actorId": str(ADMIN),
        "apiKeyId": None,
        "apiKeyName": None,
        "approvedById": None,
        "approvedByName": None,
        "changes": {"creditScore": {"old": 500, "new": 650}},
        "ipAddress": "10.0.0.7",
        "userAgent": "a browser",
        "requestId": "r-1",
        "timestamp": WHEN,
    }


async def test_the_audit_log_keeps_personal_words_sealed(database: str) -> None:
    await told(database, *START)
    ((changes,),) = rows(
        database, "SELECT changes FROM read.audit_logs WHERE action = 'UserRegistered' LIMIT 1"
    )
    ((wrapped,),) = rows(
        database, f"SELECT wrapped FROM ledger.personal_keys WHERE person = '{ADA}'"
    )
    sealed = changes["phone"]["new"]
    assert sealed.startswith("~1.")
    assert opened(sealed, {ADA: VAULT.unwrap(ADA, wrapped)}) == "+2348031234567"
    assert changes["creditLimit"] == {"old": None, "new": 1000.5}


async def test_what_the_system_did_names_no_admin(database: str) -> None:
    await written(database, *START)
    system = Stamp(at=AT, actor=SYSTEM)
    await written(database, opens(User, ADA, AutoLimitDisabled()), stamp=system)
    await followed(database)
    query = "SELECT user_id, user_name, actor_type FROM read.audit_logs ORDER BY position DESC"
    assert rows(database, query)[0] == (None, "system", "system")


async def test_an_erased_person_is_gone_from_every_table(database: str) -> None:
    rejected = LoanRejected(reason="she told us she lost her job")
    await told(database, *START, opens(Loan, LOAN, rejected))
    assert shown(database, "loans", LOAN)["rejectionReason"] == "she told us she lost her job"
    await told(database, erases(ADA, UserErased()))
    user = shown(database, "users", ADA)
    assert (user["phone"], user["email"], user["name"], user["erased"]) == (None, None, None, True)
    lent = shown(database, "loans", LOAN)
    assert (lent["userPhone"], lent["userEmail"], lent["rejectionReason"]) == (None, None, None)
    assert lent["metadata"]["purpose"] is None
    assert lent["metadata"]["creditScore"] == 500
    everything = " ".join(
        text
        for table in TABLES
        for (text,) in rows(database, f"SELECT t::text FROM read.{table} t")
    )
    assert not any(w in everything for w in ("8031234567", "ada@", "lost her job", "school fees"))
    assert "bola@example.com" in everything
    assert await rebuilt_equals_live(database)


async def test_any_event_of_an_erased_person_takes_the_words_away(database: str) -> None:
    await told(database, *START)
    await told(database, erases(ADA, AutoLimitDisabled()))
    assert shown(database, "users", ADA)["phone"] is None
    assert shown(database, "loans", LOAN)["userPhone"] is None


def many(count: int) -> list[Any]:
    works = []
    for number in range(count):
        new = WORLD.new_id()
        works += [opens(User, BOLA, reserved(new)), opens(Loan, new, loan(number + 10, BOLA))]
    return works


async def test_killed_between_pages_it_goes_on_where_it_was_and_shows_each_event_once(
    database: str,
) -> None:
    head = await written(database, *START, *many(60))
    while (reached := position(database)) < head:
        task = asyncio.create_task(follow(database, VAULT, page=7))
        while position(database) == reached:  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(0.001)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert once(database)
    assert await rebuilt_equals_live(database)


async def test_two_followers_at_once_show_each_event_once(database: str) -> None:
    tasks = [asyncio.create_task(follow(database, VAULT, page=3)) for _ in range(2)]
    head = await written(database, *START, *many(60))
    await reached(database, head)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert once(database)
    assert await rebuilt_equals_live(database)


def position(url: str) -> int:
    if rows(url, "SELECT to_regclass('read.tracking')") == [(None,)]:
        return 0
    return int(rows(url, "SELECT position FROM read.tracking")[0][0])


async def reached(url: str, head: int) -> None:
    while position(url) < head:  # noqa: ASYNC110 - the tables are looked at from outside
        await asyncio.sleep(0.05)


def once(url: str) -> bool:
    query = "SELECT count(*), count(DISTINCT position), max(position) FROM read.audit_logs"
    ((count, distinct, last),) = rows(url, query)
    return bool(count == distinct == last == position(url))


async def test_it_hears_of_new_events_and_tells_the_readers(database: str) -> None:
    async def story() -> bool:
        task, heard = asyncio.create_task(follow(database, VAULT)), False
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as listener:
            await listener.execute("LISTEN read")
            head = await written(database, *START)
            async for notice in listener.notifies(timeout=60):
                if heard := notice.payload == str(head):
                    break
        task.cancel()
        return heard

    assert await story()


async def test_what_comes_soon_after_a_busy_page_shares_the_next_one_and_a_lone_event_never_waits(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, filled, waits = asyncio.Event(), asyncio.Event(), list[int]()

    async def let_fill() -> None:
        waits.append(position(database))
        begun.set()
        await filled.wait()

    monkeypatch.setattr(follower, "let_fill", let_fill)
    busy = await written(database, *START, *many(follower.BUSY))
    async with (
        asyncio.timeout(60),
        await psycopg.AsyncConnection.connect(database, autocommit=True) as listener,
    ):
        await listener.execute("LISTEN read")
        task = asyncio.create_task(follow(database, VAULT))
        await begun.wait()
        for number in range(3):
            head = await written(
                database, opens(User, ADA, CreditScoreSet(score=number, reason=""))
            )
        filled.set()
        await reached(database, head)
        lone = await written(database, opens(User, ADA, AutoLimitDisabled()))
        await reached(database, lone)
        task.cancel()
        pages = [int(each.payload) async for each in listener.notifies(timeout=0)]
    assert pages == [busy, head, lone]
    assert waits == [busy]


async def test_it_comes_back_when_the_database_ends_its_session(database: str) -> None:
    notices: list[str] = []
    await written(database, *START)
    task = asyncio.create_task(follow(database, VAULT, notices.append))
    await reached(database, EVENTS)
    rows(
        database,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()",
    )
    head = await written(database, opens(User, ADA, AutoLimitDisabled()))
    await reached(database, head)
    task.cancel()
    assert notices
    assert "reader" not in notices[0]


async def test_an_event_that_cannot_be_written_stops_it_with_position_and_cause(
    database: str,
) -> None:
    """Two live roles of one name cannot come from commands; here they stand for any such event."""
    twin = AdminRoleCreated(name="superadmin", description="", permissions=[])
    works = [*START, opens(AdminRole, WORLD.new_id(), twin), *many(3)]

    async def story() -> None:
        await written(database, *works)
        await asyncio.wait_for(follow(database, VAULT), 60)

    with pytest.raises(PoisonEvent, match="admin_roles_name") as poisoned:
        await story()
    assert poisoned.value.position == EVENTS + 1
    assert position(database) == EVENTS


async def test_an_event_that_nobody_knows_stops_it_with_position_and_cause(database: str) -> None:
    await told(database, *START)
    with psycopg.connect(database) as connection:
        connection.execute(
            "INSERT INTO ledger.events (position, stream_id, version, name, body)"
            " VALUES (%s, gen_random_uuid(), 1, 'MoonLanded', '{}')",
            [EVENTS + 1],
        )
    with pytest.raises(PoisonEvent, match=rf"position {EVENTS + 1} \(MoonLanded"):
        await followed(database)


async def test_an_error_quotes_no_personal_word(database: str) -> None:
    twin = user(1, "+2348035555555", "twin@example.com")

    async def story() -> None:
        await written(database, *START, opens(User, WORLD.new_id(), twin))
        await follow(database, VAULT)

    with pytest.raises(PoisonEvent) as poisoned:
        await story()
    words = f"{poisoned.value} {poisoned.value.__cause__} {poisoned.value.cause}"
    assert not any(word in words for word in ("8035555555", "twin@example.com"))


async def test_suspension_is_shown_and_its_reason_is_not(database: str) -> None:
    await told(database, *START, opens(User, ADA, UserSuspended(reason="a long story")))
    assert shown(database, "users", ADA)["status"] == "suspended"
