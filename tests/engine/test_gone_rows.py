"""A name or an idempotency key whose row is gone is not free."""

import re
from collections.abc import Awaitable, Callable

import psycopg
import pytest
from msgspec.structs import replace

from rim_ledger.engine import adopted_secrets
from rim_ledger.engine.adopted_secrets import adopt_names
from rim_ledger.engine.aggregate import Actor
from rim_ledger.engine.event_mac import RowForged, leaf
from rim_ledger.engine.idempotency import Idempotency, Receipt
from rim_ledger.engine.ledger import Ledger, Work
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.store import CLAIMS, INDEXES_ONLY, OUTCOMES, PLAN_ONCE
from rim_ledger.engine.unit_of_work import UnitOfWork
from tests.engine.test_ledger import VAULT, WORLD, a_ledger, coins, on_ledger, rows
from tests.engine.test_rows import did, find, label, on_new_release, tamper, unlabel
from tests.sample import JARS, STAMP, add_coin, open_jar

LABELS = "ledger.claims WHERE kind = 'label'"


async def test_a_name_whose_row_is_gone_is_not_taken_again(database: str) -> None:
    jar, other = WORLD.new_id(), WORLD.new_id()
    await did(database, open_jar(jar, label="mine"), open_jar(other))
    tamper(database, f"DELETE FROM {LABELS}")
    for work in (label(other, "mine"), label(jar, "mine"), find("label", "mine", [], jar)):
        with pytest.raises(RowForged, match=r"ledger.claims for the kind label does not follow"):
            await did(database, work)
    await did(database, label(other, "another"))
    assert rows(database, f"SELECT name, stream_id FROM {LABELS}") == [("another", other)]


async def test_a_name_whose_row_is_gone_is_missed_in_the_process_that_took_it_as_well(
    database: str,
) -> None:
    jar, other = WORLD.new_id(), WORLD.new_id()
    async with a_ledger(database) as ledger:
        await ledger.submit(open_jar(jar, label="mine"), STAMP)
        await ledger.submit(open_jar(other), STAMP)
        tamper(database, f"DELETE FROM {LABELS}")
        with pytest.raises(Refused, match="mine is taken"):
            await ledger.submit(label(other, "mine"), STAMP)
        async with Ledger(database, JARS, ledger.cache.vault, WORLD) as cold:
            with pytest.raises(RowForged):
                await cold.submit(label(other, "mine"), STAMP)
            await cold.submit(add_coin(jar), STAMP)
        await ledger.submit(add_coin(jar), STAMP)  # It learns that another process has written.
        with pytest.raises(RowForged):
            await ledger.submit(label(other, "mine"), STAMP)


async def test_a_name_is_free_when_the_newest_event_that_tells_of_it_gives_it_back(
    database: str,
) -> None:
    jar, other = WORLD.new_id(), WORLD.new_id()
    await did(database, open_jar(jar, label="salt"), open_jar(other))
    for here, there in ((jar, other), (other, jar)):
        await did(database, unlabel(here, "salt"), label(there, "salt"))
    tamper(database, f"DELETE FROM {LABELS}")
    with pytest.raises(RowForged):
        await did(database, label(other, "salt"))


async def test_a_business_id_whose_row_is_gone_is_not_handed_out_again(database: str) -> None:
    jars = [WORLD.new_id() for _ in range(2)]
    await did(database, *map(open_jar, jars))
    tamper(
        database,
        f"DELETE FROM ledger.claims WHERE kind = 'business-id' AND stream_id = '{jars[1]}'",
        "UPDATE ledger.numbers SET last = 1",
    )
    with pytest.raises(RowForged, match=r"ledger\.claims for the kind business-id"):
        await did(database, open_jar(WORLD.new_id()))


async def test_what_a_name_looks_like_in_an_event_is_no_word_of_somebody_else(
    database: str,
) -> None:
    """Only the beginning of a body tells of names, and nobody else writes that."""
    jar, other = WORLD.new_id(), WORLD.new_id()
    own = '"claims":"x"} {"claims":"'
    await did(database, open_jar(jar, owner=own, label=own), open_jar(other, label="plain"))
    tamper(database, f"DELETE FROM {LABELS} AND stream_id = '{jar}'")
    with pytest.raises(RowForged):
        await did(database, label(other, own))


async def test_an_outcome_that_is_gone_does_not_let_a_command_be_carried_out_again(
    database: str,
) -> None:
    jar = WORLD.new_id()
    await did(database, open_jar(jar))

    def again(key: str, coins: int) -> Callable[[Ledger], Awaitable[object]]:
        idempotency = Idempotency("ada", key, "hash")
        return lambda ledger: ledger.submit(add_coin(jar, coins), STAMP, idempotency)

    await on_ledger(database, again("k", 1))
    with pytest.raises(Refused, match="is full"):
        await on_ledger(database, again("refused", 99))
    assert rows(database, "DELETE FROM ledger.outcomes RETURNING 1") == [(1,), (1,)]
    with pytest.raises(RowForged, match=r"ledger\.outcomes for the key k does not follow"):
        await on_ledger(database, again("k", 1))
    with pytest.raises(Refused, match="is full"):  # Nothing was done, so it is decided anew.
        await on_ledger(database, again("refused", 99))
    await on_ledger(database, again("l", 1))
    assert coins(database, jar) == 2


