"""Medians over rounds, ratios between peers, and the table that shows them."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from rich.table import Table

from .load import Report


@dataclass(frozen=True, slots=True)
class Standing:
    """One peer over all its rounds: medians, and the sums of what went wrong."""

    name: str
    rounds: tuple[Report, ...]

    def middle(self, figure: Callable[[Report], float]) -> float:
        return median(figure(report) for report in self.rounds)

    @property
    def rate(self) -> float:
        return self.middle(lambda report: report.rate)

    @property
    def p50_ms(self) -> float:
        return self.middle(lambda report: report.p50_ms)

    @property
    def p95_ms(self) -> float:
        return self.middle(lambda report: report.p95_ms)

    @property
    def p99_ms(self) -> float:
        return self.middle(lambda report: report.p99_ms)

    @property
    def max_ms(self) -> float:
        return max(report.max_ms for report in self.rounds)

    @property
    def failures(self) -> int:
        return sum(report.failures + report.lost for report in self.rounds)

    def cpu_per_1000(self, group: str) -> float:
        """CPU seconds for 1,000 requests in the group "api" or "postgres"."""
        return self.middle(lambda report: 1000 * report.cpu.get(group, 0.0) / report.completed)

    @property
    def cores(self) -> float:
        """How many cores the peer and PostgreSQL kept busy."""
        return self.middle(lambda report: sum(report.cpu.values()) / report.seconds)

    @property
    def generator_share(self) -> float:
        """How much of one core the generator used; near 1 it is the bottleneck itself."""
        return self.middle(lambda report: report.generator_cpu / report.seconds)


@dataclass(frozen=True, slots=True)
class Comparison:
    standings: tuple[Standing, ...]  # the first one is what the others are compared with

    def ratio(self, standing: Standing) -> float:
        """Rate as a multiple of the first peer's."""
        return standing.rate / self.standings[0].rate

    def table(self) -> Table:
        table = Table(title="medians of the rounds; CPU in seconds for 1,000 commands")
        table.add_column("peer")
        columns: dict[str, Callable[[Standing], str]] = {
            "commands/s": lambda one: f"{one.rate:,.0f}",
            f"x {self.standings[0].name}": lambda one: f"{self.ratio(one):.2f}",
            "p50 ms": lambda one: f"{one.p50_ms:.1f}",
            "p95 ms": lambda one: f"{one.p95_ms:.1f}",
            "p99 ms": lambda one: f"{one.p99_ms:.1f}",
            "max ms": lambda one: f"{one.max_ms:.0f}",
            "CPU api": lambda one: f"{one.cpu_per_1000('api'):.2f}",
            "CPU postgres": lambda one: f"{one.cpu_per_1000('postgres'):.2f}",
            "failures": lambda one: f"{one.failures:,}",
            "generator": lambda one: f"{one.generator_share:.0%}",
        }
        for heading in columns:
            table.add_column(heading, justify="right")
        for one in self.standings:
            table.add_row(one.name, *(shown(one) for shown in columns.values()))
        return table
