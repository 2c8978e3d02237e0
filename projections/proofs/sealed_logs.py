"""The logs that are sealed, as leaves: events, and activities with refused requests."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.follow import log
from projections.proofs import trees
from projections.proofs.merkle import leaf_hash
from projections.proofs.trees import Contradiction
from rim_ledger.engine.event_mac import EventMac
from rim_ledger.values import UUID_TEXT
from rim_ledger.vault.sealed_row import entry

Connection = AsyncConnection[Any]
Range = tuple[int, int]
"""Places from the first to the last, inclusive."""

SOURCES: Final = ("activity", "refused_requests")
LOOKED_BACK: Final = 10_000
"""Row numbers scanned again for rows committed late."""

HEAD: Final = "SELECT coalesce(max(place), 0) FROM ledger.activity_places"
PLACES: Final = """
SELECT place, source, number FROM ledger.activity_places
 WHERE place > %s AND place <= coalesce(%s, place) ORDER BY place LIMIT %s"""
BESIDE: Final = ("activity_places", "activity_spans", "activity_tiles")
MAY_READ: Final = """
SELECT bool_and(has_table_privilege('ledger.' || name, 'SELECT')) FROM unnest(%s::text[]) name"""
PLACE: Final = """
SELECT p.place FROM ledger.{source} r
  LEFT JOIN ledger.activity_places p ON p.source = %s AND p.number = r.number
 WHERE r.id = %s::uuid"""
ROWS: Final = "SELECT * FROM ledger.{source} WHERE number = ANY (%s)"
WAITING: Final = " + ".join(
    f"greatest(0, (SELECT coalesce(max(number), 0) FROM ledger.{source})"
    " - (SELECT coalesce(max(number), 0) FROM ledger.activity_places"
    f" WHERE source = '{source}'))"
    for source in SOURCES
)
UNPLACED: Final = """
(SELECT '{source}' AS source, number FROM ledger.{source} r
  WHERE number > (SELECT coalesce(max(number), 0) - %(back)s FROM ledger.activity_places
                   WHERE source = '{source}')
    AND NOT EXISTS (SELECT FROM ledger.activity_places p
                     WHERE p.source = '{source}' AND p.number = r.number)
  ORDER BY number LIMIT %(limit)s)"""
ANY_UNPLACED: Final = " UNION ALL ".join(UNPLACED.format(source=source) for source in SOURCES)
TAKE_IN: Final = f"""
INSERT INTO ledger.activity_places (place, source, number)
SELECT ({HEAD}) + row_number() OVER (ORDER BY source, number), source, number
  FROM ({ANY_UNPLACED}) unplaced ORDER BY source, number LIMIT %(limit)s"""
WITHOUT_PLACE: Final = """
SELECT * FROM ledger.{source} r
 WHERE number > %s AND NOT EXISTS (SELECT FROM ledger.activity_places p
                                    WHERE p.source = %s AND p.number = r.number)
 ORDER BY number LIMIT 1000"""
WITHOUT_CODE: Final = " + ".join(
    f"(SELECT count(*) FROM ledger.{source} WHERE mac IS NULL)" for source in SOURCES
)


class Item(NamedTuple):
    """A leaf: position (from 1), bytes (None once dropped), a short description, and whether its
    MAC is valid or none is needed."""

    position: int
    leaf: bytes | None
    name: str
    own: bool

    @property
    def hash(self) -> bytes | None:
        """The hash of the leaf; None once dropped."""
        return None if self.leaf is None else leaf_hash(self.leaf)


class Events:
    """The log of events, whose lines are leaves of a tree; and what faults call them."""

    TREE, NOUN, AT = trees.EVENTS, "event", "position"

    def __init__(self, mac: EventMac | None) -> None:
        """`mac` verifies their MACs."""
        self._mac = mac

    async def head(self, connection: Connection) -> int:
        """The last position."""
        return await log.head(connection)

    async def page(
        self, connection: Connection, after: int, upto: int | None, limit: int
    ) -> list[Item]:
        """The next existing lines, in order of position."""
        items, mac = list[Item](), self._mac
        for line in await log.page(connection, after, upto, limit):
            leaf = line.leaf
            own = not mac or mac.is_right(line.position, leaf, line.mac)
            items.append(Item(line.position, leaf, line.name, own))
        return items


class Activities:
    """The activity log with refused requests, in the order given by the sealer."""

    TREE, NOUN, AT = trees.ACTIVITY, "line", "activity"

    def __init__(self, mac: EventMac | None, since: int, dropped: Sequence[Range] = ()) -> None:
        """`mac` verifies the MACs of lines after the place `since`; `dropped` are ranges of dropped
        rows."""
        self._mac, self._since, self._dropped = mac, since, dropped

    async def head(self, connection: Connection) -> int:
        return await log.number(connection, HEAD)

    async def page(
        self, connection: Connection, after: int, upto: int | None, limit: int
    ) -> list[Item]:
        cursor = await connection.execute(PLACES, [after, upto, limit])
        places, rows = await cursor.fetchall(), dict[tuple[str, int], dict[str, Any]]()
        for source in SOURCES:
            wanted = [nth for _, of, nth in places if of == source]
            found = connection.cursor(row_factory=dict_row)
            await found.execute(ROWS.format(source=source).encode(), [wanted])
            rows |= {(source, row["number"]): row async for row in found}
        gone = [
            Item(place, None, "", own=True)
            for first, last in self._dropped
            for place in range(max(first, after + 1), min(last, upto or last) + 1)
        ]
        for place, source, nth in places:
            if row := rows.get((source, nth)):
                own = place <= self._since or is_own(self._mac, source, row)
                leaf = b"%d\n" % place + entry(source, row)
                gone.append(Item(place, leaf, describe(source, row), own))
        return gone


SealedLog = Events | Activities


def describe(source: str, row: dict[str, Any]) -> str:
    """A short description of a row."""
    return row["action"] if source == "activity" else f"RequestLoan, {row['code']}"


def is_own(mac: EventMac | None, source: str, row: dict[str, Any]) -> bool:
    """True if a row's MAC is valid, or there is no key to verify it."""
    return mac is None or mac.is_own(entry(source, row), row["mac"])