async def test_an_outcome_is_missed_as_well_if_only_the_admission_told_its_caller(
    database: str,
) -> None:
    jar = WORLD.new_id()

    def admit(uow: UnitOfWork) -> None:
        uow.stamp = replace(uow.stamp, actor=Actor(type="admin", id=jar, name="ada"))

    async def add(ledger: Ledger) -> Receipt:
        return await ledger.submit(add_coin(jar), STAMP, Idempotency("", "k", "hash"), admit)

    await did(database, open_jar(jar))
    await on_ledger(database, add)
    assert (await on_ledger(database, add)).replayed
    tamper(database, "DELETE FROM ledger.outcomes")
    with pytest.raises(RowForged, match=r"ledger\.outcomes for the key k does not follow"):
        await on_ledger(database, add)


def test_events_are_found_by_the_names_they_tell_of_and_not_by_reading_the_log(
    database: str,
) -> None:
    """Also by plans that were made while there were no events."""
    with psycopg.connect(database) as connection:
        connection.execute(INDEXES_ONLY)
        connection.execute(PLAN_ONCE)
        for query in (CLAIMS, OUTCOMES):
            cursor = connection.execute(f"EXPLAIN {query}".encode(), [["a"], ["b"], ["c"]])
            assert "Bitmap Index Scan on events_claims" in str(cursor.fetchall())


def tell_of_no_names(url: str) -> None:
    """Make the events those of an earlier release."""
    mac = VAULT.event_mac
    assert mac
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE ledger.events DISABLE TRIGGER USER")
        query = "SELECT position, stream_id, version, name, body, recorded_at FROM ledger.events"
        for position, stream, version, name, body, at in connection.execute(query).fetchall():
            earlier = re.sub(r'^{"claims":"[^"]*",', "{", body)
            entry = leaf(position, stream, version, name, recorded_at=at, body=earlier.encode())
            connection.execute(
                "UPDATE ledger.events SET body = %s, mac = %s WHERE position = %s",
                [earlier, mac.code(entry), position],
            )
        connection.execute("ALTER TABLE ledger.events ENABLE TRIGGER USER")


async def adopting_names(url: str) -> int:
    """What the start of a service does; how many events it left."""
    before = rows(url, "SELECT count(*) FROM ledger.events")[0][0]
    await on_new_release(url, lambda ledger: adopt_names(url, ledger))
    return int(rows(url, "SELECT count(*) FROM ledger.events")[0][0] - before)


async def test_names_of_a_ledger_from_before_are_missed_as_well(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopted_secrets, "BATCH", 2)
    jar, other, late = (WORLD.new_id() for _ in range(3))

    async def run(work: Work, key: str = "") -> Receipt:
        idempotency = Idempotency("ada", key, "hash") if key else None
        return await on_new_release(
            database, lambda ledger: ledger.submit(work, STAMP, idempotency)
        )

    assert await adopting_names(database) == 0, "there is nothing in it"
    for work in (open_jar(jar, label="a"), open_jar(other, label="b"), label(jar, "c")):
        await run(work)
    await run(add_coin(jar), "k")
    assert await adopting_names(database) == 0, "the events tell of names"
    tell_of_no_names(database)
    assert await adopting_names(database) == 3 + 1 + 1, (
        "five names and a key, two by two, and the end"
    )
    assert await adopting_names(database) == 0, "once"
    await run(unlabel(other, "b"))
    tamper(database, f"DELETE FROM {LABELS} AND name = 'a'", "DELETE FROM ledger.outcomes")
    with pytest.raises(RowForged):
        await run(open_jar(late, label="a"))
    with pytest.raises(RowForged):
        await run(add_coin(jar), "k")
    await run(open_jar(late, label="b"))


async def test_an_update_that_was_interrupted_takes_all_names_over(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopted_secrets, "BATCH", 1)
    jars = [WORLD.new_id() for _ in range(2)]
    for jar in jars:
        await on_new_release(database, lambda ledger, jar=jar: ledger.submit(open_jar(jar), STAMP))
    tell_of_no_names(database)
    whole = await adopting_names(database)
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE ledger.events DISABLE TRIGGER USER")
        connection.execute(
            "DELETE FROM ledger.events"
            " WHERE position > (SELECT max(position) - 2 FROM ledger.events)"
        )
    assert await adopting_names(database) == whole
