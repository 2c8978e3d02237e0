"""Locations of backups and attachments, and the worker that makes backups."""

import re
from pathlib import Path
from typing import Final

from api.config.settings import Settings
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.operator_error import OperatorError
from rim_ledger.storage import Storage, path_of
from rim_ledger.system.backup import Backup
from rim_ledger.system.backup_file import Archive
from rim_ledger.system.backup_worker import BackupLocations, BackupWorker

UNFIT: Final = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
SCHEMES: Final = ("file://", "s3://", "gs://", "az://")


def places(settings: Settings) -> BackupLocations:
    """The configured stores, and what encrypts a backup."""
    backups = {location: Storage(url) for location, url in settings.backup_urls.items()}
    return BackupLocations(backups, Storage(settings.storage_url), settings.secrets)


def backup_worker(settings: Settings, url: str, ledger: Ledger) -> BackupWorker:
    """The worker that makes the backups of a ledger."""
    return BackupWorker(url, ledger, SystemEnvironment(), places(settings))


def archive(settings: Settings, place: str) -> Archive:
    """The backup at a path or at the URL of an object store. Raises OperatorError for a path that
    no store can name."""
    if place.startswith(SCHEMES) and not place.startswith("file://"):
        store, _, name = place.rpartition("/")
        return Archive(Storage(store), name, settings.secrets)
    file = path_of(place) if place.startswith("file://") else Path(place).absolute()
    if UNFIT.search(str(file)):
        raise OperatorError(
            f"{place!r} has control characters or is not UTF-8: give it another name"
        )
    return Archive(Storage(file.parent.as_uri()), file.name, settings.secrets)


def shown(settings: Settings, backup: Backup) -> str:
    """The location of a backup: a path that `archive` takes, or the URL in an object store."""
    store = settings.backup_urls[backup.storage_location]
    return (
        str(path_of(store) / backup.file)
        if store.startswith("file://")
        else f"{store}/{backup.file}"
    )
