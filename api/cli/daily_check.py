"""The clock's daily verification of log, checkpoints, derived rows and read tables."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from psycopg import AsyncConnection

from api.config.checkpoint_files import CheckpointFiles, write_whole
from api.config.settings import Settings
from projections.follow.fold import PoisonEvent
from projections.follow.streams import moments
from projections.proofs import checkpoints
from projections.proofs.derived_rows import DerivedRows, RowsProgress, interruption
from projections.proofs.signed_note import VerificationError
from projections.proofs.verify import Verification
from projections.tables import schema
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.postgres.heartbeat import note_fault
from rim_ledger.reminders import remind_again
from rim_ledger.vault.personal_keys import Vault

EVERY: Final = timedelta(days=1)
"""From the end of one check to the start of the next."""
AGAIN: Final = timedelta(minutes=10)
"""Delay before a failed check, or one that another process runs, is tried again."""
LOCK: Final = 7_264_010
"""Advisory lock of the process that checks."""
SHARE: Final = 0.1
"""Fraction of time that may be spent checking, at most."""
REPORTED_MAX: Final = 100
"""Faults that are logged individually, per check."""
NAME: Final = "checked"
"""The file in RIM_HOME that holds the progress of the check."""

log = logging.getLogger("rim_ledger")


class Pace:
    """Sleeps after each piece of work, so that checking takes no more than a share of the time."""

    def __init__(self, share: float) -> None:
        self._idle, self._since = 1 / share - 1, time.monotonic()

    async def __call__(self) -> None:
        await asyncio.sleep(self._idle * (time.monotonic() - self._since))
        self._since = time.monotonic()


class CheckProgress(Struct):
    """Progress of a check. Stored outside the database, so that a restarted process continues from
    there and reports no fault twice."""

    of: str
    """Identifies the log and the version of the read tables."""
    ended_at: datetime | None = None
    """When the last check was completed."""
    place: RowsProgress | None = None
    """None until the events are verified."""
    found: list[str] = []
    told: list[str] = []
    """Faults reported by this check and the previous one."""

    def next(self, now: datetime) -> "CheckProgress":
        """Give the progress to store once a check is complete."""
        return CheckProgress(self.of, ended_at=now, told=self.found)


class Check(Struct):
    """Verifies periodically."""

    settings: Settings
    url: str
    ledger: Ledger
    vault: Vault
    environment: Environment
    share: float = SHARE

    async def run(self) -> None:
        """Check daily until cancelled. A failed check is tried again after AGAIN."""
        while True:
            wait = self._due_in()
            if wait <= timedelta():
                wait = AGAIN
                try:
                    await self.run_once()
                except Exception as error:
                    await self._note(f"the daily look failed: {type(error).__name__}")
            await asyncio.sleep(wait.total_seconds())

    async def run_once(self) -> int | None:
        """Start or continue a check and complete it: restore lost reminders, and report each new
        fault as a system error. Gives the number of faults; None if another process holds the
        lock."""
        async with await AsyncConnection.connect(self.url, autocommit=True) as connection:
            lock = "SELECT pg_try_advisory_lock(%s)"
            if (await (await connection.execute(lock, [LOCK])).fetchone()) != (True,):
                return None
            state = await self._stored_progress(connection)
            async for fault in self._faults(connection, state):
                await self._report(state, fault)
            self._keep(state.next(self.environment.now()))
            # PostgreSQL ends a session, and its locks, a moment after the connection is closed.
            await connection.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
            return len(state.found)

    async def _faults(
        self, connection: checkpoints.Connection, state: CheckProgress
    ) -> AsyncIterator[str]:
        try:
            if state.place is None:
                async for fault in self._events(connection):
                    yield fault
                state.place = RowsProgress()
            pace = Pace(self.share)

            async def rest() -> None:
                while beside.lost:
                    await self.ledger.run(remind_again(beside.lost.pop()))
                self._keep(state)
                await pace()

            async with moments(self.url) as still:
                beside = DerivedRows(still, self.vault, self.environment.now(), state.place, rest)
                async for fault in beside.faults():
                    yield fault
        except PoisonEvent as error:
            yield interruption(error)
        except VerificationError as error:
            yield str(error)

    async def _events(self, connection: checkpoints.Connection) -> AsyncIterator[str]:
        """Yield faults of the events, their checkpoints and their MACs."""
        origins = await checkpoints.origins(connection, self.vault)
        if origins.last is None:
            return
        kept, mac = CheckpointFiles(self.settings.home).all(), self.vault.event_mac
        checked = Verification(connection, origins, kept, mac, Pace(self.share))
        async for fault in checked.faults():
            yield fault

    async def _report(self, state: CheckProgress, fault: str) -> None:
        if fault in state.found or len(state.found) > REPORTED_MAX:
            return
        if len(state.found) == REPORTED_MAX:
            fault = f"there are more than {REPORTED_MAX} faults, see rim-ledger verify"
        state.found.append(fault)
        if fault not in state.told:
            await self._note(fault)

    async def _note(self, words: str) -> None:
        log.error("%s", words)
        await note_fault(self.url, self.environment, f"verify: {words}")

    def _due_in(self) -> timedelta:
        """Time until the next check, AGAIN at most, as another process may complete one first."""
        ended = state.ended_at if (state := self._read()) else None
        return min(AGAIN, ended + EVERY - self.environment.now()) if ended else timedelta()

    async def _stored_progress(self, connection: checkpoints.Connection) -> CheckProgress:
        """The stored progress of the current or last check, if it is of this log."""
        last = (await checkpoints.origins(connection, self.vault)).last
        of = f"{last.verifier.origin if last else ''} {schema.fingerprint()}"
        state = self._read()
        return state if state and state.of == of else CheckProgress(of)

    def _read(self) -> CheckProgress | None:
        with suppress(FileNotFoundError, msgspec.DecodeError):
            return msgspec.json.decode(self._file.read_bytes(), type=CheckProgress)
        return None

    def _keep(self, state: CheckProgress) -> None:
        self.settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self._file, msgspec.json.encode(state).decode())

    @property
    def _file(self) -> Path:
        return self.settings.home / NAME
