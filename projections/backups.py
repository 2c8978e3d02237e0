"""Backups, their settings and the outbound switch, as clients see them."""

from typing import Annotated
from uuid import UUID

from projections.tables.columns import Indexed, Key, Moment, References
from projections.tables.table import Row
from rim_ledger.delivery.kill_switch import Outbound
from rim_ledger.system.backup import Backup, BackupStatus
from rim_ledger.system.backup_settings import (
    BackupFrequency,
    BackupSettings,
    BackupType,
    StorageLocation,
)


class BackupSettingsRow(Row, table="backup_settings", of=BackupSettings, newest="updated_at"):
    """When backups are made by themselves, and where they lie. nextBackup is null while that is
    off."""

    id: Key
    enabled: bool
    frequency: BackupFrequency
    time: str
    retention_days: int
    backup_type: BackupType
    storage_location: StorageLocation
    cloud_provider: str | None
    last_backup: Moment | None
    next_backup: Moment | None
    updated_at: Moment


class BackupRow(Row, table="backups", of=Backup):
    """A backup. An incremental one goes on from parentId; `promoted` says why it is a full one
    although an incremental one was asked for. downloadUrl is where a link to its file is asked
    for. failureReason is why it failed: when it was made, or when it was read again."""

    id: Key
    name: str
    type: BackupType
    size: int | None
    status: Annotated[BackupStatus, Indexed]
    created_at: Annotated[Moment, Indexed]
    completed_at: Moment | None
    retention_days: int
    download_url: str | None
    parent_id: Annotated[UUID | None, References("backups")]
    promoted: str | None
    storage_location: StorageLocation
    position: int | None
    events: int | None
    files: int | None
    missing_files: int | None
    verifying: bool
    verified_at: Moment | None
    failed_at: Moment | None
    failure_reason: str | None
    deleted_at: Moment | None
    updated_at: Moment


class OutboundRow(Row, table="outbound", of=Outbound, newest="updated_at"):
    """Whether anything leaves the house: airtime, messages, calls to providers."""

    id: Key
    enabled: bool
    reason: str | None
    updated_at: Moment
