"""Measures everything with one command, and writes docs/explanation/performance.md.

python -m tests.bench [--url postgresql://...]
"""

import argparse
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from rim_ledger.postgres import EmbeddedPostgres

from . import page
from .flow import measure
from .load import Report
from .peers import compare, fresh_database
from .reads import compare_reads
from .rim import RimPeer
from .servers import AsgiPeer

console = Console(width=140)


@contextlib.contextmanager
def server(url: str | None) -> Iterator[str]:
    """The server that is named, or a durable PostgreSQL of our own for this run."""
    if url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="rim-bench-", dir="/tmp") as place:
        Path(place).chmod(0o755)
        with EmbeddedPostgres(Path(place) / "home") as own:
            yield own


def tell(name: str, report: Report) -> None:
    console.print(f"{name}: {report.rate:,.0f}/s, p99 {report.p99_ms:.1f} ms")
    if report.first_failure:
        console.print(f"  {report.failures:,} failures, the first: {report.first_failure}")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--url", default=os.environ.get("BENCH_URL"))
    words.add_argument("--seconds", type=float, default=8.0)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--followed", type=int, default=200_000)
    words.add_argument("--events", type=int, default=1_000_000)
    said = words.parse_args()
    peers = [AsgiPeer("crud"), AsgiPeer("stock"), AsgiPeer("empty"), RimPeer(), RimPeer(keyed=True)]
    with server(said.url) as url:
        commands = compare(peers, url, seconds=said.seconds, rounds=said.rounds, told=tell)
        console.print(commands.table())
        reads = compare_reads(url, seconds=said.seconds / 2, rounds=said.rounds, told=tell)
        for comparison in reads.values():
            console.print(comparison.table())
        with fresh_database(url, "flow") as database:
            flow = measure(
                database,
                seconds=said.seconds,
                followed=said.followed,
                events=said.events,
                say=console.print,
            )
        for name, figure in flow.items():
            console.print(f"{name}: {figure:,.0f}")
        written = page.write(page.Results(page.conditions(url, said), commands, reads, flow))
    console.print(f"written: {written}")


if __name__ == "__main__":
    main()
