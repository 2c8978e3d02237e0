"""A backup: started, written, verified, offered for download, and deleted."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self, assert_never
from uuid import UUID

from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, Stamp
from rim_ledger.engine.refusals import require
from rim_ledger.system.backup_settings import BackupType, StorageLocation
from rim_ledger.values import LAGOS

KEPT: Final = "backups"
"""The list of backups with a file, the oldest first."""
RUNNING: Final = "backups-running"
"""The list of backups in progress: one at most."""


class BackupStatus(StrEnum):
    """State of a backup. One that was written and is later found unsound has failed as well, until
    it is verified again."""

    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILED = "failed"


class BackupStarted(Event):
    """`parent_id` is the backup that an incremental one is based on; `promoted` says why a full one
    is made where an incremental one was requested. `dated` says that the file is named by date and
    type; older files are named by id alone."""

    name: str
    type: BackupType
    retention_days: int
    storage_location: StorageLocation
    parent_id: UUID | None = None
    promoted: str | None = None
    dated: bool = False


class BackupPromoted(Event):
    """There is no usable parent, so it becomes a full backup."""

    reason: str


class BackupSucceeded(Event):
    """It was written, and verified, up to a position of the log."""

    size: int
    position: int
    events: int
    files: int
    missing: int


class BackupFailed(Event):
    """It could not be written. Its file is deleted."""

    reason: str


class BackupVerificationRequested(Event):
    """An admin asked to verify it again."""


class BackupVerified(Event):
    """It was read again and is sound."""


class BackupFoundUnsound(Event):
    """It was read again and is unsound: it has failed. Its file stays, to be verified again."""

    reason: str


class BackupDownloadOffered(Event):
    """A link to its file was issued; the event holds the hash of its token."""

    token: str
    expires_at: datetime


class BackupDownloaded(Event):
    """The whole file was sent: the link is used up."""


class BackupDeleted(Event):
    """Its file is deleted, on expiry or by command."""

    expired: bool = False


BackupEvent = (
    BackupPromoted
    | BackupSucceeded
    | BackupFailed
    | BackupVerificationRequested
    | BackupVerified
    | BackupFoundUnsound
    | BackupDownloadOffered
    | BackupDownloaded
    | BackupDeleted
)


class Backup(Aggregate):
    name: str
    type: BackupType
    retention_days: int
    storage_location: StorageLocation
    created_at: datetime
    status: BackupStatus = BackupStatus.IN_PROGRESS
    parent_id: UUID | None = None
    promoted: str | None = None
    size: int | None = None
    position: int | None = None
    events: int | None = None
    files: int | None = None
    missing_files: int | None = None
    completed_at: datetime | None = None
    verifying: bool = False
    verified_at: datetime | None = None
    failed_at: datetime | None = None
    failure_reason: str | None = None
    """Why it failed: when it was written, or when it was verified."""
    offer: BackupDownloadOffered | None = None
    dated: bool = False
    deleted_at: datetime | None = None

    @property
    def file(self) -> str:
        """The file's name: the day (Lagos) on which it was started, type and id."""
        day = f"{self.created_at.astimezone(LAGOS):%Y-%m-%d}"
        return f"{day}-{self.type}-{self.id}.rim" if self.dated else f"{self.id}.rim"

    @property
    def kept(self) -> bool:
        """Whether its file exists: it was written completely, and not deleted."""
        return self.position is not None and self.deleted_at is None

    @property
    def keep_until(self) -> datetime:
        """The end of its retention."""
        return (self.completed_at or self.created_at) + timedelta(days=self.retention_days)

    @property
    def sound(self) -> bool:
        """Whether it can be restored, as far as is known."""
        return self.kept and self.status is BackupStatus.SUCCESS

    @property
    def download_url(self) -> str | None:
        """The URL that issues a link to its file."""
        return f"/v1/backups/{self.id}/download" if self.sound else None

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        place = f"{self.created_at.isoformat()} {self.id}"
        if self.status is BackupStatus.IN_PROGRESS:
            return frozenset({(RUNNING, place)})
        return frozenset({(KEPT, place)}) if self.kept else NOWHERE

    def require_present(self) -> None:
        require(self.deleted_at is None, "already-done", "The backup is deleted.")

    def evolve(self, event: BackupEvent, stamp: Stamp) -> Self:  # noqa: PLR0911 - a line an event
        match event:
            case BackupPromoted():
                return self.but(type=BackupType.FULL, parent_id=None, promoted=event.reason)
            case BackupSucceeded():
                return self.taking(
                    event,
                    status=BackupStatus.SUCCESS,
                    missing_files=event.missing,
                    completed_at=stamp.at,
                    verified_at=stamp.at,
                )
            case BackupFailed():
                return self._failed(event.reason, stamp).but(completed_at=stamp.at)
            case BackupVerificationRequested():
                return self.but(verifying=True)
            case BackupVerified():
                whole = self.but(status=BackupStatus.SUCCESS, failed_at=None, failure_reason=None)
                return whole.but(verifying=False, verified_at=stamp.at)
            case BackupFoundUnsound():
                failed = self._failed(event.reason, stamp)
                return failed.but(verifying=False, verified_at=None, offer=None)
            case BackupDownloadOffered():
                return self.but(offer=event)
            case BackupDownloaded():
                return self.but(offer=None)
            case BackupDeleted():
                return self.but(deleted_at=stamp.at, verifying=False, offer=None)
            case _:
                assert_never(event)

    def _failed(self, reason: str, stamp: Stamp) -> Self:
        return self.but(status=BackupStatus.FAILED, failed_at=stamp.at, failure_reason=reason)
