"""A chain of backups holds what the database has, table by table, and no more than what changed."""

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection, sql

from rim_ledger.storage import Storage
from rim_ledger.system.backup_chain import Chain, unverified_chain, verified_chain
from rim_ledger.system.backup_dump import LEFT_OUT, Dump
from rim_ledger.system.backup_file import Archive, Sealer
from rim_ledger.system.restore import restore
from tests.system.test_archive import SECRET, WORLD, archive

ODD = ("a", "B", "b", "ab", "a b", "a\tb", "a\nb", "a\\", "\\N", "é", "\U0001f600", "")
"""Names that PostgreSQL escapes, or sorts otherwise than people do."""

EVENT = """INSERT INTO ledger.events (position, stream_id, version, name, body)
SELECT n, md5(n::text)::uuid, 1, 'OutboundResumed', '{"n": ' || n || '}'
  FROM generate_series(%s::int, %s) n"""
CLAIM = """INSERT INTO ledger.claims
SELECT 'phone', md5('phone' || n), md5(n::text)::uuid FROM generate_series(%s::int, %s) n"""
OUTCOME = """INSERT INTO ledger.outcomes
SELECT 'admin', md5('key' || n), md5('request' || n), '{}', now()
  FROM generate_series(%s::int, %s) n"""
KEY = """INSERT INTO ledger.personal_keys
SELECT md5(n::text)::uuid, sha256(n::text::bytea) FROM generate_series(%s::int, %s) n"""
REMINDER = """INSERT INTO ledger.reminders
SELECT 'due', md5(n::text)::uuid, now() FROM generate_series(%s::int, %s) n"""
CALL = """INSERT INTO ledger.calls
SELECT md5('i')::uuid, timestamptz '2026-01-05' + mod(n, 100) * interval '1 s', false
  FROM generate_series(%s::int, %s) n"""

BEGUN = [
    *[(each, [1, 40]) for each in (EVENT, CLAIM, OUTCOME, KEY, REMINDER)],
    (CALL, [1, 300]),  # Rows that are alike, for want of a primary key.
    ("INSERT INTO ledger.secrets VALUES (gen_random_uuid(), %s, %s)", ["password", "x"]),
    ("INSERT INTO ledger.simulated_top_ups (reference, network, amount) VALUES ('a', 'b', 5)", []),
    *[("INSERT INTO ledger.claims VALUES ('odd', %s, gen_random_uuid())", [each]) for each in ODD],
]
"""What a ledger holds at first."""
DONE = [
    [
        (EVENT, [41, 43]),
        ("DELETE FROM ledger.claims WHERE name IN ('a', 'a\\', '')", []),
        ("UPDATE ledger.claims SET stream_id = gen_random_uuid() WHERE name LIKE 'a%'", []),
        ("DELETE FROM ledger.calls WHERE ctid = (SELECT min(ctid) FROM ledger.calls)", []),
        ("UPDATE ledger.personal_keys SET wrapped = NULL, erased_at = now()", []),
    ],
    [
        ("DELETE FROM ledger.reminders", []),
        ("DELETE FROM ledger.outcomes", []),
        ("INSERT INTO ledger.claims VALUES ('odd', 'a', gen_random_uuid())", []),
        (CALL, [7, 9]),
    ],
    [(EVENT, [44, 44]), (REMINDER, [5, 6]), ("DELETE FROM ledger.claims", [])],
]
"""What happens between one backup and the next."""


def carry_out(url: str, statements: list[tuple[str, list[Any]]]) -> None:
    with psycopg.connect(url) as connection:
        for statement, values in statements:
            connection.execute(statement.encode(), values or None)


def content(url: str) -> dict[str, list[str]]:
    """Every row of every table that a backup holds, as text; the events as far as they were."""
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        query = (
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = %s::regnamespace"
        )
        tables = [name for (name,) in connection.execute(query, ["ledger"]).fetchall()]
        found = {}
        for table in {*tables} - {*LEFT_OUT}:
            where = " WHERE name <> 'OutboundStopped'" if table == "events" else ""
            rows = sql.SQL("SELECT t::text FROM ledger.{} t").format(sql.Identifier(table))
            found[table] = sorted(row for (row,) in connection.execute(rows + sql.SQL(where)))
        return found


