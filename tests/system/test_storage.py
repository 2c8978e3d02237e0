"""Files that are kept in a directory are for nobody else to read, however open the place was."""

from pathlib import Path

from api.config.database import close_directories
from rim_ledger.storage import Storage


async def keep(place: Path, name: str) -> None:
    await Storage(place.as_uri()).keep(name, [b"words"])


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def test_a_new_directory_and_its_files_are_ours_alone(tmp_path: Path) -> None:
    await keep(tmp_path / "attachments", "one")
    assert mode(tmp_path / "attachments") == 0o700
    assert mode(tmp_path / "attachments" / "one") == 0o600


async def test_a_file_is_ours_alone_in_a_directory_that_others_read(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    await keep(tmp_path, "one")
    assert mode(tmp_path / "one") == 0o600
    assert mode(tmp_path) == 0o755, "it was made by somebody, who wants it so"


async def test_what_an_earlier_version_left_open_is_closed(tmp_path: Path) -> None:
    for name in ("attachments", "backups"):
        place = tmp_path / name
        await keep(place, "one")
        place.chmod(0o755)
        (place / "one").chmod(0o644)
    close_directories(tmp_path)
    for name in ("attachments", "backups"):
        assert mode(tmp_path / name) == 0o700
        assert mode(tmp_path / name / "one") == 0o600
