"""An event that this ledger did not write is never decided on."""

import asyncio

import psycopg
import pytest

from rim_ledger.engine.event_mac import EventMac, Forged
from rim_ledger.engine.ledger import Ledger
from rim_ledger.vault.key_ring import begin_event_macs, open_ring
from rim_ledger.vault.personal_keys import Vault
from tests.engine.test_ledger import WORLD, on_ledger, rows
from tests.sample import JARS, STAMP, add_coin, open_jar

SECRET = b"the master secret of the tests"
CHANGES = {
    "another body": "SET body = replace(body, '\"coins\":2', '\"coins\":9')",
    "another name": "SET name = 'JarOpened'",
    "another time": "SET recorded_at = recorded_at + interval '1 microsecond'",
    "another version": "SET version = version + 7",
    "the code of another event": "SET mac = (SELECT mac FROM ledger.events WHERE position = 1)",
    "no code": "SET mac = NULL",
}
INSERT = """
INSERT INTO ledger.events (position, stream_id, version, name, body, recorded_at, mac)
SELECT position + 1, stream_id, version + 1, name, body, recorded_at, {}
  FROM ledger.events ORDER BY position DESC LIMIT 1"""


def tamper(url: str, *statements: str) -> None:
    """What somebody does who owns the database."""
    with psycopg.connect(url) as connection:
        connection.execute("ALTER TABLE ledger.events DISABLE TRIGGER USER")
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount == 1, statement


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_changed_event_is_refused_by_who_loads_it(database: str, change: str) -> None:
    jar = WORLD.new_id()
    await on_ledger(database, lambda ledger: ledger.submit(open_jar(jar), STAMP))
    await on_ledger(database, lambda ledger: ledger.submit(add_coin(jar, 2), STAMP))
    await on_ledger(database, lambda ledger: ledger.submit(open_jar(WORLD.new_id()), STAMP))
    tamper(database, f"UPDATE ledger.events {change} WHERE position = 2")
    with pytest.raises(Forged, match="position 2 was not written by this ledger"):
        await on_ledger(database, lambda ledger: ledger.submit(add_coin(jar, 1), STAMP))
    assert rows(database, "SELECT max(position) FROM ledger.events") == [(3,)]


async def test_a_forged_event_that_is_loaded_and_not_read_fails_nobody(database: str) -> None:
    jar, other = WORLD.new_id(), WORLD.new_id()

    async def story(ledger: Ledger) -> None:
        reads = [("stream", jar), ("stream", other)]
        reading = ledger.decide(lambda uow: (add_coin(jar)(uow), None), STAMP, reads=reads)
        writing = ledger.decide(lambda uow: (add_coin(other)(uow), None), STAMP, reads=reads)
        read, written = await asyncio.gather(reading, writing, return_exceptions=True)
        assert isinstance(read, Forged)
        assert not isinstance(written, BaseException)

    for work in (open_jar(jar), open_jar(other)):
        await on_ledger(database, lambda ledger, work=work: ledger.submit(work, STAMP))
    tamper(database, "UPDATE ledger.events SET mac = NULL WHERE position = 1")
    await on_ledger(database, story)


async def test_an_event_that_was_taken_out_of_a_stream_is_missed(database: str) -> None:
    jar = WORLD.new_id()
    for work in (open_jar(jar), add_coin(jar, 2), add_coin(jar, 1)):
        await on_ledger(database, lambda ledger, work=work: ledger.submit(work, STAMP))
    tamper(database, "DELETE FROM ledger.events WHERE position = 2")
    with pytest.raises(Forged, match="position 3"):
        await on_ledger(database, lambda ledger: ledger.submit(add_coin(jar, 1), STAMP))


@pytest.mark.parametrize("code", ["NULL", "mac", "sha256(convert_to(body, 'UTF8'))"])
async def test_an_event_in_another_name_stops_the_ledger_that_comes_upon_it(
    database: str, code: str
) -> None:
    jar = WORLD.new_id()

    async def story(ledger: Ledger) -> None:
        await ledger.submit(open_jar(jar), STAMP)
        await ledger.submit(add_coin(jar, 1), STAMP)
        tamper(database, INSERT.format(code))
        for _ in range(2):
            with pytest.raises(Forged, match="position 3"):
                await ledger.submit(add_coin(jar, 1), STAMP)

    await on_ledger(database, story)
    with pytest.raises(Forged, match="position 3"):
        await on_ledger(database, story)
    assert rows(database, "SELECT max(position) FROM ledger.events") == [(3,)]


async def test_a_ledger_that_was_begun_without_codes_goes_on_with_them(database: str) -> None:
    jar = WORLD.new_id()
    await on_ledger(database, lambda ledger: ledger.submit(open_jar(jar), STAMP))
    tamper(database, "UPDATE ledger.events SET mac = NULL")
    old = open_ring(database, [SECRET], WORLD)
    assert old.event_mac is None, "its keys follow from the master secret"
    assert begin_event_macs(database, [SECRET], WORLD)
    assert not begin_event_macs(database, [SECRET], WORLD), "once"
    ring = open_ring(database, [SECRET], WORLD)
    assert ring.event_mac
    assert ring.event_mac.since == 1

    async def story(url: str) -> None:
        async with Ledger(url, JARS, Vault(ring, WORLD), WORLD) as ledger:
            await ledger.submit(add_coin(jar, 1), STAMP)

    await story(database)
    macs = rows(database, "SELECT mac IS NULL FROM ledger.events ORDER BY position")
    assert macs == [(True,), (False,)]


def test_a_code_is_kept_with_where_it_begins() -> None:
    mac = EventMac(b"k" * 32, 70_000)
    kept = EventMac.of(bytes(mac))
    assert (kept.since, kept.code(b"leaf")) == (70_000, mac.code(b"leaf"))
    assert kept.is_right(70_000, b"leaf", None)
    assert not kept.is_right(70_001, b"leaf", None)
    assert kept.is_right(70_001, b"leaf", mac.code(b"leaf"))
    assert not kept.is_right(70_001, b"leaf", EventMac(b"K" * 32).code(b"leaf"))
