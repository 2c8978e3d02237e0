"""A stream loaded by its snapshot equals the fold of its events, whatever was done to it."""

import asyncio
import logging
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from psycopg import AsyncConnection

from rim_ledger.engine.cache import Cache
from rim_ledger.engine.entry import Entry
from rim_ledger.engine.event_mac import Forged
from rim_ledger.engine.fingerprint import fingerprint, source
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.snapshots import KEEP, Snapshot, Snapshots
from rim_ledger.engine.store import Store
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault
from tests.conftest import a_database
from tests.engine.test_event_mac import tamper
from tests.engine.test_ledger import VAULT, WORLD, on_ledger, rows
from tests.sample import JARS, STAMP, Jar, add_coin, erase_owner, open_jar

SNAPSHOTS = Cache(JARS, VAULT).snapshots


async def loaded(url: str, *streams: UUID, by_snapshot: bool = True) -> tuple[list[Entry], int]:
    """These streams as a process finds them that knows nothing, and how many events that read."""

    async def load() -> tuple[list[Entry], int]:
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            cache, store = Cache(JARS, VAULT), Store(connection)
            if not by_snapshot:
                cache.snapshots.fingerprints.clear()
            read = await store.streams(streams, cache.snapshots.fingerprints)
            await cache.load_streams(store, streams)
            return [cache.streams[each] for each in streams], len(read)

    return await load()


async def keep(url: str, stream: UUID) -> Snapshot:
    """Keep a stream as it is."""
    ((entry,), _) = await loaded(url, stream, by_snapshot=False)
    snapshot = SNAPSHOTS.made(stream, entry)
    assert snapshot
    put(url, snapshot)
    return snapshot


def put(url: str, snapshot: Snapshot) -> None:
    """Store a row, whatever it says."""
    with psycopg.connect(url) as connection:
        connection.execute(KEEP.encode(), [[column] for column in snapshot])


async def filled(url: str, coins: int = 5) -> UUID:
    """A jar with coins, one event each."""
    jar = WORLD.new_id()

    async def story(ledger: Ledger) -> None:
        await ledger.submit(open_jar(jar, "somebody", f"label {jar}"), STAMP)
        for _ in range(coins):
            await ledger.submit(add_coin(jar), STAMP)

    await on_ledger(url, story)
    return jar


async def test_a_stream_is_loaded_from_its_snapshot_on(database: str) -> None:
    jar = await filled(database)
    await keep(database, jar)
    await on_ledger(database, lambda ledger: ledger.submit(add_coin(jar, 2), STAMP))
    whole, events = await loaded(database, jar, by_snapshot=False)
    assert events == 7
    assert await loaded(database, jar) == (whole, 2), "the last event of the snapshot, and the tail"
    assert whole[0].version == 7
    assert whole[0].kept, "it has a name that does not follow from its state"


async def test_many_streams_are_loaded_in_one_statement(database: str) -> None:
    kept, bare, absent = await filled(database), await filled(database, 1), WORLD.new_id()
    await keep(database, kept)
    entries, events = await loaded(database, kept, bare, absent)
    assert [entry.version for entry in entries] == [6, 2, 0]
    assert events == 3


