"""Checks the log against its seals: a quick look, or every event, every tile, every checkpoint."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from psycopg import AsyncConnection

from projections import log
from projections.log import Line
from projections.merkle import HEIGHT, SIZE, WIDTH, Edge, leaf_hash
from projections.origins import Origins
from projections.seals import Contradiction, last, leaf, require_signed, tiles
from projections.signed_note import Checkpoint, Untrue
from projections.streams import Rest, no_rest
from rim_ledger.event_mac import EventMac

PAGE: Final = 20 * WIDTH
LOOKED_AT: Final = 200 * WIDTH
"""Events that a quick look compares with their seals: the whole of a young log, in a moment."""
NOTES: Final = """
SELECT size, note FROM ledger.checkpoints
 WHERE size > %s AND size <= %s AND NOT opens ORDER BY size"""

Connection = AsyncConnection[Any]
Progress = Callable[[int, int], None]
Claim = tuple[int, Checkpoint | Untrue]
"""How many events a note is on, and what it says or why that is nothing."""
Leaves = list[tuple[int, Line | None, bytes]]
"""Positions, each with its event and its seal; none, where it is missing."""


def silent(done: int, total: int) -> None:
    """Tells nobody."""


async def require_true(
    connection: Connection, origins: Origins, kept: Sequence[Checkpoint]
) -> None:
    """Raise Contradiction when something in the store contradicts checkpoints that were kept
    elsewhere, as far as a quick look tells: its length, its seals, and the last events that were
    sealed."""
    if kept and not any(map(origins.knows, kept)):
        raise Contradiction("this is not the log that was signed there")
    for claim in kept:
        if origins.has(claim):
            await require_signed(connection, claim)
            await _require_last(connection, claim)
        elif not origins.lost(claim):
            raise Contradiction(unnamed(claim))


def unnamed(claim: Checkpoint) -> str:
    """What is wrong with a checkpoint that is not of this log, and of which no restore tells."""
    return (
        f"{claim.origin} signed {claim.size} events, which are not all in the log, and no restore"
        " says so"
    )


async def _require_last(connection: Connection, claim: Checkpoint) -> None:
    """Raise Contradiction unless the last sealed events of a checkpoint have their seals."""
    kept = min((await last(connection))[0], claim.size)
    for after in range(max(0, kept - LOOKED_AT), kept, PAGE):
        for position, line, seal in await _leaves(connection, after, min(after + PAGE, kept)):
            if line is None:
                raise Contradiction(f"position {position} is missing")
            if leaf_hash(leaf(line)) != seal:
                words = f"the event at position {position} is not the one that was signed"
                raise Contradiction(words)


async def _leaves(connection: Connection, after: int, upto: int) -> Leaves:
    lines = await log.page(connection, after, upto, upto - after)
    found = {line.position: line for line in lines}
    numbers = range(after >> HEIGHT, (upto - 1 >> HEIGHT) + 1)
    hashes = await tiles(connection, [(0, number) for number in numbers])

    def seal(position: int) -> bytes:
        number, at = divmod(position - 1, WIDTH)
        return hashes.get((0, number), b"")[at * SIZE : (at + 1) * SIZE]

    return [(each, found.get(each), seal(each)) for each in range(after + 1, upto + 1)]


class Verification:
    """One pass over the log, in the order of positions; its memory does not grow with the log.

    Once a leaf is not the sealed one, every later root is another: from then on each event is
    compared with its seal, and checkpoints are no more.
    """

    def __init__(
        self,
        connection: Connection,
        origins: Origins,
        outside: Sequence[Checkpoint],
        event_mac: EventMac | None,
        rest: Rest = no_rest,
    ) -> None:
        """`outside` are checkpoints that were kept elsewhere; `event_mac` checks the codes."""
        self._connection, self._origins, self._outside = connection, origins, outside
        self._event_mac = event_mac
        self._claims = [*origins.claims, *filter(origins.has, outside)]
        self._edge, self._whole, self._rest = Edge(), True, rest
        self.events = self.sealed = self.checkpoints = 0

    async def faults(self, progress: Progress = silent) -> AsyncIterator[str]:
        """What is wrong, position by position."""
        for claim in self._outside:
            if not self._origins.has(claim) and not self._origins.lost(claim):
                yield unnamed(claim)
        self.sealed, _ = await last(self._connection)
        self.events = await log.head(self._connection)
        after, end = 0, max(self.sealed, self.events, *(each.size for each in self._claims))
        while after < end:
            upto = min(after + PAGE, end)
            leaves = await _leaves(self._connection, after, upto)
            codes = await log.macs(self._connection, after, upto) if self._event_mac else {}
            for fault in self._differences(leaves, codes):
                yield fault
            if self._whole:
                async for fault in self._roots(after, leaves):
                    yield fault
            progress(upto, end)
            await self._rest()
            after = upto

    def _differences(self, leaves: Leaves, codes: Mapping[int, bytes | None]) -> Iterator[str]:
        hashes, mac = list[bytes](), self._event_mac
        for position, line, seal in leaves:
            entry = leaf(line) if line else b""
            hashes.append(leaf_hash(entry) if line else b"")
            if line is None:
                fault = "the event is missing"
            elif position > self.sealed or hashes[-1] == seal:
                if mac and not mac.is_right(position, entry, codes.get(position)):
                    fault = f"the event ({line.name}) was not written by this ledger"
                    yield f"position {position}: {fault}"
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
        claims: list[Claim] = [(each.size, each) for each in self._claims]
        claims += [(size, self._opened(size, note)) for size, note in await cursor.fetchall()]
        claims = [each for each in claims if after < each[0] <= upto]
        for size, claim in sorted(claims, key=itemgetter(0)):
            changed |= self._edge.grow(self._hashes[self._edge.size - after : size - after])
            if fault := self._false(size, claim):
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

    def _opened(self, size: int, note: str) -> Checkpoint | Untrue:
        try:
            return self._origins.open(note)
        except Untrue as untrue:
            return untrue

    def _false(self, size: int, claim: Checkpoint | Untrue) -> str | None:
        self.checkpoints += 1
        if isinstance(claim, Untrue):
            return f"checkpoint of {size} events: {claim}"
        if (claim.size, claim.root) != (size, self._edge.root):
            return f"checkpoint of {size} events: another root was signed than they have"
        return None
