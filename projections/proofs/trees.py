"""The ledger's Merkle trees in their tables: reading and appending."""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct
from psycopg import AsyncConnection

from projections.proofs.merkle import HEIGHT, SIZE, WIDTH, Edge, Tile
from rim_ledger.operator_error import OperatorError

Connection = AsyncConnection[Any]

TILES: Final = """
SELECT level, number, hashes FROM ledger.{table}
  JOIN unnest(%s::int[], %s::bigint[]) AS wanted (level, number) USING (level, number)"""
WRITE: Final = """
INSERT INTO ledger.{table} SELECT * FROM unnest(%b::int[], %b::bigint[], %b::bytea[])
ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes"""


class Contradiction(OperatorError):
    """The store contradicts what was signed; the message says where."""


class Tree(Struct, frozen=True):
    """A tree, by the table of its tiles."""

    table: str

    async def tiles(self, connection: Connection, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
        """The existing ones of these tiles."""
        places = list(wanted)
        levels, numbers = [level for level, _ in places], [number for _, number in places]
        cursor = connection.cursor(binary=True)
        await cursor.execute(TILES.format(table=self.table).encode(), [levels, numbers])
        return {(level, number): bytes(hashes) async for level, number, hashes in cursor}

    async def edge(self, connection: Connection, size: int) -> Edge:
        """The growing edge of the sealed tree. Raises Contradiction when tiles are missing."""
        wanted = Edge.wanted(size)
        found = await self.tiles(connection, wanted)
        whole = {at: found.get(at, b"") for at in wanted}
        for level, number in wanted:
            length = (size >> HEIGHT * level) % WIDTH * SIZE
            if len(whole[level, number]) < length:
                raise Contradiction(f"the seals lack hashes of tile {number}, level {level}")
            whole[level, number] = whole[level, number][:length]
        return Edge(size, whole)

    async def grow(self, connection: Connection, edge: Edge, hashes: Iterable[bytes]) -> None:
        """Append leaves at this edge of the tree."""
        changed = edge.grow(hashes)
        levels, numbers = [level for level, _ in changed], [number for _, number in changed]
        query = WRITE.format(table=self.table).encode()
        await connection.execute(query, [levels, numbers, [*changed.values()]])


EVENTS: Final = Tree("tiles")
ACTIVITY: Final = Tree("activity_tiles")
