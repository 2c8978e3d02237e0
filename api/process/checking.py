"""The clock's daily look at the log, its seals and the rows beside it, at a tenth of a core."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Final

from msgspec import Struct
from psycopg import AsyncConnection

from api.installation.outside import Outside
from api.installation.settings import Settings
from projections import seals
from projections.beside import Beside, one_moment
from projections.fold import Poisoned
from projections.signed_note import Untrue
from projections.verify import Verification
from rim_ledger.core import SYSTEM, Stamp
from rim_ledger.due import remind_again
from rim_ledger.faults import note_fault
from rim_ledger.ledger import Ledger
from rim_ledger.vault import Vault
from rim_ledger.world import World

EVERY: Final = 24 * 3600.0
"""Seconds between two looks."""
LOCK: Final = 7_264_010
"""Whoever looks holds this advisory lock: one clock is enough."""
SHARE: Final = 0.1
"""How much of the time is spent on it, at most."""
TOLD: Final = 100
"""Faults that are logged one by one."""

log = logging.getLogger("rim_ledger")


class Pace:
    """Rests after each piece of work, so that it takes no more than a share of the time."""

    def __init__(self, share: float = SHARE) -> None:
        self._idle, self._since = 1 / share - 1, time.monotonic()

    async def __call__(self) -> None:
        await asyncio.sleep(self._idle * (time.monotonic() - self._since))
        self._since = time.monotonic()


class Check(Struct):
    """Looks again and again; events that were found as they were signed are not looked at twice
    by one process, rows always are."""

    settings: Settings
    url: str
    ledger: Ledger
    vault: Vault
    world: World
    share: float = SHARE
    verified: int = 0
    """The position up to which events were as they were signed."""

    async def run(self) -> None:
        """Look once a day for ever. What fails is tried again."""
        while True:
            try:
                await self.look()
            except Exception as error:
                await self._note(f"the daily look failed: {type(error).__name__}")
            await asyncio.sleep(EVERY)

    async def look(self) -> int:
        """Look once, put reminders back that are lost, and note what is wrong as an error of the
        system; how many faults that was. None where another clock is at it."""
        found = 0
        async with await AsyncConnection.connect(self.url, autocommit=True) as connection:
            lock = "SELECT pg_try_advisory_lock(%s)"
            if (await (await connection.execute(lock, [LOCK])).fetchone()) != (True,):
                return 0
            async for fault in self._faults(connection):
                found += 1
                if found <= TOLD:
                    log.error("%s", fault)
        if found:
            await self._note(f"{found} faults, see rim-ledger verify")
        return found

    async def _faults(self, connection: seals.Connection) -> AsyncIterator[str]:
        try:
            async for fault in self._events(connection):
                yield fault
            async with one_moment(self.url) as still:
                beside = Beside(still, self.vault, self.world.now(), Pace(self.share))
                async for fault in beside.faults():
                    yield fault
            for due in beside.lost:
                stamp = Stamp(at=self.world.now(), actor=SYSTEM)
                await self.ledger.submit(remind_again(due), stamp)
        except (Poisoned, Untrue) as error:
            yield str(error)

    async def _events(self, connection: seals.Connection) -> AsyncIterator[str]:
        """What is wrong with the events since the last look, their seals and their codes."""
        origins = await seals.origins(connection, self.vault)
        if origins.last is None:
            return
        kept, mac = Outside(self.settings.home).all(), self.vault.event_mac
        checked = Verification(
            connection, origins, kept, mac, after=self.verified, rest=Pace(self.share)
        )
        whole = True
        async for fault in checked.faults():
            whole = False
            yield fault
        if whole:
            self.verified = checked.sealed

    async def _note(self, words: str) -> None:
        log.error("%s", words)
        await note_fault(self.url, self.world, f"verify: {words}")
