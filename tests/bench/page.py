"""The page of docs that tells what was measured, under which conditions, and what was aimed at."""

import argparse
import os
import platform
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple

import psutil
import psycopg

from .servers import ROOT
from .standings import Comparison, Standing

PAGE = ROOT / "docs" / "explanation" / "performance.md"
INTRODUCTION = """\
# What it costs and how fast it is

`make bench` wrote this page. The machine was shared and noisy: other work ran on it, and the load
generator, the service and PostgreSQL divided its cores among them. Look at ratios and CPU seconds
before rates, and at rates before delays. All peers took turns in every round; a figure is the
median of the rounds.

"""
PEERS = """\
- `crud`: FastAPI, SQLAlchemy and asyncpg; rows updated in place, an audit row beside.
- `stock`: the `eventsourcing` library as it comes, behind FastAPI; no read tables, no audit.
- `empty`: FastAPI that checks the same body and does nothing.
- `rim`: this service, its API and its follower, with read tables and audit. Opening a loan is two
  of its commands, request and disbursement; the airtime of a past loan is not sent again, so no
  telco is waited for. `rim with keys` gives every command an Idempotency-Key.

CPU is in seconds for 1,000 commands, until the read tables show the last of them; `api` is every
process of the peer. `cores` is how many it and PostgreSQL kept busy. When that is far below what
the machine has, the disk or other work is what was waited for; see the conditions.
"""


class Results(NamedTuple):
    """Everything that was measured, and where."""

    conditions: Mapping[str, str]
    commands: Comparison
    reads: Mapping[str, Comparison]
    flow: Mapping[str, float]


class Goal(NamedTuple):
    """A figure that was aimed at; `least` says on which side of the goal it should be."""

    name: str
    found: float
    goal: float
    least: bool = True
    places: int = 0

    @property
    def row(self) -> list[str]:
        met = self.found >= self.goal if self.least else self.found <= self.goal
        sign = "≥" if self.least else "≤"
        found, goal = (f"{each:,.{self.places}f}" for each in (self.found, self.goal))
        return [self.name, f"{sign} {goal}", found, "met" if met else "missed"]


def synced_write_ms() -> float:
    """What a commit waits for at least: the median time of a small write that reaches the disk."""
    times = []
    with tempfile.TemporaryFile(dir="/tmp") as file:
        for _ in range(200):
            begun = perf_counter()
            file.write(bytes(8192))
            file.flush()
            os.fsync(file.fileno())
            times.append(1000 * (perf_counter() - begun))
    return median(times)


def conditions(url: str, said: argparse.Namespace) -> dict[str, str]:
    """The machine and the run."""
    with psycopg.connect(url) as connection:
        version = connection.info.parameter_status("server_version") or ""
        row = connection.execute("SHOW fsync").fetchone()
    return {
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": str(os.cpu_count()),
        "load of the machine at the end": f"{psutil.getloadavg()[0]:.1f}",
        "a synced write at the end, ms": f"{synced_write_ms():.1f}",
        "Python": platform.python_version(),
        "PostgreSQL": f"{version}, fsync {row[0] if row else 'unknown'}",
        "connections": "64",
        "rounds": f"{said.rounds} of {said.seconds:g} s",
    }


def goals(results: Results) -> list[Goal]:
    """What was aimed at, and what was found."""
    by_name = {one.name: one for one in results.commands.standings}
    rim, empty = by_name["rim"], by_name["empty"]
    better = max(by_name["crud"].rate, by_name["stock"].rate)
    cpu = rim.cpu_per_1000("api") + rim.cpu_per_1000("postgres")
    flow = results.flow
    reads = [
        Goal(f"reading {what}, × crud", both.ratio(both.standings[1]), 4, places=1)
        for what, both in results.reads.items()
    ]
    bulk = flow["bulk registrations/s"] / flow["single registrations/s"]
    return [
        Goal("commands/s, × the better of crud and stock", rim.rate / better, 5, places=1),
        Goal("commands/s, share of empty", rim.rate / empty.rate, 0.4, places=2),
        Goal("CPU seconds for 1,000 commands", cpu, 0.6, least=False, places=2),
        Goal("p99 of a command, ms", rim.p99_ms, 35, least=False),
        *reads,
        Goal("bulk, × single commands", bulk, 3, places=1),
        Goal("commit to visible p99, ms", flow["visible p99 ms"], 250, least=False),
        Goal("events/s followed live", flow["followed events/s"], 10_000),
        Goal("events/s rebuilt and compared", flow["rebuild events/s"], 30_000),
        Goal("events/s rebuilt, many events", flow["large rebuild events/s"], 30_000),
        Goal("MB of the API over many events", flow["API MB after load"], 250, least=False),
        Goal("MB of a rebuild of many events", flow["large rebuild MB"], 400, least=False),
        Goal("events/s sealed", flow["sealed events/s"], 20_000),
        Goal("events/s as NDJSON", flow["NDJSON events/s"], 80_000),
        Goal("MB of an export to Parquet", flow["Parquet MB"], 300, least=False),
    ]


def write(results: Results) -> Path:
    """Write the page; where it is."""
    text = INTRODUCTION + "\n".join(_lines(results)) + "\n"
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text)
    return PAGE.relative_to(ROOT)


def _lines(results: Results) -> Iterator[str]:
    yield from _table(("condition", ""), results.conditions.items())
    yield "## Goals"
    yield ""
    yield from _table(("figure", "goal", "found", ""), (goal.row for goal in goals(results)))
    yield "## Commands"
    yield ""
    yield PEERS
    yield from _compared(results.commands)
    yield "## Reads"
    yield ""
    for what, comparison in results.reads.items():
        yield f"Reading {what}:"
        yield ""
        yield from _compared(comparison)
    yield "## Behind the commands"
    yield ""
    yield "Many events are those of the large rebuild, which has no tables to compare with."
    yield ""
    figures = ((name, f"{figure:,.0f}") for name, figure in results.flow.items())
    yield from _table(("figure", "found"), figures)


def _compared(comparison: Comparison) -> Iterator[str]:
    first = comparison.standings[0].name
    heads = (
        "peer",
        "a second",
        f"× {first}",
        "p50 ms",
        "p99 ms",
        "CPU api",
        "CPU PostgreSQL",
        "cores",
    )

    def cpu(one: Standing, group: str) -> str:
        watched = one.rounds[0].cpu
        return f"{one.cpu_per_1000(group):.2f}" if group in watched else ""

    rows = (
        [
            one.name,
            f"{one.rate:,.0f}",
            f"{comparison.ratio(one):.1f}",
            f"{one.p50_ms:.1f}",
            f"{one.p99_ms:.1f}",
            cpu(one, "api"),
            cpu(one, "postgres"),
            f"{one.cores:.1f}",
        ]
        for one in comparison.standings
    )
    yield from _table(heads, rows)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield "| " + " | ".join(heads) + " |"
    yield "|---" + "|---:" * (len(heads) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""
