"""Runs peers side by side against one PostgreSQL server and compares their speed.

python -m tests.bench.peers --url postgresql://postgres@127.0.0.1:5432/postgres
"""

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import psutil
import psycopg
from psycopg import sql
from rich.console import Console

from .load import Report, run
from .scenario import Script
from .servers import AsgiPeer, Peer, Running
from .standings import Comparison, Standing

__all__ = ["AsgiPeer", "Comparison", "Peer", "Running", "Standing", "compare"]


@contextmanager
def fresh_database(url: str, name: str) -> Iterator[str]:
    """A new database on the server at `url`, dropped afterwards."""
    plain = f"bench_{name}_{os.getpid()}".lower().replace(" ", "_").replace("-", "_")
    database = sql.Identifier(plain)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(database))
    try:
        yield urlsplit(url)._replace(path=f"/{plain}").geturl()
    finally:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))


def postmaster(url: str) -> tuple[int, ...]:
    """The pid above all backends of the server, or nothing when it runs on another machine."""
    with psycopg.connect(url) as connection:
        try:
            backend = psutil.Process(connection.info.backend_pid)
        except psutil.NoSuchProcess:
            return ()
        return (backend.ppid(),) if backend.name().startswith("postgres") else ()


def compare(
    peers: Sequence[Peer],
    url: str,
    *,
    seconds: float = 8.0,
    rounds: int = 3,
    connections: int = 64,
    warm_up: float = 3.0,
    told: Callable[[str, Report], object] | None = None,
) -> Comparison:
    """Starts all peers, then gives each its turn in every round, so that noise hits all alike."""
    with ExitStack() as stack:
        turns: list[tuple[Peer, Running, list[Script], list[Report]]] = []
        for peer in peers:
            database_url = stack.enter_context(fresh_database(url, peer.name))
            stack.callback(peer.stop)
            running = peer.start(database_url)
            scripts = [Script(peer.make_scenario(index)) for index in range(connections)]
            run(running.base_url, scripts, seconds=warm_up)
            peer.rest()
            turns.append((peer, running, scripts, []))
        for _ in range(rounds):
            for peer, running, scripts, reports in turns:
                watch = {"api": running.pids, "postgres": postmaster(url)}
                reports.append(
                    run(running.base_url, scripts, seconds=seconds, watch=watch, rest=peer.rest)
                )
                if told:
                    told(peer.name, reports[-1])
    return Comparison(tuple(Standing(peer.name, tuple(reports)) for peer, _, _, reports in turns))


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--url", default=os.environ.get("DATABASE_URL"))
    words.add_argument("--seconds", type=float, default=8.0)
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--connections", type=int, default=64)
    words.add_argument("--users", type=int, default=2000)
    words.add_argument("peers", nargs="*", default=["crud", "stock", "empty"])
    said = words.parse_args()
    if not said.url:
        words.error("--url or DATABASE_URL is needed")
    console = Console()

    def tell(name: str, report: Report) -> None:
        console.print(f"{name}: {report.rate:,.0f}/s, p99 {report.p99_ms:.1f} ms")
        if report.first_failure:
            console.print(f"  {report.failures:,} failures, the first: {report.first_failure}")

    peers = [AsgiPeer(name, said.users, said.connections) for name in said.peers]
    comparison = compare(
        peers,
        said.url,
        seconds=said.seconds,
        rounds=said.rounds,
        connections=said.connections,
        told=tell,
    )
    console.print(comparison.table())


if __name__ == "__main__":
    main()