CHANGES = {
    "another state": "SET state = state || '\\x00'",
    "an earlier version": "SET version = version - 1",
    "a later version": "SET version = version + 1",
    "a version that is far away": "SET version = 9000000000000000000",
    "no version": "SET version = 0",
    "a version below all": "SET version = -1",
    "no code": "SET mac = ''",
    "another code": "SET mac = sha256(state)",
    "nothing": "SET state = '', mac = ''",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_damaged_snapshot_is_noticed_and_not_decided_on(
    database: str, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    jar = await filled(database)
    await keep(database, jar)
    await on_ledger(database, lambda ledger: ledger.submit(add_coin(jar), STAMP))
    tamper(database, f"UPDATE ledger.snapshots {change}")
    whole, _ = await loaded(database, jar, by_snapshot=False)
    with caplog.at_level(logging.ERROR, "rim_ledger"):
        assert (await loaded(database, jar))[0] == whole
    assert f"the snapshot of stream {jar} is damaged" in caplog.text


async def test_the_snapshot_of_another_stream_or_ledger_is_not_decided_on(database: str) -> None:
    rich, poor = await filled(database), await filled(database, 1)
    put(database, (await keep(database, rich))._replace(stream=poor))
    assert (await loaded(database, poor))[0] == (await loaded(database, poor, by_snapshot=False))[0]
    mac = Vault(derived(b"another secret"), WORLD).event_mac
    assert mac
    ((entry,), _) = await loaded(database, rich)
    foreign = Snapshots(JARS, mac).made(rich, entry)
    assert foreign
    put(database, foreign)
    assert (await loaded(database, rich))[0] == [entry]


async def test_a_snapshot_of_events_that_are_not_there_is_not_decided_on(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a database that was brought back to an earlier moment without its snapshots."""
    jar = await filled(database, 3)
    await keep(database, jar)
    tamper(database, "DELETE FROM ledger.events WHERE position = 4")
    entries, _ = await loaded(database, jar)
    assert [entry.version for entry in entries] == [3]
    assert "is damaged" in caplog.text
    await on_ledger(database, lambda ledger: ledger.submit(add_coin(jar, 2), STAMP))
    entries, _ = await loaded(database, jar)
    assert entries == (await loaded(database, jar, by_snapshot=False))[0], (
        "another event is in its place"
    )


async def test_an_event_that_is_missing_after_a_snapshot_is_missed(database: str) -> None:
    jar = await filled(database, 2)
    await keep(database, jar)
    await on_ledger(database, lambda ledger: ledger.submit(add_coin(jar), STAMP))
    await on_ledger(database, lambda ledger: ledger.submit(add_coin(jar), STAMP))
    tamper(database, "DELETE FROM ledger.events WHERE position = 4")
    with pytest.raises(Forged, match="position 5"):
        await on_ledger(database, lambda ledger: ledger.submit(add_coin(jar), STAMP))


async def test_a_snapshot_of_another_fold_is_ignored_in_silence(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    jar = await filled(database)
    put(database, (await keep(database, jar))._replace(fingerprint="of another"))
    assert await loaded(database, jar) == await loaded(database, jar, by_snapshot=False)
    assert not caplog.text


async def test_a_snapshot_has_no_words_in_the_clear(database: str) -> None:
    jar = await filled(database)
    await keep(database, jar)
    await on_ledger(database, lambda ledger: ledger.submit(erase_owner(jar), STAMP))
    ((entry,), _) = await loaded(database, jar)
    assert isinstance(entry.aggregate, Jar)
    assert entry.aggregate.erased
    ((state,),) = rows(database, "SELECT state FROM ledger.snapshots")
    assert b"somebody" not in bytes(state), "words stay sealed, and their key is gone"


def test_a_fingerprint_changes_with_all_that_a_fold_is_made_of() -> None:
    own = fingerprint("Jar", Jar.__module__)
    for changed in (Jar.__module__, "rim_ledger.engine.aggregate"):

        def edited(module: str, changed: str = changed) -> str:
            return source(module) + "\n" * (module == changed)

        assert fingerprint("Jar", Jar.__module__, read=edited) != own, changed
    assert fingerprint("Jar", Jar.__module__, read=source) == own
    assert fingerprint("Lid", Jar.__module__) != own


@pytest.mark.parametrize("text", ["from . import values", "import rim_ledger.nothing_is_called_so"])
def test_what_a_fingerprint_cannot_look_into_is_an_error_or_no_module(text: str) -> None:
    def read(module: str) -> str:
        return text if module == "tests.sample" else source(module)

    if text.startswith("from ."):
        with pytest.raises(LookupError, match="which module"):
            fingerprint("Jar", "tests.sample", read=read)
    else:
        assert fingerprint("Jar", "tests.sample", read=read)
    with pytest.raises(LookupError, match="cannot be read"):
        fingerprint("Jar", "sys")


class Jars(RuleBasedStateMachine):
    """Jars that change, are kept, and are damaged, in any order."""

    server: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.place = a_database(self.server, "template_ledger")
        self.url = self.place.__enter__()
        self.jars: list[UUID] = []
        self.snapshots: list[Snapshot] = []

    def teardown(self) -> None:
        self.place.__exit__(None, None, None)

    @rule(coins=st.integers(0, 4))
    def open(self, coins: int) -> None:
        self.jars.append(asyncio.run(filled(self.url, coins)))
        self.compare()

    @precondition(lambda self: self.jars)
    @rule(data=st.data(), erases=st.booleans())
    def change(self, data: st.DataObject, erases: bool) -> None:
        jar = data.draw(st.sampled_from(self.jars))
        ((entry,), _) = asyncio.run(loaded(self.url, jar, by_snapshot=False))
        assert isinstance(entry.aggregate, Jar)
        if erases and not entry.aggregate.erased:
            asyncio.run(on_ledger(self.url, lambda ledger: ledger.submit(erase_owner(jar), STAMP)))
        elif entry.aggregate.coins < Jar.ROOM:
            asyncio.run(on_ledger(self.url, lambda ledger: ledger.submit(add_coin(jar), STAMP)))
        self.compare()

    @precondition(lambda self: self.jars)
    @rule(data=st.data())
    def keep(self, data: st.DataObject) -> None:
        self.snapshots.append(asyncio.run(keep(self.url, data.draw(st.sampled_from(self.jars)))))
        self.compare()

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def put_back(self, data: st.DataObject) -> None:
        """An older one, as it was."""
        put(self.url, data.draw(st.sampled_from(self.snapshots)))
        self.compare()

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def mix(self, data: st.DataObject) -> None:
        """One that has parts of others, in the place of any stream."""
        parts = [data.draw(st.sampled_from(self.snapshots)) for _ in Snapshot._fields]
        mixed: Any = [part[at] for at, part in enumerate(parts)]
        put(self.url, Snapshot(*mixed)._replace(stream=data.draw(st.sampled_from(self.jars))))
        self.compare()

    def compare(self) -> None:
        """Loading with snapshots and without comes to the same."""
        with_them, _ = asyncio.run(loaded(self.url, *self.jars))
        without, _ = asyncio.run(loaded(self.url, *self.jars, by_snapshot=False))
        assert with_them == without


def test_loading_by_snapshots_is_loading_without(server: str) -> None:
    here = type("JarsHere", (Jars,), {"server": server})
    few = settings(max_examples=6, stateful_step_count=12)
    run_state_machine_as_test(here, settings=few)  # type: ignore[no-untyped-call]
