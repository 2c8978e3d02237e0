"""What is past its retention is deleted, in batches, beside writers; what a rule reads is not."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest

from projections.follow.streams import moments
from projections.proofs.derived_rows import DerivedRows
from rim_ledger import retention
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.idempotency import Idempotency, Receipt
from rim_ledger.engine.ledger import Ledger, Work
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.user import User
from rim_ledger.retention import BEYOND, RETENTIONS, Retention, drop_expired
from tests.engine.test_ledger import coins, rows
from tests.projections.story import ADA, BOLA, LOAN, VAULT, followed, found, opens, reserved, user
from tests.projections.story import STAMP as STORY
from tests.sample import JARS, STAMP, add_coin, open_jar
from tests.spec import START, TestWorld

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
JAR = UUID(int=7)

# What no rule deletes by the time: a row for each thing that is there, or evidence with seals.
KEPT = {
    "events": "the log",
    **dict.fromkeys(("tiles", "checkpoints"), "its seals"),
    **dict.fromkeys(("activity", "refused_requests", "activity_places"), "sealed: dropped by span"),
    **dict.fromkeys(("activity_tiles", "activity_spans"), "seals of activity"),
    "claims": "a row for each name that is held",
    **dict.fromkeys(("secrets", "personal_keys", "key_ring"), "a row for each key or secret"),
    "reminders": "a row for each thing that falls due",
    "numbers": "a row for each kind of number and year",
    "snapshots": "a row for each long stream",
    "milestones": "a row for every 128 events of a stream",
    "exports": "two for each admin at most, for a day, with their files",
    **dict.fromkeys(("heartbeats", "paces"), "a row for each process, or provider"),
    "simulated_top_ups": "the book of the simulator, which takes the place of a telco",
}


def test_each_table_of_the_ledger_has_a_retention_or_a_reason_for_none(database: str) -> None:
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'"
    named = {name for (name,) in rows(database, tables)}
    with_retention = {each.table for each in RETENTIONS}
    assert with_retention | KEPT.keys() == named
    assert not with_retention & KEPT.keys()


@pytest.mark.parametrize("each", RETENTIONS, ids=[each.table for each in RETENTIONS])
def test_the_oldest_rows_are_found_by_an_index(database: str, each: Retention) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = connection.execute(f"EXPLAIN {each.delete}".encode(), [NOW, 10]).fetchall()
    assert "Index" in str(plan)
    assert "Sort" not in str(plan)


async def run(url: str, world: TestWorld, work: Work, key: str) -> Receipt:
    async with Ledger(url, JARS, VAULT, world) as ledger:
        return await ledger.submit(work, STAMP, Idempotency("ada", key, "hash"))


async def test_a_key_whose_answer_is_stored_no_more_is_refused_and_nothing_is_done_again(
    database: str,
) -> None:
    world = TestWorld()
    await run(database, world, open_jar(JAR), "open")
    await run(database, world, add_coin(JAR), "coin")
    with pytest.raises(Refused, match="is full"):
        await run(database, world, add_coin(JAR, 99), "full")
    world.pass_days((30 * DAY + BEYOND) / DAY)
    assert await drop_expired(database, world.now() - timedelta(seconds=1)) == 0
    assert (await run(database, world, add_coin(JAR), "coin")).replayed
    await run(database, world, add_coin(JAR), "young")
    assert await drop_expired(database, world.now()) == 3
    with pytest.raises(Refused, match="The key coin was used on 2026-01-05") as refused:
        await run(database, world, add_coin(JAR), "coin")
    assert refused.value.code == "idempotency-key-expired"
    assert (await run(database, world, add_coin(JAR), "young")).replayed
    with pytest.raises(Refused, match="is full"):  # It did nothing, so its key is free again.
        await run(database, world, add_coin(JAR, 99), "full")
    assert coins(database, JAR) == 2


async def test_an_outcome_that_is_gone_before_its_time_is_missed_by_the_verification(
    database: str,
) -> None:
    world = TestWorld()

    async def keep(key: str, work: Work) -> None:
        async with Ledger(database, ENTITY_OF, VAULT, world) as ledger:
            await ledger.submit(work, STORY, Idempotency("ada", key, "hash"))

    async def faults(days: float) -> list[str]:
        async with moments(database) as still:
            every = DerivedRows(still, VAULT, START + days * DAY).faults()
            return [fault async for fault in every if fault.startswith("ledger.outcomes")]

    await keep("first", found)
    await keep("old", opens(User, ADA, user()))
    world.pass_days(20)
    await keep("young", opens(User, BOLA, user(2, "+2348031234568", "bola@example.com")))
    await keep("gone", opens(User, ADA, reserved(LOAN)))
    await followed(database)
    assert await faults(40) == []
    assert await drop_expired(database, START + 40 * DAY) == 2
    assert await faults(40) == []
    assert rows(database, "DELETE FROM ledger.outcomes WHERE key = 'gone' RETURNING key")
    assert await faults(40) == ["ledger.outcomes: 1 are missing"]
    assert await faults(52) == []


async def test_what_is_long_past_goes_in_batches_beside_a_writer_who_holds_a_row(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    old, young = NOW - 31 * DAY, NOW - 29 * DAY
    entry = "INSERT INTO ledger.refused_entries VALUES (%s, 'log-in', %s, '', 1)"
    with psycopg.connect(database) as connection:
        for nth in range(5):
            connection.execute(entry, [old, f"refused-{nth}"])
        connection.execute(entry, [young, "refused"])
        connection.execute("INSERT INTO ledger.counts VALUES ('2026-02-26', %s, 'files', 1)", [JAR])
        connection.execute("INSERT INTO ledger.counts VALUES ('2026-02-27', %s, 'files', 1)", [JAR])
        connection.commit()
        held = "UPDATE ledger.refused_entries SET count = 2 WHERE outcome = 'refused-3'"
        connection.execute(held)
        assert await drop_expired(database, NOW, 0) == 5
    left = "SELECT outcome, count FROM ledger.refused_entries ORDER BY outcome"
    assert rows(database, left) == [("refused", 1), ("refused-3", 2)]
    assert rows(database, "SELECT day::text FROM ledger.counts") == [("2026-02-27",)]
    assert await drop_expired(database, NOW, 0) == 1
