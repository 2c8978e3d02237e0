"""Commands on backups: start, verify, delete, download."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation, perform
from rim_ledger.engine.refusals import Unauthenticated, require
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.system.backup import (
    KEPT,
    RUNNING,
    Backup,
    BackupDeleted,
    BackupDownloaded,
    BackupDownloadOffered,
    BackupStarted,
    BackupStatus,
    BackupSucceeded,
    BackupVerificationRequested,
)
from rim_ledger.system.backup_settings import (
    SCHEDULE,
    SETTINGS,
    BackupSettings,
    BackupTaken,
    BackupType,
    ScheduledBackupBegun,
    StorageLocation,
    current,
    schedule_check,
)
from rim_ledger.values import LAGOS, Name

MAKE, VERIFY, DROP = "make-backup", "verify-backup", "drop-backup"
"""Kinds of reminders."""
LATER: Final = timedelta(minutes=1)
KEPT_MAX: Final = 10_000
"""Backups that are read, the oldest first."""
OFFER: Final = timedelta(minutes=5)
"""Validity of a download link."""


class StartBackup(Creation[Backup]):
    """Start a backup. An incremental one is based on the last backup; without one, it becomes a
    full one."""

    type: Annotated[
        Annotated[BackupType, Field(strict=False)] | None,
        Field(description="full or incremental; as the settings say, when left out."),
    ] = None
    name: Annotated[Name | None, Field(description="A name; type and time, when left out.")] = None

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        running = "A backup is being made; one at a time."
        require(not uow.listed(RUNNING, 1), "backup-in-progress", running)
        settings = current(uow)
        requested, parent, why = self.type or settings.backup_type, None, None
        if requested is BackupType.INCREMENTAL:
            parent, why = _base(uow, settings.storage_location)
        type_ = BackupType.INCREMENTAL if parent else BackupType.FULL
        uow.remind(MAKE, id, uow.stamp.at)
        yield BackupStarted(
            name=self.name or f"{type_} {uow.stamp.at.astimezone(LAGOS):%Y-%m-%d %H:%M}",
            type=type_,
            retention_days=settings.retention_days,
            storage_location=settings.storage_location,
            parent_id=parent,
            promoted=why,
            dated=True,
        )


class VerifyBackup(Command[Backup]):
    """Verify a backup by reading it again. The result is shown in the backup."""

    def decide(self, aggregate: Backup, uow: UnitOfWork) -> Iterable[Event]:
        require_kept(aggregate)
        require(not aggregate.verifying, "already-done", "The backup is being read already.")
        uow.remind(VERIFY, aggregate.id, uow.stamp.at)
        yield BackupVerificationRequested()


class DeleteBackup(Command[Backup]):
    """Delete a backup and its file, unless an incremental backup is based on it."""

    def decide(self, aggregate: Backup, uow: UnitOfWork) -> Iterable[Event]:
        over = aggregate.status is not BackupStatus.IN_PROGRESS
        require(over, "backup-in-progress", "The backup is being made.")
        children = [each.name for each in kept(uow) if each.parent_id == aggregate.id]
        words = f"Delete what goes on from it first: {', '.join(children)}."
        require(not children, "backup-has-children", words)
        for each in uow.listed(RUNNING, 1):
            needed = uow.read(Backup, each).parent_id != aggregate.id
            require(needed, "backup-in-progress", "A backup that goes on from it is being made.")
        yield from mark_deleted(aggregate, uow)


def mark_deleted(backup: Backup, uow: UnitOfWork, *, expired: bool = False) -> Iterable[Event]:
    """Mark a backup as deleted, and schedule the deletion of its file."""
    uow.forget(VERIFY, backup.id)
    if backup.kept:
        uow.remind(DROP, backup.id, uow.stamp.at)
    yield BackupDeleted(expired=expired)


def require_kept(backup: Backup) -> None:
    """Refuse a backup without a file."""
    there = "The backup has no file: it is not done, could not be made, or is deleted."
    require(backup.kept, "no-backup-file", there)


def require_sound(backup: Backup) -> None:
    """Refuse a backup that cannot be used."""
    require_kept(backup)
    require(backup.sound, "backup-failed", f"The backup failed: {backup.failure_reason}")


def kept(uow: UnitOfWork) -> list[Backup]:
    """Return the backups whose files exist, the oldest first."""
    streams = uow.listed(KEPT, KEPT_MAX)
    uow.look_ahead([partial(uow.find, Backup, stream) for stream in streams])
    return [uow.read(Backup, stream) for stream in streams]


def _base(uow: UnitOfWork, location: StorageLocation) -> tuple[UUID | None, str | None]:
    """Return the parent of an incremental backup; or None, and the reason."""
    if not (known := kept(uow)):
        return None, "There is no backup to go on from."
    last = known[-1]
    if last.storage_location is not location:
        return None, f"The last backup is in another place ({last.storage_location})."
    if weak := next((each for each in (*chain_of(last, uow), last) if not each.sound), None):
        return None, f"The backup '{weak.name}', which it would need, cannot be used."
    return last.id, None


def chain_of(backup: Backup, uow: UnitOfWork) -> Sequence[Backup]:
    """Return the ancestors of a backup: the full one first, its parent last."""
    chain = list[Backup]()
    while backup.parent_id:
        backup = uow.read(Backup, backup.parent_id)
        chain.insert(0, backup)
    return chain


def offer_download(id: UUID, token: str, uow: UnitOfWork) -> BackupDownloadOffered:
    """Issue a link to a backup's file; `token` is the hash of the link's token."""
    require_sound(uow.read(Backup, id))
    offer = BackupDownloadOffered(token=token, expires_at=uow.now + OFFER)
    uow.append(Backup, id, [offer])
    return offer


def find_download(id: UUID, token: str, uow: UnitOfWork) -> Backup:
    """Return the backup of a download link. Raises Unauthenticated."""
    backup = uow.find(Backup, id)
    offer = backup.offer if backup and backup.sound else None
    if backup is None or offer is None or offer.token != token or offer.expires_at <= uow.now:
        words = "This link is unknown, was used, or is too old. Ask for another one."
        raise Unauthenticated("invalid-token", words)
    return backup


def end_download(id: UUID, token: str, uow: UnitOfWork) -> None:
    """Use up a download link, unless a newer one was issued."""
    offer = uow.read(Backup, id).offer
    if offer and offer.token == token:
        uow.append(Backup, id, [BackupDownloaded()])


def check_backup_schedule(uow: UnitOfWork) -> None:
    """Run the backup reminder: start the backup that is due, or wait for the one in progress."""
    settings, at = current(uow), uow.stamp.at
    if (due := settings.next_backup) is None or at < due:
        schedule_check(uow, settings)
    elif uow.listed(RUNNING, 1):
        uow.remind(SCHEDULE, SETTINGS, at + LATER)
    else:
        perform(uow, Backup, None, StartBackup())
        uow.append(BackupSettings, SETTINGS, [ScheduledBackupBegun()])
        schedule_check(uow, current(uow))


@decision
def succeed(uow: UnitOfWork, id: UUID, done: BackupSucceeded) -> None:
    """Record a completed backup, and delete expired ones."""
    backup = uow.read(Backup, id)
    if backup.status is BackupStatus.IN_PROGRESS:
        uow.forget(MAKE, id)
        uow.append(Backup, id, [done])
        uow.append(BackupSettings, SETTINGS, [BackupTaken(backup_id=id)])
        for old in expired(kept(uow), uow.stamp.at):
            uow.append(Backup, old.id, mark_deleted(old, uow, expired=True))
    elif not backup.kept:  # It was given up, and its file was deleted before it was written.
        uow.remind(DROP, id, uow.now)


def expired(backups: Sequence[Backup], now: datetime) -> list[Backup]:
    """Return the backups of chains that have expired as a whole, children first. The chain of the
    newest verified full backup is kept."""
    chains: dict[UUID, list[Backup]] = {}
    root: dict[UUID, UUID] = {}
    for each in backups:
        root[each.id] = root.get(each.parent_id or each.id, each.id)
        chains.setdefault(root[each.id], []).append(each)
    full = [each for each in backups if each.type is BackupType.FULL]
    last = next((each.id for each in reversed(full) if each.verified_at and each.sound), None)
    gone = [
        chain
        for id, chain in chains.items()  # noqa: A001 - the schema's own word
        if id != last and all(now > each.keep_until for each in chain)
    ]
    return [each for chain in gone for each in reversed(chain)]
