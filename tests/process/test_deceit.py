"""Somebody changes what is signed, past all rules: it is noticed, and nothing untrue is signed."""

import asyncio

import pytest
from psycopg import AsyncConnection

from api.installation.database import Unfit, open_vault
from api.installation.settings import Settings
from api.process import cli, sealing
from api.process.backup_commands import restore
from projections import seals
from projections.seals import Contradiction
from rim_ledger.world import RealWorld
from tests.process.lost import Ledger

PATIENCE = 60.0
"""Seconds until what should have ended by itself has not."""


def cut(ledger: Ledger, size: int) -> None:
    """Take what was signed last out of the store, with its seals."""
    ledger.change(f"DELETE FROM ledger.events WHERE position > {size}")
    ledger.change(f"DELETE FROM ledger.checkpoints WHERE size > {size}")


def test_a_tail_that_is_cut_while_the_sealer_runs_is_not_signed_otherwise(ledger: Ledger) -> None:
    first = ledger.seal()
    ledger.go_on()

    async def run() -> None:
        signing = asyncio.create_task(sealing.seal(Settings.load(), ledger.url))
        await ledger.signed(signing)
        cut(ledger, first.size)
        await asyncio.to_thread(ledger.go_on)
        await asyncio.to_thread(ledger.go_on)
        with pytest.raises(Contradiction, match="signed"):
            await asyncio.wait_for(signing, PATIENCE)

    asyncio.run(run())
    assert ledger.last().size == first.size + 2
    with pytest.raises(Unfit, match=r"database contradicts .*: the first"):
        cli.init()
    assert f"checkpoint of {first.size + 2} events: another root was signed" in ledger.finds()


def test_an_origin_that_no_restore_opened_excuses_nothing(ledger: Ledger) -> None:
    """Somebody has the database and the master secret, but not what is kept outside."""
    first = ledger.seal()
    ledger.go_on()
    last = ledger.seal()

    async def forge() -> None:
        async with await AsyncConnection.connect(ledger.url) as connection:
            vault = open_vault(Settings.load(), ledger.url)
            await seals.go_on(connection, vault, RealWorld(), [last])

    cut(ledger, first.size)
    asyncio.run(forge())
    forged = ledger.origin
    for command in (cli.init, cli.seal):
        with pytest.raises(Unfit, match=f"{forged} goes on from .*; no restore has said so there"):
            command()
    assert f"{forged} goes on from" in ledger.finds()
    file, _ = ledger.backup()
    ledger.wipe()
    with pytest.raises(Unfit, match=f"backup contradicts .*: {forged} goes on from"):
        restore(file)
    assert not ledger.outside(forged, "opening").exists()
