"""What may be asked of backups: begin one, read it again, put it away, give out its file."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation, perform
from rim_ledger.engine.refusals import Unauthenticated, require
from rim_ledger.engine.unit_of_work import UnitOfWork, Work
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
"""What the clock is reminded of."""
LATER: Final = timedelta(minutes=1)
KEPT_MAX: Final = 10_000
"""Backups that are looked at, the oldest first."""
OFFER: Final = timedelta(minutes=5)
"""How long a link to a backup's file may be used."""


class StartBackup(Creation[Backup]):
    """Begin a backup. An incremental one goes on from the last; without one, it is a full one."""

    type: Annotated[
        Annotated[BackupType, Field(strict=False)] | None,
        Field(description="full or incremental; as the settings say, when left out."),
    ] = None
    name: Annotated[Name | None, Field(description="A name; type and time, when left out.")] = None

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        running = "A backup is being made; one at a time."
        require(not uow.listed(RUNNING, 1), "backup-in-progress", running)
        settings = current(uow)
        wish, parent, why = self.type or settings.backup_type, None, None
        if wish is BackupType.INCREMENTAL:
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
    """Have the whole of it read again. What comes of it is seen in the backup."""

    def decide(self, aggregate: Backup, uow: UnitOfWork) -> Iterable[Event]:
        require_kept(aggregate)
        require(not aggregate.verifying, "already-done", "The backup is being read already.")
        uow.remind(VERIFY, aggregate.id, uow.stamp.at)
        yield BackupVerificationRequested()


class DeleteBackup(Command[Backup]):
    """Put a backup away; its file is gone for ever. None that others go on from."""

    def decide(self, aggregate: Backup, uow: UnitOfWork) -> Iterable[Event]:
        over = aggregate.status is not BackupStatus.IN_PROGRESS
        require(over, "backup-in-progress", "The backup is being made.")
        children = [each.name for each in kept(uow) if each.parent_id == aggregate.id]
        words = f"Delete what goes on from it first: {', '.join(children)}."
        require(not children, "backup-has-children", words)
        for each in uow.listed(RUNNING, 1):
            needed = uow.read(Backup, each).parent_id != aggregate.id
            require(needed, "backup-in-progress", "A backup that goes on from it is being made.")
        yield from put_away(aggregate, uow)


def put_away(backup: Backup, uow: UnitOfWork, *, expired: bool = False) -> Iterable[Event]:
    """Let go of a backup; its file follows."""
    uow.forget(VERIFY, backup.id)
    if backup.kept:
        uow.remind(DROP, backup.id, uow.stamp.at)
    yield BackupDeleted(expired=expired)


def require_kept(backup: Backup) -> None:
    """Refuse a backup that has no file."""
    there = "The backup has no file: it is not done, could not be made, or is deleted."
    require(backup.kept, "no-backup-file", there)


def require_sound(backup: Backup) -> None:
    """Refuse a backup that cannot be used."""
    require_kept(backup)
    require(backup.sound, "backup-failed", f"The backup failed: {backup.failure_reason}")


def kept(uow: UnitOfWork) -> list[Backup]:
    """The backups whose files are there, the oldest first."""
    streams = uow.listed(KEPT, KEPT_MAX)
    uow.look_ahead([partial(uow.find, Backup, stream) for stream in streams])
    return [uow.read(Backup, stream) for stream in streams]


def _base(uow: UnitOfWork, location: StorageLocation) -> tuple[UUID | None, str | None]:
    """What an incremental backup goes on from; or nothing, and why."""
    if not (known := kept(uow)):
        return None, "There is no backup to go on from."
    last = known[-1]
    if last.storage_location is not location:
        return None, f"The last backup is in another place ({last.storage_location})."
    if weak := next((each for each in (*chain_of(last, uow), last) if not each.sound), None):
        return None, f"The backup '{weak.name}', which it would need, cannot be used."
    return last.id, None


def chain_of(backup: Backup, uow: UnitOfWork) -> Sequence[Backup]:
    """What a backup goes on from: a full one first, its parent last."""
    chain = list[Backup]()
    while backup.parent_id:
        backup = uow.read(Backup, backup.parent_id)
        chain.insert(0, backup)
    return chain


def offer_download(id: UUID, token: str, uow: UnitOfWork) -> BackupDownloadOffered:
    """Give out a link to a backup's file, whose token has this hash."""
    require_sound(uow.read(Backup, id))
    offer = BackupDownloadOffered(token=token, expires_at=uow.now + OFFER)
    uow.append(Backup, id, [offer])
    return offer


def find_download(id: UUID, token: str, uow: UnitOfWork) -> Backup:
    """The backup that a link leads to. Raises Unauthenticated."""
    backup = uow.find(Backup, id)
    offer = backup.offer if backup and backup.sound else None
    if backup is None or offer is None or offer.token != token or offer.expires_at <= uow.now:
        words = "This link is unknown, was used, or is too old. Ask for another one."
        raise Unauthenticated("invalid-token", words)
    return backup


def end_download(id: UUID, token: str, uow: UnitOfWork) -> None:
    """The last byte of the file goes out: its link is one no more, unless there is another."""
    offer = uow.read(Backup, id).offer
    if offer and offer.token == token:
        uow.append(Backup, id, [BackupDownloaded()])


def check_backup_schedule(uow: UnitOfWork) -> UUID:
    """The clock's decision: begin the backup that is due. While another is being made it waits."""
    settings, at = current(uow), uow.stamp.at
    if (due := settings.next_backup) is None or at < due:
        schedule_check(uow, settings)
    elif uow.listed(RUNNING, 1):
        uow.remind(SCHEDULE, SETTINGS, at + LATER)
    else:
        perform(uow, Backup, None, StartBackup())
        uow.append(BackupSettings, SETTINGS, [ScheduledBackupBegun()])
        schedule_check(uow, current(uow))
    return SETTINGS


def succeed(id: UUID, done: BackupSucceeded) -> Work:
    """The backup is made. Now what is too old is put away."""

    def work(uow: UnitOfWork) -> UUID:
        backup = uow.read(Backup, id)
        if backup.status is BackupStatus.IN_PROGRESS:
            uow.forget(MAKE, id)
            uow.append(Backup, id, [done])
            uow.append(BackupSettings, SETTINGS, [BackupTaken(backup_id=id)])
            for old in expired(kept(uow), uow.stamp.at):
                uow.append(Backup, old.id, put_away(old, uow, expired=True))
        elif not backup.kept:  # Somebody gave it up, and has cleared away too early.
            uow.remind(DROP, id, uow.now)
        return id

    return work


def expired(backups: Sequence[Backup], now: datetime) -> list[Backup]:
    """Those of the chains that are too old as a whole, children first. The chain with the newest
    full backup that was found whole stays."""
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