class Keeper:
    """Makes backups of a database, each going on from the one before it."""

    def __init__(self, url: str, place: Path) -> None:
        self.url, self.place, self.files = url, place, list[Path]()
        self._number = count(1)

    def archives(self) -> list[Archive]:
        return [archive(file) for file in self.files]

    async def make(self, written: Callable[[bytes], bytes] = lambda whole: whole) -> int:
        """One more backup; its bytes."""

        before = await unverified_chain(self.archives()) if self.files else None
        id_, told = WORLD.new_id(), list[tuple[int, int]]()
        dump = Dump(
            url=self.url,
            files=Storage(self.place.as_uri()),
            sealer=Sealer(SECRET, id_, WORLD),
            id=id_,
            before=before,
            report=lambda done, total: told.append((done, total)),
        )
        file = self.place / f"{next(self._number)} Käse.rim"
        file.write_bytes(written(b"".join([part async for part in dump.parts()])))
        assert told[-1][0] == told[-1][1], "all that there is was looked at"
        self.files.append(file)
        return file.stat().st_size

    async def chain(self) -> Chain:
        return await verified_chain(self.archives(), lambda _: None)


async def no_more(_: AsyncConnection[Any]) -> tuple[str, None]:
    return "it goes on elsewhere", None


async def bring_back(url: str, chain: Chain, place: Path) -> None:
    told = list[tuple[int, int]]()
    work = restore(
        url, chain, Storage(place.as_uri()), WORLD, lambda *each: told.append(each), go_on=no_more
    )
    await work
    assert told[-1] == (chain.size, chain.size)


async def test_a_chain_is_brought_back_as_it_was_table_by_table(
    database: str, empty: str, tmp_path: Path
) -> None:
    keeper = Keeper(database, tmp_path)
    carry_out(database, BEGUN)
    await keeper.make()
    for statements in DONE:
        carry_out(database, statements)
        await keeper.make()
    chain = await keeper.chain()
    assert [manifest.position for _, manifest in chain.links] == [40, 43, 43, 44]
    assert all(set(manifest.changes) == set(chain.tables) for _, manifest in chain.links[1:])
    await bring_back(empty, chain, tmp_path)
    assert content(empty) == content(database)


async def test_a_backup_of_an_earlier_version_is_gone_on_from(
    database: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(database, tmp_path)
    carry_out(database, BEGUN)
    with monkeypatch.context() as before:
        # It had every table whole and in no order, and another word at its head.
        before.setattr("rim_ledger.system.backup_file.MAGIC", b"RIM BACKUP 1\n")
        seal = Sealer.manifest
        before.setattr(
            Sealer,
            "manifest",
            lambda self, manifest: seal(self, manifest.__class__(**_of_before(manifest))),
        )
        await keeper.make()
        carry_out(database, DONE[0])
        await keeper.make()
    for statements in DONE[1:]:
        carry_out(database, statements)
        await keeper.make()
    chain = await keeper.chain()
    assert [bool(manifest.changes) for _, manifest in chain.links] == [False, False, False, True]
    await bring_back(empty, chain, tmp_path)
    assert content(empty) == content(database)


def _of_before(manifest: Any) -> dict[str, Any]:
    fields = {name: getattr(manifest, name) for name in manifest.__struct_fields__}
    return fields | {"keys": {}, "changes": [], "parent_file": None, "parent_digest": None}


async def test_an_incremental_backup_after_three_events_is_small(
    database: str, tmp_path: Path
) -> None:
    def grow(first: int, last: int) -> None:
        tables = (EVENT, CLAIM, OUTCOME, KEY, REMINDER, CALL)
        carry_out(database, [(each, [first, last]) for each in tables])

    sizes = {}
    for events in (10, 10_000):
        keeper = Keeper(database, tmp_path)
        grow(1 if events == 10 else 14, events)
        full = await keeper.make()
        grow(events + 1, events + 3)
        sizes[events] = await keeper.make()
    assert full > 1_000_000
    assert sizes[10_000] - sizes[10] < 1_000
    assert sizes[10_000] < 5_000


async def test_a_table_with_other_columns_goes_in_whole(database: str, tmp_path: Path) -> None:
    keeper = Keeper(database, tmp_path)
    carry_out(database, BEGUN)
    await keeper.make()
    carry_out(database, [("ALTER TABLE ledger.reminders ADD COLUMN why text", [])])
    await keeper.make()
    last = (await keeper.chain()).last
    assert {*(await keeper.chain()).tables} - {*last.changes} == {"reminders"}
    assert sum(piece.lines for piece in last.pieces if piece.of == "reminders") == 40
