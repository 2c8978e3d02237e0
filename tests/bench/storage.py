"""What an event takes on disk, table by table, with an Idempotency-Key on every command."""

from collections.abc import Callable, Iterator, Sequence

import psycopg

from rim_ledger.postgres import sizes
from rim_ledger.postgres.sizes import SIZES, TableSize

from .flow import CONNECTIONS
from .load import run
from .page import shown, table
from .rim import RimPeer
from .scenario import Script
from .service import TAIL


def measure_storage(
    url: str, *, seconds: float, say: Callable[[str], None]
) -> tuple[dict[str, float], list[str]]:
    """The bytes of an event over all tables, and a table of the tables."""
    peer = RimPeer(keyed=True)
    try:
        peer.start(url)
        assert peer.service, "it was started"
        before, begun = _sizes(url), peer.service.number(TAIL)
        say("loans lent and repaid")
        scripts = [Script(peer.make_scenario(index)) for index in range(CONNECTIONS)]
        run(peer.service.base_url, scripts, seconds=seconds)
        peer.service.settle()
        events = peer.service.number(TAIL) - begun
        grown = [_since(before, each) for each in _sizes(url).values()]
    finally:
        peer.stop()
    total = sum(each.total for each in grown) / events
    figures = {"events": float(events), "bytes of an event, all tables": total}
    return figures, [*table(["table", "rows", "indexes", "together"], _rows(grown, events))]


def _sizes(url: str) -> dict[str, TableSize]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")
        found = sizes.found(connection.execute(SIZES.encode()).fetchall())
    return {each.table: each for each in found}


def _since(before: dict[str, TableSize], now: TableSize) -> TableSize:
    was = before[now.table]
    return TableSize(now.table, now.rows - was.rows, now.indexes - was.indexes)


def _rows(grown: Sequence[TableSize], events: int) -> Iterator[list[str]]:
    for each in sorted(grown, key=lambda one: -one.total):
        if each.total >= events:
            bytes_each = (each.rows, each.indexes, each.total)
            yield [f"`{each.table}`", *(shown(size / events) for size in bytes_each)]
