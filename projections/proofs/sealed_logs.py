"""What is sealed, leaf by leaf: the events, and the log of activities with refused requests."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from projections.follow import log
from projections.proofs import trees
from projections.proofs.merkle import leaf_hash
from projections.proofs.trees import Contradiction, Tree
from rim_ledger.engine.event_mac import EventMac
from rim_ledger.values import UUID_TEXT
from rim_ledger.vault.sealed_row import entry

Connection = AsyncConnection[Any]
Range = tuple[int, int]
"""Places from the first to the last."""

SOURCES: Final = ("activity", "refused_requests")
LOOKED_BACK: Final = 10_000
"""Numbers of rows that are looked through again for such as were committed late."""

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
    """A leaf: its position from 1 on, its bytes (None once its span was dropped), a word on what it
    is, and whether its code says that this ledger wrote it (or none is needed)."""

    position: int
    leaf: bytes | None
    name: str
    own: bool

    @property
    def hash(self) -> bytes | None:
        """The hash of the leaf; None once its span was dropped."""
        return None if self.leaf is None else leaf_hash(self.leaf)


class SealedLog(Protocol):
    """A log whose lines are the leaves of a tree, and what faults call them."""

    TREE: ClassVar[Tree]
    NOUN: ClassVar[str]
    AT: ClassVar[str]

    async def head(self, connection: Connection) -> int:
        """The last position."""

    async def page(
        self, connection: Connection, after: int, upto: int | None, limit: int
    ) -> list[Item]:
        """The next lines that are there, in the order of their positions."""


class Events(SealedLog):
    """The log of events."""

    TREE, NOUN, AT = trees.EVENTS, "event", "position"

    def __init__(self, mac: EventMac | None) -> None:
        """`mac` checks their codes."""
        self._mac = mac

    async def head(self, connection: Connection) -> int:
        return await log.head(connection)

    async def page(
        self, connection: Connection, after: int, upto: int | None, limit: int
    ) -> list[Item]:
        lines, mac, codes = await log.page(connection, after, upto, limit), self._mac, {}
        if mac and lines:
            codes = await log.macs(connection, after, lines[-1].position)

        def item(line: log.Line, leaf: bytes) -> Item:
            own = not mac or mac.is_right(line.position, leaf, codes.get(line.position))
            return Item(line.position, leaf, line.name, own)

        return [item(line, log.leaf(line)) for line in lines]


class Activities(SealedLog):
    """The log of activities and refused requests, each row at the place that the sealer gave it."""

    TREE, NOUN, AT = trees.ACTIVITY, "line", "activity"

    def __init__(self, mac: EventMac | None, since: int, dropped: Sequence[Range] = ()) -> None:
        """`mac` checks the codes of lines after the place `since`; `dropped` are the places of
        those whose rows were dropped, each from the first to the last."""
        self._mac, self._since, self._dropped = mac, since, dropped

    async def head(self, connection: Connection) -> int:
        return await number(connection, HEAD)

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
        return gone + [
            self._item(place, source, rows[source, nth])
            for place, source, nth in places
            if (source, nth) in rows
        ]

    def _item(self, place: int, source: str, row: dict[str, Any]) -> Item:
        own = place <= self._since or is_own(self._mac, source, row)
        return Item(place, b"%d\n" % place + entry(source, row), named(source, row), own)


def named(source: str, row: dict[str, Any]) -> str:
    """What a row of these tables is about, in a word or two."""
    return row["action"] if source == "activity" else f"RequestLoan, {row['code']}"


def is_own(mac: EventMac | None, source: str, row: dict[str, Any]) -> bool:
    """Whether the code of a row says that this ledger wrote it; without a key nobody can tell."""
    return mac is None or mac.is_own(entry(source, row), row["mac"])


async def may_read(connection: Connection) -> bool:
    """Whether a connection may read all that is compared of activities."""
    row = await (await connection.execute(MAY_READ.encode(), [[*SOURCES, *BESIDE]])).fetchone()
    return bool(row and row[0])


async def place_of(connection: Connection, source: str, id: str) -> int | None:
    """The place of the row with an id, 0 while it is not sealed; None where there is none."""
    if not UUID_TEXT.fullmatch(id):
        return None
    row = await (
        await connection.execute(PLACE.format(source=source).encode(), [source, id])
    ).fetchone()
    return row and (row[0] or 0)


async def strangers(connection: Connection, mac: EventMac) -> AsyncIterator[tuple[list[str], int]]:
    """Rows that have no place yet, and no code of this ledger either: what is said of them, page by
    page, and how many rows have no place."""
    for source in SOURCES:
        last = 0
        while rows := await _without_place(connection, source, last):
            last = rows[-1]["number"]
            forged = [row for row in rows if not is_own(mac, source, row)]
            yield [_forged(source, row) for row in forged], len(rows)


def _forged(source: str, row: dict[str, Any]) -> str:
    words = f"({named(source, row)}) was not written by this ledger"
    return f"ledger.{source}: the row {row['id']} {words}, and is not sealed"


async def _without_place(connection: Connection, source: str, after: int) -> list[dict[str, Any]]:
    cursor = connection.cursor(row_factory=dict_row)
    query = WITHOUT_PLACE.format(source=source).encode()
    return await (await cursor.execute(query, [after, source])).fetchall()


async def take_in(connection: Connection, limit: int, *, whole: bool) -> int:
    """Give the next rows that have none yet a place, so many at most; how many they were. Those
    that were committed long after their neighbours are found where the tables are looked through
    as a `whole`."""
    back = 2**62 if whole else LOOKED_BACK
    return (await connection.execute(TAKE_IN.encode(), {"back": back, "limit": limit})).rowcount


async def waiting(connection: Connection) -> int:
    """About how many rows have no place yet."""
    return await number(connection, f"SELECT {WAITING}")


async def without_code(connection: Connection) -> int:
    """How many rows have no code, being from before there were any."""
    return await number(connection, f"SELECT {WITHOUT_CODE}")


async def number(connection: Connection, query: str) -> int:
    """The number that a query finds."""
    row = await (await connection.execute(query.encode())).fetchone()
    assert row is not None
    return int(row[0])


def dense(of: SealedLog, items: Iterable[Item], after: int) -> Iterator[tuple[Item, bytes]]:
    """The lines and the hashes of their leaves, while none is missing after a position. Raises
    Contradiction."""
    for expected, item in enumerate(items, after + 1):
        if item.position != expected or item.leaf is None:
            raise Contradiction(f"{of.AT} {expected} is missing")
        yield item, leaf_hash(item.leaf)
