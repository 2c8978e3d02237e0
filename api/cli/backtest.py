"""The command `backtest`: decides past loan requests again, under a proposed policy."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO, Final

from cyclopts import Parameter
from psycopg import AsyncConnection
from pydantic import ValidationError

from api.cli.chart import by_month
from api.cli.progress import interruptible, progress, require_new
from api.config.database import log_database
from api.config.settings import Settings
from api.http.body import read_json
from api.http.problem import Malformed
from api.pipeline.commands import errors_in
from projections.analysis.backtest import Backtest, borrowers
from projections.analysis.consequences import OutcomeTotals, Report
from projections.follow import log
from projections.tables.writer import encode
from rim_ledger.lending.proposed_policy import ProposedPolicy, Simulation
from rim_ledger.operator_error import OperatorError

TITLES: Final = ("requests", "lent", "naira", "fees", "late", "defaults")
WIDTHS: Final = (9, 7, 17, 15, 6, 9)


def backtest(
    *,
    policy: Path,
    against: Path | None = None,
    changes: Path | None = None,
    chart: Path | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Decide every loan request of the past again, by a proposed policy. The log stays as it is.

    :param policy: The policy, a JSON file: {"lending": {"autoApproveMinScore": 700}}.
    :param against: Another policy to compare with; what was decided then, when left out.
    :param changes: A new file for every request that would have come out otherwise, one a line.
    :param chart: A new file for a picture (SVG) of what was lent, month by month.
    :param json_: The report as JSON.
    """
    settings = Settings.load(keyless=True)
    simulation = Simulation(policy=_read(policy), against=_read(against) if against else None)
    for path in filter(None, (changes, chart)):
        require_new(path)
    with interruptible("there is no report"), log_database(settings) as url:
        report = asyncio.run(_run(url, simulation, changes))
    if chart:
        chart.write_text(by_month(report.months))
    print(encode(report.shown).decode() if json_ else _table(report))  # noqa: T201


def _read(path: Path) -> ProposedPolicy:
    try:
        value = read_json(path.read_bytes())
        return ProposedPolicy.filled_in(value)
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}") from None
    except Malformed as error:
        raise OperatorError(f"{path}: {error.detail}") from None
    except ValidationError as error:
        first = errors_in(error, ProposedPolicy, value)[0]
        raise OperatorError(f"{path}: {first['pointer']}: {first['detail']}") from None


async def _run(url: str, simulation: Simulation, changes: Path | None) -> Report:
    with ExitStack() as stack:
        advance = stack.enter_context(progress("borrowers"))
        file = stack.enter_context(new_file(changes)) if changes else None
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            task = Backtest(simulation, await log.head(connection))
            total = await borrowers(connection, task.report.position)
            while (page := await task.page(connection)) is not None:
                if file:
                    file.writelines(encode(each) + b"\n" for each in page)
                advance(task.report.users, total)
    return task.report


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Open a new file for writing, removed on failure. Raises OperatorError if it exists."""
    try:
        file = path.open("xb")
    except FileExistsError:
        raise OperatorError(f"{path} is there already: name a new file") from None
    try:
        with file:
            yield file
    except BaseException:
        path.unlink()
        raise


def _table(report: Report) -> str:
    before, after = report.peaks
    every, stricter, users = report.all, report.stricter, report.users_changed
    rows = [("all requests", every), ("decided more strictly", stricter)]
    rows += [("decided less strictly", report.looser)]
    rows += [(f"  {was} → {is_}", figures) for was, is_, figures in report.outcomes]
    lines = [
        f"{every.requests} requests, {report.users} borrowers, up to position {report.position}",
        f"{report.changed} would have come out otherwise, of {users} borrowers",
        "",
        _line("", TITLES),
        *(_line(name, _cells(figures)) for name, figures in rows),
        "",
        f"most principal lent at a time: {before:,} naira",
        "if nobody approves what is decided more strictly:",
        f"  most principal lent at a time: {after:,} naira",
        f"  defaults avoided: {stricter.defaults}, which owe {stricter.owed:,} naira",
        f"  income lost: {stricter.fees:,} naira of fees",
    ]
    return "\n".join(lines)


def _cells(of: OutcomeTotals) -> list[str]:
    figures = (of.requests, of.lent, of.principal, of.fees, of.late, of.defaults)
    return [f"{each:,}" for each in figures]


def _line(name: str, cells: Sequence[str]) -> str:
    padded = (f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    return f"{name:26}{''.join(padded)}"
