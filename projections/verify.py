"""Checks the whole log against its seals: every event, every tile, every checkpoint."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from psycopg import AsyncConnection

from projections import log
from projections.log import Line
from projections.merkle import HEIGHT, SIZE, WIDTH, Edge, leaf_hash
from projections.seals import last, leaf, tiles
from projections.signed_note import Untrue, Verifier

PAGE: Final = 20 * WIDTH
NOTES: Final = (
    "SELECT size, note FROM ledger.checkpoints WHERE size > %s AND size <= %s ORDER BY size"
)

Progress = Callable[[int, int], None]
Leaves = list[tuple[int, Line | None, bytes]]
"""Positions, each with its event and its seal; none, where it is missing."""


class Verification:
    """One pass over the log, in the order of positions; its memory does not grow with the log.

    Once a leaf is not the sealed one, every later root is another: from then on each event is
    compared with its seal, and checkpoints are no more.
    """

    def __init__(
        self, connection: AsyncConnection[Any], verifier: Verifier, outside: Mapping[int, str]
    ) -> None:
        """`outside` are notes that were kept elsewhere, by the number of events they cover."""
        self._connection, self._verifier, self._outside = connection, verifier, outside
        self._edge, self._whole = Edge(), True
        self.events = self.sealed = self.checkpoints = 0

    async def faults(self, progress: Progress) -> AsyncIterator[str]:
        """What is wrong, position by position."""
        self.sealed, _ = await last(self._connection)
        self.events = await log.head(self._connection)
        after, end = 0, max(self.sealed, self.events, *self._outside, 0)
        while after < end:
            upto = min(after + PAGE, end)
            leaves = await self._leaves(after, upto)
            for fault in self._differences(leaves):
                yield fault
            if self._whole:
                async for fault in self._roots(after, leaves):
                    yield fault
            progress(upto, end)
            after = upto

    async def _leaves(self, after: int, upto: int) -> Leaves:
        lines = await log.page(self._connection, after, upto, upto - after)
        found = {line.position: line for line in lines}
        numbers = range(after >> HEIGHT, (upto - 1 >> HEIGHT) + 1)
        hashes = await tiles(self._connection, [(0, number) for number in numbers])

        def seal(position: int) -> bytes:
            number, at = divmod(position - 1, WIDTH)
            return hashes.get((0, number), b"")[at * SIZE : (at + 1) * SIZE]

        return [(each, found.get(each), seal(each)) for each in range(after + 1, upto + 1)]

    def _differences(self, leaves: Leaves) -> Iterator[str]:
        hashes = list[bytes]()
        for position, line, seal in leaves:
            hashes.append(leaf_hash(leaf(line)) if line else b"")
            if line is None:
                fault = "the event is missing"
            elif position > self.sealed or hashes[-1] == seal:
                continue
            elif not seal:
                fault = "the seal is missing"
            else:
                fault = f"the event ({line.name}) is not the one that was sealed"
            self._whole = False
            yield f"position {position}: {fault}"
        self._hashes = hashes

    async def _roots(self, after: int, leaves: Sequence[object]) -> AsyncIterator[str]:
        """Compare the tree with each checkpoint on the way, and with the tiles above the leaves."""
        upto, changed = after + len(leaves), dict[tuple[int, int], bytes]()
        cursor = await self._connection.execute(NOTES, [after, upto])
        notes = [*await cursor.fetchall(), *self._outside.items()]
        for size, note in sorted(each for each in notes if after < each[0] <= upto):
            changed |= self._edge.grow(self._hashes[self._edge.size - after : size - after])
            if fault := self._signed(size, note):
                self._whole = False
                yield fault
                return
        changed |= self._edge.grow(self._hashes[self._edge.size - after :])
        if upto > self.sealed:
            return  # What is not sealed yet has no tiles either.
        above = {at: hashes for at, hashes in changed.items() if at[0]}
        kept = await tiles(self._connection, above)
        for at, hashes in above.items():
            if kept.get(at, b"")[: len(hashes)] != hashes:
                yield f"tile {at[1]} of level {at[0]} is not what follows from the events"

    def _signed(self, size: int, note: str) -> str | None:
        self.checkpoints += 1
        try:
            said = self._verifier.open(note)
        except Untrue as untrue:
            return f"checkpoint of {size} events: {untrue}"
        if (said.size, said.root) != (size, self._edge.root):
            return f"checkpoint of {size} events: another root was signed than they have"
        return None
