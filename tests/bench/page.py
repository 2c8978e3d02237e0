"""The figures in docs/explanation/performance.md: each part's own, in its place between the words.

The words are written by hand. A run replaces what stands between `<!-- figures: part -->` and
`<!-- end -->`, and nothing else.
"""

import os
import platform
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from statistics import median
from time import perf_counter

import psycopg

from .servers import ROOT
from .standings import Comparison, Standing

PAGE = ROOT / "docs" / "explanation" / "performance.md"

GOALS: dict[str, tuple[str, float]] = {
    "commands/s, × the better of crud and stock": ("≥", 5),
    "commands/s, share of empty": ("≥", 0.4),
    "CPU seconds for 1,000 commands": ("≤", 0.6),
    "p99 of a command, ms": ("≤", 35),
    "reading one loan, × crud": ("≥", 4),
    "reading a list of 50, × crud": ("≥", 4),
    "bulk, × single commands": ("≥", 3),
    "commit to visible p99, ms": ("≤", 250),
    "bytes of an event, all tables": ("≤", 1_400),
    "events/s followed live": ("≥", 10_000),
    "events/s rebuilt": ("≥", 30_000),
    "MB of a rebuild": ("≤", 400),
    "MB of a carrier": ("≤", 300),
    "MB of the API over many events": ("≤", 250),
    "events/s sealed": ("≥", 20_000),
    "events/s as NDJSON": ("≥", 80_000),
    "MB of the API that sends NDJSON": ("≤", 300),
    "MB of `export --to -`": ("≤", 300),
    "MB of an export to Parquet": ("≤", 300),
    "MB of a replay": ("≤", 300),
    "MB of a backup": ("≤", 300),
    "MB of a restore": ("≤", 300),
}
"""What was aimed at: at least, or at most, so much."""


def require(parts: Iterable[str]) -> None:
    """Fail now, and not when it is measured, where the page has no place for a part."""
    for part in parts:
        assert _place(part).search(PAGE.read_text()), f"{PAGE.name} has no place for {part}"


def write(part: str, lines: Iterable[str]) -> None:
    """Put a part's figures in their place."""
    text = f"<!-- figures: {part} -->\n\n" + "\n".join(lines) + "\n<!-- end -->"
    PAGE.write_text(_place(part).sub(lambda _: text, PAGE.read_text()))


def _place(part: str) -> re.Pattern[str]:
    return re.compile(rf"<!-- figures: {re.escape(part)} -->.*?<!-- end -->", re.DOTALL)


def conditions(url: str, load: float) -> str:
    """The machine, and what it was doing before the bench began."""
    with psycopg.connect(url) as connection:
        version = connection.info.parameter_status("server_version") or ""
        row = connection.execute("SHOW fsync").fetchone()
    said = (
        f"{datetime.now(UTC):%Y-%m-%d}",
        f"{os.cpu_count()} cores",
        f"load {load:.1f} before",
        f"a synced write {synced_write_ms():.1f} ms",
        f"Python {platform.python_version()}",
        f"PostgreSQL {version}, fsync {row[0] if row else 'unknown'}",
    )
    return f"*{' · '.join(said)}*\n"


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


def listed(figures: Mapping[str, float]) -> Iterator[str]:
    """A table of figures, beside what was aimed at."""
    rows = [[name, shown(found), *_judged(name, found)] for name, found in figures.items()]
    yield from table(("figure", "found", "goal", ""), rows)


def _judged(name: str, found: float) -> tuple[str, str]:
    if name not in GOALS:
        return "", ""
    sign, goal = GOALS[name]
    met = found >= goal if sign == "≥" else found <= goal
    return f"{sign} {shown(goal)}", "met" if met else "missed"


def compared(comparison: Comparison) -> Iterator[str]:
    """A table of peers side by side, in medians of the rounds."""
    first = comparison.standings[0].name
    cpu = ("CPU api", "CPU PostgreSQL", "cores")
    heads = ("peer", "a second", f"× {first}", "p50 ms", "p99 ms", *cpu)

    def spent(one: Standing, group: str) -> str:
        watched = one.rounds[0].cpu
        return f"{one.cpu_per_1000(group):.2f}" if group in watched else ""

    rows = (
        [
            one.name,
            f"{one.rate:,.0f}",
            f"{comparison.ratio(one):.1f}",
            f"{one.p50_ms:.1f}",
            f"{one.p99_ms:.1f}",
            spent(one, "api"),
            spent(one, "postgres"),
            f"{one.cores:.1f}",
        ]
        for one in comparison.standings
    )
    yield from table(heads, rows)


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    heads = list(heads)
    yield "| " + " | ".join(heads) + " |"
    yield "|---" + "|---:" * (len(heads) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def shown(figure: float) -> str:
    """A figure with as many digits as say something."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"
