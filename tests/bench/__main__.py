"""Measures everything with one command, and writes it into docs/explanation/performance.md.

python -m tests.bench [part ...] [--url postgresql://...]
"""

import argparse
import contextlib
import os
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import psutil

from rim_ledger.postgres.server import OWNER, EmbeddedPostgres

from . import page
from .parts import PARTS, Size, console


@contextlib.contextmanager
def server(url: str | None) -> Iterator[str]:
    """The server that is named, or a durable PostgreSQL of our own for this run."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="rim-bench-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        with EmbeddedPostgres(Path(place) / "home", role=OWNER) as own:
            yield own


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    words.add_argument("--url", default=os.environ.get("BENCH_URL"))
    words.add_argument("--seconds", type=float, default=8.0)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--followed", type=int, default=200_000)
    words.add_argument("--events", type=int, default=1_000_000)
    said = words.parse_args()
    parts = said.parts or list(PARTS)
    if unknown := sorted(set(parts) - PARTS.keys()):
        words.error(f"there is no part {unknown[0]}; the parts are {', '.join(PARTS)}")
    page.require(parts)
    size = Size(said.seconds, said.rounds, said.followed, said.events)
    load = psutil.getloadavg()[0]
    failed = [part for part in parts if not measured(part, said.url, size, load)]
    if failed:
        raise SystemExit(f"failed, and left as they were: {', '.join(failed)}")


def measured(part: str, url: str | None, size: Size, load: float) -> bool:
    """Measure a part and write what was found; whether that went well. Another part is measured
    all the same."""
    console.rule(part)
    begun = perf_counter()
    try:
        with server(url) as running:
            lines = [page.conditions(running, load), *PARTS[part](running, size)]
    except Exception:
        traceback.print_exc()
        return False
    page.write(part, lines)
    console.print("\n".join(lines), markup=False)
    console.print(f"{part}: {perf_counter() - begun:,.0f} s")
    return True


if __name__ == "__main__":
    main()
