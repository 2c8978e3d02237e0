"""The parts of the bench: each measures on databases of its own, and says what it found."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from rich.console import Console

from .broadcasts import measure_broadcast
from .desk import measure_desk
from .flow import measure_flow
from .load import Report
from .million import measure_million
from .page import compared, listed
from .peers import compare, fresh_database
from .reads import compare_reads
from .rim import RimPeer
from .servers import AsgiPeer, Peer
from .standings import Comparison
from .storage import measure_storage

console = Console(width=140)


class Size(NamedTuple):
    """How long and how much is measured."""

    seconds: float
    rounds: int
    followed: int
    events: int


def commands(url: str, size: Size) -> Iterator[str]:
    """Loans lent and repaid, beside other ways to do it."""
    peers: list[Peer] = [
        AsgiPeer("crud"),
        AsgiPeer("stock"),
        AsgiPeer("empty"),
        RimPeer(),
        RimPeer(keyed=True),
    ]
    found = compare(peers, url, seconds=size.seconds, rounds=size.rounds, told=_tell)
    by_name = {one.name: one for one in found.standings}
    rim, empty = by_name["rim"], by_name["empty"]
    better = max(by_name["crud"].rate, by_name["stock"].rate)
    cpu = rim.cpu_per_1000("api") + rim.cpu_per_1000("postgres")
    yield from compared(found)
    yield from listed(
        {
            "commands/s, × the better of crud and stock": rim.rate / better,
            "commands/s, share of empty": rim.rate / empty.rate,
            "CPU seconds for 1,000 commands": cpu,
            "p99 of a command, ms": rim.p99_ms,
        }
    )


def reads(url: str, size: Size) -> Iterator[str]:
    """One loan and a list of fifty, beside the same reads of CRUD."""
    both = compare_reads(url, seconds=size.seconds / 2, rounds=size.rounds, told=_tell)
    for what, found in both.items():
        yield f"Reading {what}:\n"
        yield from compared(found)
    ratios = {f"reading {what}, × crud": _times(found) for what, found in both.items()}
    yield from listed(ratios)


def flow(url: str, size: Size) -> Iterator[str]:
    """Behind the commands."""
    with fresh_database(url, "flow") as database:
        yield from listed(
            measure_flow(database, seconds=size.seconds, followed=size.followed, say=console.print)
        )


def context(url: str, size: Size) -> Iterator[str]:
    """The support desk."""
    with fresh_database(url, "desk") as database:
        yield from listed(measure_desk(database, seconds=size.seconds))


def broadcast(url: str, _: Size) -> Iterator[str]:
    """A broadcast by two carriers."""
    with fresh_database(url, "broadcast") as database:
        yield from listed(measure_broadcast(database))


def storage(url: str, size: Size) -> Iterator[str]:
    """What an event takes on disk."""
    with fresh_database(url, "storage") as database:
        figures, tables = measure_storage(database, seconds=4 * size.seconds, say=console.print)
    yield from listed(figures)
    yield "Bytes of an event, after `VACUUM`:\n"
    yield from tables


def million(url: str, size: Size) -> Iterator[str]:
    """A large log."""
    with fresh_database(url, "million") as database:
        figures, looks = measure_million(
            database,
            seconds=size.seconds,
            rounds=size.rounds,
            events=size.events,
            say=console.print,
        )
    yield from listed(figures)
    yield "Looking back (`?asOf=`):\n"
    yield from looks


PARTS: Mapping[str, Callable[[str, Size], Iterator[str]]] = {
    each.__name__: each for each in (commands, reads, flow, context, broadcast, storage, million)
}


def _tell(name: str, report: Report) -> None:
    console.print(f"{name}: {report.rate:,.0f}/s, p99 {report.p99_ms:.1f} ms")
    if report.first_failure:
        console.print(f"  {report.failures:,} failures, the first: {report.first_failure}")


def _times(found: Comparison) -> float:
    return found.ratio(found.standings[1])
