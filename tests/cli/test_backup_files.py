"""Backups are found under whatever name people give them."""

from datetime import timedelta
from pathlib import Path

import pytest

from api.config.backup_files import archive, shown
from api.config.settings import Settings
from rim_ledger.operator_error import OperatorError
from rim_ledger.system.backup import Backup
from rim_ledger.system.backup_settings import BackupType, StorageLocation
from rim_ledger.values import derived_id
from tests.spec import START
from tests.system.test_archive import SECRET, write

NAMES = [
    "full.rim",
    "a b.rim",
    "a%20b.rim",
    "50%.rim",
    "Käse.rim",
    "Ka\N{COMBINING DIAERESIS}se.rim",
    "a (1).rim",
    "a#1.rim",
    "a?b=c&d.rim",
    "[a]*~'\".rim",
    "..rim",
    "~a.rim",
    "-a:b.rim",
]


@pytest.mark.parametrize("place", ["plain", "d e", "ü%20(x)#1?"])
@pytest.mark.parametrize("name", NAMES)
async def test_a_backup_is_found_under_its_name(
    name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / place / name
    file.parent.mkdir()
    written, manifest = await write(tmp_path, b"1\n")
    written.rename(file)
    settings = Settings(secret_key=SECRET, home=tmp_path / "home")
    monkeypatch.chdir(tmp_path)
    for given in (str(file), f"{place}/{name}", f"{place}/../{place}/{name}", file.as_uri()):
        found = archive(settings, given)
        assert await found.size() == file.stat().st_size, given
        assert await found.manifest() == manifest
    assert await archive(settings, f"{file}.gone").size() is None


@pytest.mark.parametrize("name", ["a\nb.rim", "a\udcff.rim", "\x7f/a.rim"])
def test_a_path_that_no_store_can_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="give it another name"):
        archive(Settings(secret_key=SECRET, home=tmp_path), name)


async def test_looking_for_a_backup_makes_no_directory(tmp_path: Path) -> None:
    missing = archive(Settings(secret_key=SECRET, home=tmp_path), str(tmp_path / "a" / "b.rim"))
    assert await missing.size() is None
    assert not list(tmp_path.iterdir())


def test_where_a_backup_lies_is_shown_as_its_path(tmp_path: Path) -> None:
    home = tmp_path / "ü b%20"
    backup = Backup(
        id=derived_id("backup"),
        name="full",
        type=BackupType.FULL,
        retention_days=30,
        storage_location=StorageLocation.LOCAL,
        created_at=START,
    )
    settings = Settings(secret_key=SECRET, home=home, backups="s3://bucket/rim")
    assert shown(settings, backup) == f"{home}/backups/{backup.id}.rim"
    late = START.replace(hour=23, minute=30)
    dated = backup.but(dated=True, created_at=late)
    day = f"{late + timedelta(hours=1):%Y-%m-%d}"
    assert shown(settings, dated) == f"{home}/backups/{day}-full-{backup.id}.rim"
    more = dated.but(type=BackupType.INCREMENTAL)
    assert more.file == f"{day}-incremental-{backup.id}.rim"
    cloud = backup.but(storage_location=StorageLocation.CLOUD)
    assert shown(settings, cloud) == f"s3://bucket/rim/{backup.id}.rim"
