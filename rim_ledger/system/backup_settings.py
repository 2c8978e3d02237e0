"""The backup settings: one set for the whole service, and when the next backup is due."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Final, Self, assert_never
from uuid import UUID

from pydantic import Field

from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Invalid
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import LAGOS, derived_id

SETTINGS: Final = derived_id("backup-settings")
"""The one stream of the settings."""
SCHEDULE: Final = "backup-schedule"
"""The reminder of the next backup."""
SUNDAY: Final = 6


class BackupFrequency(StrEnum):
    """How often a backup is made."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class BackupType(StrEnum):
    """Everything, or what came since the backup before."""

    FULL = "full"
    INCREMENTAL = "incremental"


class StorageLocation(StrEnum):
    """Where backups are stored."""

    LOCAL = "local"
    CLOUD = "cloud"


class BackupSettingsChanged(Event):
    """Holds changed fields only; the first event holds all defaults. A local storage location has
    no cloud provider."""

    enabled: bool | None = None
    frequency: BackupFrequency | None = None
    time: str | None = None
    retention_days: int | None = None
    backup_type: BackupType | None = None
    storage_location: StorageLocation | None = None
    cloud_provider: str | None = None


class ScheduledBackupBegun(Event):
    """The scheduled backup has begun; one for all that were missed."""


class BackupTaken(Event):
    """A backup was completed, by schedule or not."""

    backup_id: UUID


BackupSettingsEvent = BackupSettingsChanged | ScheduledBackupBegun | BackupTaken
TIMING: Final = ("enabled", "frequency", "time")


class BackupSettings(Aggregate):
    enabled: bool = False
    frequency: BackupFrequency = BackupFrequency.DAILY
    time: str = "02:00"
    retention_days: int = 30
    backup_type: BackupType = BackupType.FULL
    storage_location: StorageLocation = StorageLocation.LOCAL
    cloud_provider: str | None = None
    last_backup: datetime | None = None
    since: datetime | None = None
    """When a scheduled backup last began, or the schedule last changed."""

    @property
    def next_backup(self) -> datetime | None:
        """When the next backup is due (UTC); None if disabled."""
        if not self.enabled or self.since is None:
            return None
        return next_moment(self.frequency, self.time, self.since)

    @classmethod
    def begin(cls, id: UUID, event: BackupSettingsChanged, stamp: Stamp) -> Self:
        return cls(id=id).evolve(event, stamp)

    def evolve(self, event: BackupSettingsEvent, stamp: Stamp) -> Self:
        match event:
            case BackupSettingsChanged():
                changes = event.changes
                if event.storage_location is StorageLocation.LOCAL:
                    changes["cloud_provider"] = None
                if any(field in changes for field in TIMING):
                    changes["since"] = stamp.at
                return self.but(**changes)
            case ScheduledBackupBegun():
                return self.but(since=stamp.at)
            case BackupTaken():
                return self.but(last_backup=stamp.at)
            case _:
                assert_never(event)


DEFAULTS: Final = BackupSettings(id=SETTINGS)


def next_moment(frequency: BackupFrequency, at: str, after: datetime) -> datetime:
    """Return the first moment (UTC) after another at a time of day in Lagos: on any day, on a
    Sunday, or on the first of a month."""
    hour, minute = map(int, at.split(":"))
    day = after.astimezone(LAGOS).date()
    while True:
        moment = datetime.combine(day, time(hour, minute), LAGOS)
        suits = {
            BackupFrequency.DAILY: True,
            BackupFrequency.WEEKLY: day.weekday() == SUNDAY,
            BackupFrequency.MONTHLY: day.day == 1,
        }
        if moment > after and suits[frequency]:
            return moment.astimezone(UTC)
        day += timedelta(days=1)


def current(uow: UnitOfWork) -> BackupSettings:
    """Return the settings as of this decision."""
    return uow.find(BackupSettings, SETTINGS) or DEFAULTS


def set_defaults(uow: UnitOfWork) -> None:
    """Record the default settings, unless there are any."""
    if uow.find(BackupSettings, SETTINGS) is None:
        uow.append(BackupSettings, SETTINGS, [BackupSettingsChanged.of(DEFAULTS)])


class EditBackupSettings(Patch[BackupSettings], use_attribute_docstrings=True):
    """Change when and where backups are made; omitted fields stay as they are."""

    CLEARS = frozenset({"cloud_provider"})

    enabled: bool | None = None
    """Whether backups are made by themselves."""
    frequency: Annotated[BackupFrequency | None, Field(strict=False)] = None
    """Every day, every Sunday, or every first of a month."""
    time: Annotated[
        str | None, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["02:00"])
    ] = None
    """HH:mm in Lagos."""
    retention_days: Annotated[int | None, Field(ge=1, le=3650)] = None
    """Days that later backups are kept."""
    backup_type: Annotated[BackupType | None, Field(strict=False)] = None
    """What those that are made by themselves hold."""
    storage_location: Annotated[StorageLocation | None, Field(strict=False)] = None
    """local is RIM_HOME/backups, cloud is what RIM_BACKUPS names."""
    cloud_provider: Annotated[
        str | None, Field(pattern=r"^[A-Za-z0-9 _.-]{1,64}$", examples=["s3"])
    ] = None
    """Whose object store it is; with cloud only."""

    def decide(self, aggregate: BackupSettings, uow: UnitOfWork) -> Iterable[Event]:
        cloud = (self.storage_location or aggregate.storage_location) is StorageLocation.CLOUD
        keeps = cloud and not self.clears("cloud_provider")
        if cloud != bool(self.cloud_provider or (keeps and aggregate.cloud_provider)):
            words = "A cloud provider belongs to the storage location cloud, and to no other."
            raise Invalid("cloud-provider", words, "/cloudProvider")
        if changes := self.changes(aggregate):
            event = BackupSettingsChanged(**changes)
            schedule_check(uow, aggregate.evolve(event, uow.stamp))
            yield event


def schedule_check(uow: UnitOfWork, settings: BackupSettings) -> None:
    """Schedule the reminder of the next backup, or cancel it."""
    if due := settings.next_backup:
        uow.remind(SCHEDULE, SETTINGS, due)
    else:
        uow.forget(SCHEDULE, SETTINGS)
