"""The tables can be had again from the log, beside the live ones, at any time."""

import asyncio
import itertools
from decimal import Decimal

import psycopg
import pytest

from projections.follow import rebuild as rebuilding
from projections.follow.follower import follow
from projections.follow.rebuild import Busy, Difference, prepare, rebuild
from projections.tables.schema import Outdated, fingerprint, watch
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.ledger import Ledger, Work
from rim_ledger.lending.user import AutoLimitDisabled, User
from rim_ledger.payments.transaction import (
    Transaction,
    TransactionCompleted,
    TransactionRecorded,
    TransactionType,
)
from tests.projections.story import (
    ADA,
    EVENTS,
    LOAN,
    STAMP,
    START,
    VAULT,
    WORLD,
    followed,
    opens,
    rebuilt_equals_live,
    rows,
    told,
    written,
)


def change(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


async def test_a_tampered_table_is_reported_and_mended(database: str) -> None:
    await told(database, *START)
    change(database, f"UPDATE read.users SET credit_limit = 99999 WHERE id = '{ADA}'")
    change(database, f"DELETE FROM read.loans WHERE id = '{LOAN}'")
    found = (await rebuild(database, VAULT)).differences
    assert found == (
        Difference("users", ADA, ("credit_limit",)),
        Difference("loans", LOAN, ("missing",)),
    )
    assert rows(database, f"SELECT credit_limit FROM read.users WHERE id = '{ADA}'") != [(99999,)]
    assert await rebuilt_equals_live(database)


async def test_a_check_reports_and_changes_nothing(database: str) -> None:
    await told(database, *START)
    change(database, "UPDATE read.loans SET user_phone = 'x'")
    checked = await rebuild(database, VAULT, check=True)
    assert checked.differences == (Difference("loans", LOAN, ("user_phone",)),)
    assert not checked.swapped
    assert rows(database, "SELECT user_phone FROM read.loans") == [("x",)]
    assert schemas(database) == LIVE


LIVE = ["read", "read_masked"]


def schemas(url: str) -> list[str]:
    query = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'read%' ORDER BY 1"
    return [name for (name,) in rows(url, query)]


async def test_the_tables_of_a_rebuild_are_made_as_the_live_ones_are(database: str) -> None:
    query = (
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'read' UNION ALL SELECT"
        " conrelid::regclass || pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'read'::regnamespace ORDER BY 1"
    )
    await told(database, *START)
    before = rows(database, query)
    await rebuild(database, VAULT)
    assert rows(database, query) == before


async def test_a_rebuild_tells_how_far_it_is(database: str) -> None:
    await told(database, *START)
    steps: list[tuple[int, int]] = []
    await rebuild(database, VAULT, lambda done, total: steps.append((done, total)))
    assert steps[-1] == (EVENTS, EVENTS)


def test_what_an_interrupted_rebuild_left_is_dropped_by_the_next(database: str) -> None:
    asyncio.run(told(database, *START))

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(rebuild(database, VAULT, interrupt))
    assert schemas(database) == [*LIVE, "read_next", "read_next_masked"]
    assert asyncio.run(rebuild(database, VAULT)).differences == ()
    assert schemas(database) == LIVE


async def test_there_is_one_rebuild_at_a_time(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilding, "LINGERING", 10)
    await told(database, *START)
    with psycopg.connect(database) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [rebuilding.LOCK])
        with pytest.raises(Busy):
            await rebuild(database, VAULT)


WAITING = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def test_a_rebuild_that_has_just_ended_is_not_in_the_way_of_the_next(database: str) -> None:
    """Its session may need a moment until it is gone."""
    await told(database, *START)
    with psycopg.connect(database) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [rebuilding.LOCK])

        async def story() -> None:
            coming = asyncio.create_task(rebuild(database, VAULT))
            while not rows(database, WAITING):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            connection.close()
            assert (await coming).differences == ()

        await story()


async def test_reads_and_the_follower_go_on_during_rebuilds(database: str) -> None:
    reads = 0

    async def read() -> None:
        nonlocal reads
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            while True:
                cursor = await connection.execute(
                    "SELECT count(*) FROM read.loans t JOIN read.users u ON u.id = t.user_id"
                )
                assert await cursor.fetchone() == (1,)
                reads += 1

    await told(database, *START)
    tasks = [asyncio.create_task(read()), asyncio.create_task(follow(database, VAULT))]
    for _ in range(5):
        await written(database, opens(User, ADA, AutoLimitDisabled()))
        assert (await rebuild(database, VAULT)).differences == ()
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert reads > 5
    assert await rebuilt_equals_live(database)