async def may_read(connection: Connection) -> bool:
    """True if the connection may read all columns of activities that are verified."""
    row = await (await connection.execute(MAY_READ.encode(), [[*SOURCES, *BESIDE]])).fetchone()
    return bool(row and row[0])


async def place_of(connection: Connection, source: str, id: str) -> int | None:
    """The place of a row by id, 0 while not sealed; None if there is none."""
    if not UUID_TEXT.fullmatch(id):
        return None
    row = await (
        await connection.execute(PLACE.format(source=source).encode(), [source, id])
    ).fetchone()
    return row and (row[0] or 0)


async def unplaced(connection: Connection, mac: EventMac) -> AsyncIterator[tuple[list[str], int]]:
    """Yield, page by page, the faults of rows without a place and without a valid MAC, and the
    number of rows without a place."""
    for source in SOURCES:
        cursor, query = connection.cursor(row_factory=dict_row), WITHOUT_PLACE.format(source=source)
        last = 0
        while rows := await (await cursor.execute(query.encode(), [last, source])).fetchall():
            last = rows[-1]["number"]
            forged = [
                f"ledger.{source}: the row {row['id']} ({describe(source, row)}) was not written by"
                " this ledger, and is not sealed"
                for row in rows
                if not is_own(mac, source, row)
            ]
            yield forged, len(rows)


async def assign_places(connection: Connection, limit: int, *, whole: bool) -> int:
    """Give places to the next rows without one, at most `limit`; gives their number. With `whole`,
    the entire tables are scanned, which finds rows committed long after their neighbours."""
    back = 2**62 if whole else LOOKED_BACK
    return (await connection.execute(TAKE_IN.encode(), {"back": back, "limit": limit})).rowcount


async def count_unplaced(connection: Connection) -> int:
    """Approximate number of rows without a place."""
    return await log.number(connection, f"SELECT {WAITING}")


async def count_without_mac(connection: Connection) -> int:
    """Number of rows without a MAC, from before there were any."""
    return await log.number(connection, f"SELECT {WITHOUT_CODE}")


def dense(of: SealedLog, items: Iterable[Item], after: int) -> Iterator[tuple[Item, bytes]]:
    """Yield lines with their leaf hashes. Raises Contradiction where a position is missing."""
    for expected, item in enumerate(items, after + 1):
        if item.position != expected or item.leaf is None:
            raise Contradiction(f"{of.AT} {expected} is missing")
        yield item, leaf_hash(item.leaf)
