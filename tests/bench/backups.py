"""What backing up and bringing back cost.

python -m tests.bench.backups [--events N]
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import psutil

from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.core import SYSTEM, Stamp
from rim_ledger.key_ring import open_ring
from rim_ledger.ledger import Ledger
from rim_ledger.postgres import EmbeddedPostgres
from rim_ledger.system.config import SetConfig
from rim_ledger.vault import Vault
from rim_ledger.world import RealWorld

from .filling import fill
from .service import LENDING

SECRET = "a secret of the bench, of many words"
MEGABYTE = 1024 * 1024
Figures = dict[str, float]


def measure(events: int) -> Figures:
    """A ledger is filled, backed up, looked at, and brought back into another home."""
    with tempfile.TemporaryDirectory(prefix="rim-bench-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        home, other = Path(place) / "home", Path(place) / "other"
        run(home, "init")
        with EmbeddedPostgres(home / "postgres") as url:
            asyncio.run(_fill(url, events))
            backing_up = run(home, "backup")
        (file,) = (home / "backups").iterdir()
        size = file.stat().st_size
        looking = run(other, "verify-backup", str(file))
        restoring = run(other, "restore", str(file))
    return {
        "backed up, events/s": events / backing_up[0],
        "backing up, MB of memory": backing_up[1],
        "bytes of the backup an event": size / events,
        "looked at, events/s": events / looking[0],
        "brought back with the read tables, events/s": events / restoring[0],
        "bringing back, MB of memory": restoring[1],
    }


async def _fill(url: str, events: int) -> None:
    world = RealWorld()
    vault = Vault(open_ring(url, [SECRET.encode()], world), world)
    async with Ledger(url, ENTITY_OF, vault, world) as ledger:
        for key, value in LENDING.items():
            wish = SetConfig(category="lending", key=key, value=value)
            await ledger.submit(wish.work, Stamp(at=world.now(), actor=SYSTEM))
    await fill(url, SECRET, events, 1, lambda *_: None)


def run(home: Path, *arguments: str) -> tuple[float, float]:
    """The seconds that a command takes, and the most memory that it held (MB)."""
    settings = {"RIM_HOME": str(home), "RIM_SECRET_KEY": SECRET}
    begun, peak = perf_counter(), 0
    process = psutil.Popen(
        [sys.executable, "-P", "-m", "api.cli", *arguments],
        env=os.environ | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None:
        try:
            peak = max(peak, process.memory_info().rss)
            process.wait(0.02)
        except (psutil.TimeoutExpired, psutil.NoSuchProcess):
            continue
    assert process.returncode == 0, f"{arguments[0]} ended with {process.returncode}"
    return perf_counter() - begun, peak / MEGABYTE


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--events", type=int, default=1_000_000)
    for name, figure in measure(words.parse_args().events).items():
        print(f"{name}: {figure:,.0f}")
