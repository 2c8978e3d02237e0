"""Somebody changes what is signed, past all rules: it is noticed, and nothing untrue is signed."""

import asyncio

import pytest

from api.installation.database import Unfit
from api.installation.settings import Settings
from api.process import cli, sealing
from projections.seals import Contradiction
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
