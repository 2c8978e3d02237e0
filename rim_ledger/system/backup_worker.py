"""Writes, verifies and deletes backups: one process at a time."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import psycopg
from msgspec import Struct

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import perform
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.postgres.pool import lease
from rim_ledger.progress import Progress, unreported
from rim_ledger.storage import Storage
from rim_ledger.system.backup import (
    Backup,
    BackupFailed,
    BackupFoundUnsound,
    BackupPromoted,
    BackupStatus,
    BackupSucceeded,
    BackupVerified,
)
from rim_ledger.system.backup_chain import Chain, unverified_chain
from rim_ledger.system.backup_commands import (
    DROP,
    LATER,
    MAKE,
    VERIFY,
    StartBackup,
    chain_of,
    succeed,
)
from rim_ledger.system.backup_dump import Dump
from rim_ledger.system.backup_file import FILE, Archive, BackupError, Manifest, Sealer
from rim_ledger.system.backup_settings import BackupType, StorageLocation

WAITING_MAX: Final = 2
"""Pieces that are made and not yet stored."""
HEAD_START: Final = timedelta(seconds=10)

log = logging.getLogger(__name__)


class BackupLocations(Struct, frozen=True):
    """Storage of backups and attachments, and the secrets of backups, the current one first."""

    backups: Mapping[StorageLocation, Storage]
    files: Storage
    secrets: Sequence[bytes]

    def of(self, backup: Backup) -> Storage:
        """Return the storage of a backup. Raises Unavailable if there is none."""
        if (storage := self.backups.get(backup.storage_location)) is None:
            words = "RIM_BACKUPS names no object store for backups in the cloud."
            raise Unavailable("storage-unavailable", words)
        return storage

    def archive(self, backup: Backup) -> Archive:
        return Archive(self.of(backup), backup.file, self.secrets)


class BackupWorker:
    """Carries out what was decided about backups. Every step may be repeated after a crash."""

    def __init__(
        self, url: str, ledger: Ledger, environment: Environment, places: BackupLocations
    ) -> None:
        self._url, self._ledger, self._environment, self.places = url, ledger, environment, places
        self._task: asyncio.Task[None] | None = None

    async def start(self, type: BackupType | None) -> UUID:
        """Start a backup that this process writes at once; if it dies, the reminder does. Raises
        Refused."""
        command = StartBackup(type=type)

        def work(uow: UnitOfWork) -> UUID:
            id_ = perform(uow, Backup, None, command)
            uow.remind(MAKE, id_, uow.now + HEAD_START)
            return id_

        return await self._ledger.run(work)

    def begin(self, kind: str, id: UUID) -> None:
        """Run the work of a reminder in the background, unless some is running."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run(kind, id))

    async def drain(self) -> None:
        """Wait for the work that is running."""
        if self._task:
            await asyncio.gather(self._task, return_exceptions=True)

    async def make(self, id: UUID, report: Progress = unreported) -> None:
        """Write a backup, verify it, and record the outcome. If interrupted, the reminder repeats
        it."""
        async with lease(self._url, "backup") as free:
            backup, chain = await self._load(id)
            if not free or backup.status is not BackupStatus.IN_PROGRESS:
                return
            try:
                done = await self._write(backup, chain, report)
            except (Unavailable, BackupError) as error:
                await self.fail(id, str(error))
                return
            except psycopg.Error as error:
                await self.fail(id, f"The database could not be read: {type(error).__name__}.")
                return
            await self._ledger.run(succeed(id, done))

    async def fail(self, id: UUID, reason: str) -> None:
        """Record that a backup failed, and schedule the deletion of its file."""

        def work(uow: UnitOfWork) -> None:
            if uow.read(Backup, id).status is BackupStatus.IN_PROGRESS:
                uow.forget(MAKE, id)
                uow.remind(DROP, id, uow.now)
                uow.append(Backup, id, [BackupFailed(reason=reason)])

        await self._ledger.run(work)

    async def verify(self, id: UUID, report: Callable[[int], None] = lambda _: None) -> None:
        """Verify a backup, and record the outcome."""
        async with lease(self._url, "backup") as free:
            backup, _ = await self._load(id)
            if not free or not backup.verifying:
                return
            outcome: Event = BackupVerified()
            try:
                if await self.places.of(backup).size(backup.file) is None:
                    outcome = BackupFoundUnsound(reason="Its file is gone.")
                else:
                    await self.places.archive(backup).manifest(report)
            except BackupError as error:
                outcome = BackupFoundUnsound(reason=str(error))

            def work(uow: UnitOfWork) -> None:
                uow.forget(VERIFY, id)
                if uow.read(Backup, id).verifying:
                    uow.append(Backup, id, [outcome])

            await self._ledger.run(work)
            if isinstance(outcome, BackupFoundUnsound):
                log.error("the backup %s was read again and cannot be used", id)

    async def drop(self, id: UUID) -> None:
        """Delete the file of a failed or deleted backup."""
        backup, _ = await self._load(id)
        if not backup.kept and backup.status is not BackupStatus.IN_PROGRESS:
            await self.places.of(backup).drop(backup.file)
        await self._ledger.run(lambda uow: uow.forget(DROP, id))

    async def _run(self, kind: str, id: UUID) -> None:
        works: dict[str, Callable[[UUID], Awaitable[None]]] = {
            MAKE: self.make,
            VERIFY: self.verify,
            DROP: self.drop,
        }
        try:
            await works[kind](id)
        except Exception as error:
            log.warning("%s could not be done and is tried again: %s", kind, type(error).__name__)
            with contextlib.suppress(Exception):  # The database may be unavailable as well.
                await self._postpone(kind, id)

    async def _postpone(self, kind: str, id: UUID) -> None:
        """Postpone failed work, so that an unavailable store does not block other reminders."""

        def work(uow: UnitOfWork) -> None:
            backup = uow.read(Backup, id)
            open_ = {
                MAKE: backup.status is BackupStatus.IN_PROGRESS,
                VERIFY: backup.verifying,
                DROP: True,
            }
            if open_[kind]:
                uow.remind(kind, id, uow.now + LATER)

        await self._ledger.run(work)

    async def _write(
        self, backup: Backup, chain: Sequence[Backup], report: Progress
    ) -> BackupSucceeded:
        storage, archive = self.places.of(backup), self.places.archive(backup)
        if await storage.size(backup.file):
            # Written already, but the outcome was not recorded: the process died, or was restored.
            with contextlib.suppress(BackupError):
                return await self._result(backup, await archive.manifest())
        if weak := next((each for each in chain if not each.sound), None):
            backup = await self._promote(backup, f"The backup '{weak.name}' cannot be used.")
        elif chain:
            try:
                before = await unverified_chain([self.places.archive(each) for each in chain])
                return await self._dump(backup, before, report)
            except BackupError as error:
                await storage.drop(backup.file)
                words = f"Of what it would go on from, {error}."
                backup = await self._promote(backup, words)
        return await self._dump(backup, None, report)

    async def _dump(
        self, backup: Backup, before: Chain | None, report: Progress
    ) -> BackupSucceeded:
        archive = self.places.archive(backup)
        dump = Dump(
            url=self._url,
            files=self.places.files,
            sealer=Sealer(self.places.secrets[0], backup.id, self._environment),
            id=backup.id,
            before=before,
            report=report,
        )
        await _store(dump.parts(), self.places.of(backup), backup.file)
        if (manifest := await archive.manifest()) != dump.manifest:
            raise BackupError(
                f"the backup {backup.file} cannot be used: it is not what was written"
            )
        return await self._result(backup, manifest)

    async def _result(self, backup: Backup, manifest: Manifest) -> BackupSucceeded:
        size = await self.places.of(backup).size(backup.file)
        assert size, "what was read a moment ago is there"
        files = {each.of for each in manifest.pieces if each.of.startswith(FILE)}
        return BackupSucceeded(
            size=size,
            position=manifest.position,
            events=manifest.position - manifest.after,
            files=len(files),
            missing=len(manifest.missing),
        )

    async def _promote(self, backup: Backup, reason: str) -> Backup:
        """Make it a full backup; return it as it is then, with another file name."""
        promoted = BackupPromoted(reason=reason)
        await self._ledger.run(lambda uow: uow.append(Backup, backup.id, [promoted]))
        return (await self._load(backup.id))[0]

    async def _load(self, id: UUID) -> tuple[Backup, Sequence[Backup]]:
        """Return a backup and its ancestors, the full one first."""

        def look(uow: UnitOfWork) -> tuple[Backup, Sequence[Backup]]:
            backup = uow.read(Backup, id)
            return backup, chain_of(backup, uow)

        return await self._ledger.run(look)


async def _store(parts: AsyncIterator[bytes], storage: Storage, name: str) -> None:
    """Store parts that a separate task makes: on interruption that task ends first, and returns its
    connection."""
    pieces = asyncio.Queue[bytes | Exception | None](WAITING_MAX)

    async def make() -> None:
        try:
            async for part in parts:
                await pieces.put(part)
        except Exception as error:
            await pieces.put(error)
        else:
            await pieces.put(None)

    async def made() -> AsyncIterator[bytes]:
        while (piece := await pieces.get()) is not None:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    making = asyncio.create_task(make())
    try:
        await storage.keep(name, made())
    finally:
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)
