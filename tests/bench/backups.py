"""What backing up and bringing back cost."""

from .peers import fresh_database
from .service import TAIL, Service

Figures = dict[str, float]


def backed_up(service: Service) -> Figures:
    """The ledger is backed up, the backup looked at, and brought back into another home."""
    events = service.number(TAIL)
    making = service.run("backup")
    (file,) = (service.home / "backups").iterdir()
    size = file.stat().st_size
    with fresh_database(service.database_url, "restored") as url:
        other = Service(url)
        try:
            looking = other.run(f"verify-backup {file}")
            restoring = other.run(f"restore {file}")
            assert other.number(TAIL) > events, "all are there, and what was said of the restore"
        finally:
            other.end()
    return {
        "events/s backed up": events / making.seconds,
        "MB of a backup": making.megabytes,
        "bytes of a backup's file an event": size / events,
        "events/s of a backup looked at": events / looking.seconds,
        "events/s restored, with read tables": events / restoring.seconds,
        "MB of a restore": restoring.megabytes,
    }