async def test_rebuilds_come_to_their_end_while_money_comes_in(database: str) -> None:
    """Two cashiers record payments, each of which the journal refers to, as fast as they can."""
    number, stopping = itertools.count(1), asyncio.Event()

    def payment() -> Work:
        recorded = TransactionRecorded(
            transaction_id=f"TXN-2026-{next(number):06}",
            user_id=ADA,
            type=TransactionType.REPAYMENT,
            amount=Decimal(50),
        )
        completed = TransactionCompleted(unallocated=Decimal(50))
        return opens(Transaction, WORLD.new_id(), recorded, completed)

    async def cashier(ledger: Ledger) -> None:
        while not stopping.is_set():
            await ledger.submit(payment(), STAMP)

    await told(database, *START)
    async with Ledger(database, ENTITY_OF, VAULT, WORLD) as ledger:
        following = asyncio.create_task(follow(database, VAULT))
        cashiers = [asyncio.create_task(cashier(ledger)) for _ in range(2)]
        for _ in range(3):
            before = ledger.head
            assert (await rebuild(database, VAULT)).differences == ()
            assert ledger.head > before
        assert not following.done()
        stopping.set()
        await asyncio.gather(*cashiers)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    await followed(database)
    assert await rebuilt_equals_live(database)


async def test_tables_that_lag_are_compared_where_they_stand_and_brought_to_the_end_of_the_log(
    database: str,
) -> None:
    await told(database, *START)
    await written(database, opens(User, ADA, AutoLimitDisabled()))
    checked = await rebuild(database, VAULT, check=True)
    assert (checked.position, checked.differences) == (EVENTS, ())
    rebuilt = await rebuild(database, VAULT)
    assert (rebuilt.position, rebuilt.differences) == (EVENTS + 1, ())
    assert await followed(database) == 0


HELD_UP = "SELECT FROM pg_locks WHERE locktype = 'relation' AND NOT granted"


async def test_a_reader_of_the_former_tables_is_let_finish_before_they_are_dropped(
    database: str,
) -> None:
    await told(database, *START)
    async with await psycopg.AsyncConnection.connect(database) as reader:
        await reader.execute("SELECT FROM read.loans")
        task = asyncio.create_task(rebuild(database, VAULT))
        while not rows(database, HELD_UP):  # noqa: ASYNC110 - the drop waits for the reader
            await asyncio.sleep(0.01)
        cursor = await reader.execute("SELECT count(*) FROM read_past.users")
        assert await cursor.fetchone() == (2,)
        await reader.commit()
        assert (await task).swapped
    assert schemas(database) == LIVE


VACUUM = "LOCK TABLE read.users IN SHARE UPDATE EXCLUSIVE MODE"
PATIENT = """
SELECT FROM pg_locks w WHERE mode = 'ShareUpdateExclusiveLock' AND NOT granted AND NOT EXISTS
       (SELECT FROM pg_locks WHERE pid = w.pid AND mode = 'AccessExclusiveLock')"""


async def test_a_vacuum_of_the_former_tables_is_waited_for_so_that_postgres_ends_it(
    database: str,
) -> None:
    """It does so when nobody but the vacuum is in the way of a lock for a second."""

    await told(database, *START)
    async with await psycopg.AsyncConnection.connect(database) as vacuum:
        await vacuum.execute(VACUUM)
        task = asyncio.create_task(rebuild(database, VAULT))
        while not rows(database, PATIENT):  # noqa: ASYNC110 - with no other lock in hand
            await asyncio.sleep(0.01)
        await vacuum.commit()
        assert (await task).swapped
    assert schemas(database) == LIVE


async def test_tables_of_another_version_are_rebuilt_before_they_are_followed(
    database: str,
) -> None:
    await told(database, *START)
    change(database, "COMMENT ON SCHEMA read IS 'of yesterday'")
    with pytest.raises(Outdated):
        await follow(database, VAULT)
    assert await prepare(database, VAULT)
    assert not await prepare(database, VAULT)
    assert await rebuilt_equals_live(database)


async def test_a_version_that_was_replaced_comes_back_on_purpose_only(database: str) -> None:
    await told(database, *START)
    marks = f"of tomorrow\n{fingerprint()}\nof yesterday"
    change(database, f"COMMENT ON SCHEMA read IS '{marks}'")
    with pytest.raises(Outdated, match="has taken over"):
        await prepare(database, VAULT)
    await rebuild(database, VAULT)
    assert not await prepare(database, VAULT)
    mark = rows(database, "SELECT obj_description('read'::regnamespace)")
    assert mark == [(f"{fingerprint()}\nof tomorrow\nof yesterday",)]


async def test_who_watches_hears_at_once_that_another_version_took_over(database: str) -> None:
    await told(database, *START)
    watching = asyncio.create_task(watch(database))
    await asyncio.sleep(1.5)
    assert not watching.done()
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await connection.execute("COMMENT ON SCHEMA read IS 'of tomorrow'")
    with pytest.raises(Outdated):
        await watching


async def test_the_first_tables_are_built_from_the_log_at_once(database: str) -> None:
    await written(database, *START)
    assert await prepare(database, VAULT)
    assert rows(database, "SELECT position FROM read.tracking") == [(EVENTS,)]
    assert schemas(database) == LIVE
