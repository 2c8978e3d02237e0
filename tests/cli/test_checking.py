"""The clock's daily look: it tells of each fault once, and no more often than once a day."""

import asyncio
import contextlib
from datetime import timedelta

import msgspec
import pytest

from api.cli import daily_check
from api.cli.daily_check import Check, CheckProgress
from api.config.database import open_ledger, open_vault
from api.config.settings import Settings
from rim_ledger.engine.environment import SystemEnvironment
from tests.cli.lost import Ledger

ADMIN = """
purpose = 'password' AND owner = (SELECT stream_id FROM ledger.events WHERE name = 'AdminCreated'
                                     AND body::json #>> '{data,username}' = 'admin')"""
OWN = f"UPDATE ledger.secrets SET secret = 'own' WHERE {ADMIN}"
FAULTS = "SELECT count(*) FROM ledger.faults WHERE place LIKE 'verify: ledger.secrets: password%'"


async def looks(ledger: Ledger, *, for_ever: bool = False) -> int | None:
    """What the clock does, in all the time that it needs."""
    settings, environment = Settings.load(), SystemEnvironment()
    async with open_ledger(settings, ledger.url) as opened:
        vault = open_vault(settings, ledger.url)
        check = Check(settings, ledger.url, opened, vault, environment, share=1)
        if not for_ever:
            return await check.run_once()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(check.run(), 1)
        return None


def run_once(ledger: Ledger) -> int | None:
    return asyncio.run(looks(ledger))


def test_a_fault_is_told_once_until_it_is_gone(ledger: Ledger) -> None:
    before = ledger.ask(f"SELECT secret FROM ledger.secrets WHERE {ADMIN}")
    ledger.seal()
    assert run_once(ledger) == 0
    ledger.change(OWN)
    assert (run_once(ledger), run_once(ledger)) == (1, 1)
    assert ledger.ask(FAULTS) == 1
    ledger.change(f"UPDATE ledger.secrets SET secret = '{before}' WHERE {ADMIN}")
    assert run_once(ledger) == 0
    ledger.change(OWN)
    assert (run_once(ledger), ledger.ask(FAULTS)) == (1, 2)


def test_too_many_faults_are_told_as_so_many(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daily_check, "REPORTED_MAX", 1)
    ledger.change(OWN)
    ledger.change("DELETE FROM ledger.personal_keys")
    assert run_once(ledger) == 2
    assert ledger.ask("SELECT count(*) FROM ledger.faults WHERE place LIKE '%more than 1 faults%'")


def test_a_process_that_starts_anew_does_not_look_anew(ledger: Ledger) -> None:
    assert run_once(ledger) == 0
    ledger.change(OWN)
    asyncio.run(looks(ledger, for_ever=True))
    assert ledger.ask(FAULTS) == 0
    file = ledger.home / daily_check.NAME
    looked = msgspec.json.decode(file.read_bytes(), type=CheckProgress)
    assert looked.ended_at
    looked.ended_at -= timedelta(days=1)
    file.write_bytes(msgspec.json.encode(looked))
    asyncio.run(looks(ledger, for_ever=True))
    assert ledger.ask(FAULTS) == 1
