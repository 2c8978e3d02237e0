"""A restore is one transaction, which ends with the tables of today and a new origin."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from rim_ledger.delivery.kill_switch import OUTBOUND
from rim_ledger.engine.event_mac import EventMac, leaf
from rim_ledger.postgres.migrations import scripts
from rim_ledger.storage import Storage
from rim_ledger.system.backup_chain import Chain, verified_chain
from rim_ledger.system.backup_file import Manifest, Sealer
from rim_ledger.system.restore import restore
from tests.system.test_archive import SECRET, WORLD, archive

EVENT = f"1\t{OUTBOUND}\t1\tOutboundResumed\t2026-01-05 00:00:00+00\t" + "{}\n"
COLUMNS = ["position", "stream_id", "version", "name", "recorded_at", "body"]
EARLIER = sorted(scripts())[:-1]


async def backup(place: Path) -> Chain:
    """One of before the last migration, of one event."""
    sealer = Sealer(SECRET, WORLD.new_id(), WORLD)
    piece = sealer.piece("events", EVENT.encode(), 1)
    manifest = Manifest(
        id=WORLD.new_id(),
        parent=None,
        after=0,
        position=1,
        made_at=WORLD.now(),
        checkpoint=None,
        migrations=EARLIER,
        columns={"events": COLUMNS},
        missing=[],
        pieces=sealer.pieces,
    )
    file = place / "full.rim"
    file.write_bytes(sealer.head + piece + sealer.manifest(manifest))
    return await verified_chain([archive(file)], lambda _: None)


async def brought_back(url: str, place: Path, go_on: Any) -> str:
    files = Storage(place.as_uri())
    work = restore(url, await backup(place), files, WORLD, lambda _, __: None, go_on=go_on)
    return await work


async def test_a_backup_of_an_earlier_version_is_brought_up_to_date_before_its_log_goes_on(
    empty: str, tmp_path: Path
) -> None:
    mac = EventMac(b"a key of the tests", 1)

    async def go_on(connection: AsyncConnection[Any]) -> tuple[str, EventMac]:
        cursor = await connection.execute("SELECT name FROM migrations ORDER BY name")
        assert [name for (name,) in await cursor.fetchall()] == [*scripts()] != EARLIER
        cursor = await connection.execute("SELECT max(position) FROM ledger.events")
        assert await cursor.fetchone() == (1,)
        return "it goes on elsewhere", mac

    assert await brought_back(empty, tmp_path, go_on) == "it goes on elsewhere"
    with psycopg.connect(empty) as connection:
        query = """SELECT position, stream_id, version, name, recorded_at, body, mac
                     FROM ledger.events ORDER BY position"""
        before, (*place, at, body, code) = connection.execute(query).fetchall()
    assert (before[-1], place) == (None, [2, OUTBOUND, 2, "OutboundStopped"])
    assert "The ledger was restored from a backup: it goes on elsewhere." in body
    written = leaf(2, OUTBOUND, 2, "OutboundStopped", recorded_at=at, body=body.encode())
    assert mac.is_right(2, written, code)


async def test_where_the_log_cannot_go_on_nothing_is_restored(empty: str, tmp_path: Path) -> None:
    async def go_on(connection: AsyncConnection[Any]) -> tuple[str, None]:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        await brought_back(empty, tmp_path, go_on)
    with psycopg.connect(empty) as connection:
        query = "SELECT to_regnamespace('ledger'), to_regclass('migrations')"
        assert connection.execute(query).fetchone() == (None, None)
