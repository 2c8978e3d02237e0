"""Verifies the log against its checkpoints: a quick check, or every event, tile and checkpoint."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any, Final

from msgspec.structs import replace
from psycopg import AsyncConnection

from projections.follow.streams import Rest, no_rest
from projections.proofs.activity_spans import DroppedSpan, ranges, spans
from projections.proofs.checkpoint_numbers import numbering_faults
from projections.proofs.checkpoints import last, require_signed
from projections.proofs.merkle import HEIGHT, SIZE, WIDTH, Edge
from projections.proofs.origins import Origins
from projections.proofs.sealed_logs import Activities, Events, Item, SealedLog, may_read, unplaced
from projections.proofs.signed_note import Checkpoint, VerificationError, parsed
from projections.proofs.trees import Contradiction
from rim_ledger.engine.event_mac import EventMac
from rim_ledger.progress import Progress, unreported

PAGE: Final = 20 * WIDTH
LOOKED_AT: Final = 200 * WIDTH
"""Events that a quick check compares with their leaf hashes: all of a young log, in a moment."""
NOTES: Final = """
SELECT number, size, note FROM ledger.checkpoints
 WHERE number > %s AND NOT opens ORDER BY number LIMIT 1000"""

Connection = AsyncConnection[Any]
Claim = tuple[int, bytes | VerificationError]
"""A note's number of lines and root, or why it cannot be read."""
Read = Callable[[int, Checkpoint | VerificationError], Claim | None]
"""Extracts from a note what it claims of one log, if anything."""
Leaves = list[tuple[int, Item | None, bytes]]
"""Position, line and sealed leaf hash; None for a missing line."""


async def require_consistent(
    connection: Connection, origins: Origins, kept: Sequence[Checkpoint]
) -> None:
    """Raise Contradiction when the store contradicts checkpoints kept elsewhere, as far as a quick
    check goes: length, tiles, and the last sealed events."""
    if kept and not any(map(origins.knows, kept)):
        raise Contradiction("this is not the log that was signed there")
    for claim in kept:
        if origins.has(claim):
            here = claim if origins.holds(claim) else replace(claim, more=())
            await require_signed(connection, here)
            size, note = await last(connection)
            await _require_last(connection, Events(None), min(size, claim.size))
            if (activity := here.activity) and (known := parsed(note or "").activity):
                size = min(known.size, activity.size)
                dropped = ranges((await spans(connection, origins))[0])
                await _require_last(connection, Activities(None, 0, dropped), size)
        elif not origins.lost(claim):
            raise Contradiction(unknown_checkpoint(claim))


def unknown_checkpoint(claim: Checkpoint) -> str:
    """The fault of a checkpoint that is neither of this log nor recorded as lost."""
    return (
        f"{claim.origin} signed {claim.size} events, which are not all in the log, and no restore"
        " says so"
    )


async def _require_last(connection: Connection, of: SealedLog, size: int) -> None:
    """Raise Contradiction unless the last sealed lines of a log match their leaf hashes."""
    for after in range(max(0, size - LOOKED_AT), size, PAGE):
        for position, item, seal in await _leaves(connection, of, after, min(after + PAGE, size)):
            if item is None:
                raise Contradiction(f"{of.AT} {position} is missing")
            if item.hash not in (seal, None):
                words = f"the {of.NOUN} at {of.AT} {position} is not the one that was signed"
                raise Contradiction(words)


async def _leaves(connection: Connection, of: SealedLog, after: int, upto: int) -> Leaves:
    items = await of.page(connection, after, upto, upto - after)
    found = {item.position: item for item in items}
    numbers = range(after >> HEIGHT, (upto - 1 >> HEIGHT) + 1)
    hashes = await of.TREE.tiles(connection, [(0, number) for number in numbers])

    def seal(position: int) -> bytes:
        number, at = divmod(position - 1, WIDTH)
        return hashes.get((0, number), b"")[at * SIZE : (at + 1) * SIZE]

    return [(each, found.get(each), seal(each)) for each in range(after + 1, upto + 1)]


async def _claims(connection: Connection, origins: Origins, read: Read) -> AsyncIterator[Claim]:
    """Yield what the store's notes claim of one log, in the order of signing."""
    number = 0
    while rows := await (await connection.execute(NOTES, [number])).fetchall():
        number = rows[-1][0]
        for _, size, note in rows:
            opened: Checkpoint | VerificationError
            try:
                opened = origins.open(note)
            except VerificationError as untrue:
                opened = untrue
            if claim := read(size, opened):
                yield claim


class LogVerification:
    """One pass over a log in order of positions, in constant memory.

    After one leaf that differs, all later roots differ: from then on only lines and leaf hashes are
    compared, no longer checkpoints.
    """

    def __init__(
        self,
        connection: Connection,
        of: SealedLog,
        sealed: int,
        claims: Sequence[Claim],
        signed: AsyncIterator[Claim],
        *,
        rest: Rest,
    ) -> None:
        """The number of `sealed` lines, the roots that are known from elsewhere (`claims`), and
        those that were `signed` in the store, in order. Awaits `rest` after each page."""
        self._connection, self._of, self._sealed = connection, of, sealed
        self._claims, self._signed, self._rest = claims, signed, rest
        self._next: Claim | None = None
        """The first claim of the store on further lines."""
        self._edge, self._whole = Edge(), True
        self.lines = self.checkpoints = 0

    async def faults(self, progress: Progress) -> AsyncIterator[str]:
        """Yield faults in order of position."""
        self.lines = await self._of.head(self._connection)
        after, end = 0, max(self._sealed, self.lines, *(size for size, _ in self._claims), 0)
        while after < end:
            upto = min(after + PAGE, end)
            leaves = await _leaves(self._connection, self._of, after, upto)
            for fault in self._differences(leaves):
                yield fault
            if self._whole:
                async for fault in self._roots(after, leaves):
                    yield fault
            progress(upto, end)
            await self._rest()
            after = upto

    def _differences(self, leaves: Leaves) -> Iterator[str]:
        hashes, noun = list[bytes](), self._of.NOUN
        for position, item, seal in leaves:
            found = item.hash if item else b""
            hashes.append(seal if found is None else found)
            if item is None:
                fault = f"the {noun} is missing"
            elif position > self._sealed or hashes[-1] == seal:
                if not item.own:
                    fault = f"the {noun} ({item.name}) was not written by this ledger"
                    yield f"{self._of.AT} {position}: {fault}"
                continue
            elif not seal:
                fault = "the seal is missing"
            else:
                fault = f"the {noun} ({item.name}) is not the one that was sealed"
            self._whole = False
            yield f"{self._of.AT} {position}: {fault}"
        self._hashes = hashes

    async def _roots(self, after: int, leaves: Sequence[object]) -> AsyncIterator[str]:
        """Compare the tree with each checkpoint on the way, and with the tiles above the leaves."""
        upto, changed = after + len(leaves), dict[tuple[int, int], bytes]()
        claims = [each for each in self._claims if after < each[0] <= upto]
        self._next = self._next or await anext(self._signed, None)
        while self._next and self._next[0] <= upto:
            claims.append(self._next)
            self._next = await anext(self._signed, None)
        for size, claim in sorted(claims, key=itemgetter(0)):
            changed |= self._edge.grow(self._hashes[self._edge.size - after : size - after])
            if fault := self._false(size, claim):
                self._whole = False
                yield fault
                return
        changed |= self._edge.grow(self._hashes[self._edge.size - after :])
        if upto > self._sealed:
            return  # Unsealed lines have no tiles.
        above = {at: hashes for at, hashes in changed.items() if at[0]}
        kept = await self._of.TREE.tiles(self._connection, above)
        for at, hashes in above.items():
            if kept.get(at, b"")[: len(hashes)] != hashes:
                yield f"tile {at[1]} of level {at[0]} is not what follows from the {self._of.NOUN}s"

    def _false(self, size: int, claim: bytes | VerificationError) -> str | None:
        self.checkpoints += 1
        if isinstance(claim, VerificationError):
            return f"checkpoint of {size} {self._of.NOUN}s: {claim}"
        if (self._edge.size, self._edge.root) != (size, claim):
            return f"checkpoint of {size} {self._of.NOUN}s: another root was signed than they have"
        return None


def _of_events(size: int, note: Checkpoint | VerificationError) -> Claim:
    if isinstance(note, VerificationError):
        return size, note
    return size, note.root if note.size == size else VerificationError("it is on another size")


def _of_activity(_: int, note: Checkpoint | VerificationError) -> Claim | None:
    found = None if isinstance(note, VerificationError) else note.activity
    return (found.size, found.root) if found else None


class Verification:
    """Verifies all that is sealed: events, activities, and the checkpoints themselves."""

    def __init__(
        self,
        connection: Connection,
        origins: Origins,
        outside: Sequence[Checkpoint],
        event_mac: EventMac | None,
        rest: Rest = no_rest,
    ) -> None:
        """`outside` are checkpoints kept elsewhere; `event_mac` verifies the MACs."""
        self._connection, self._origins, self._outside = connection, origins, outside
        self._mac, self._rest = event_mac, rest
        self.dropped = list[DroppedSpan]()
        self.reads_activity = True
        """Whether this login may read the activity log; otherwise it is not verified."""
        self.events = self.sealed = self.checkpoints = self.activities = self.sealed_activities = 0

    async def faults(self, progress: Progress = unreported) -> AsyncIterator[str]:
        """Yield faults, log by log."""
        for claim in self._outside:
            if not self._origins.has(claim) and not self._origins.lost(claim):
                yield unknown_checkpoint(claim)
        self.sealed, note = await last(self._connection)
        claims = [*self._origins.claims, *filter(self._origins.has, self._outside)]
        events = [(each.size, each.root) for each in claims]
        checked = self._pass(Events(self._mac), self.sealed, events, _of_events)
        async for fault in checked.faults(progress):
            yield fault
        self.events, self.checkpoints = checked.lines, checked.checkpoints
        async for fault in self._activity_faults(note, progress):
            yield fault
        async for fault in numbering_faults(self._connection, self._origins, self._outside):
            yield fault

    async def _activity_faults(self, note: str | None, progress: Progress) -> AsyncIterator[str]:
        try:
            known = parsed(note or "").activity
        except VerificationError:  # Reported before.
            return
        kept = [each.activity for each in self._outside if self._origins.holds(each)]
        claims: list[Claim] = [(each.size, each.root) for each in kept if each]
        if not known and not claims:
            return  # Nothing is sealed yet.
        self.reads_activity = await may_read(self._connection)
        if not self.reads_activity:
            return
        since = known.since if known else 0
        self.sealed_activities = known.size if known else 0
        self.dropped, wrong = await spans(self._connection, self._origins)
        for fault in wrong:
            yield fault
        lines = Activities(self._mac, since, ranges(self.dropped))
        checked = self._pass(lines, self.sealed_activities, claims, _of_activity)
        async for fault in checked.faults(progress):
            yield fault
        self.activities = checked.lines
        if self._mac:
            async for forged, count in unplaced(self._connection, self._mac):
                self.activities += count
                for each in forged:
                    yield each

    def _pass(
        self, of: SealedLog, sealed: int, claims: Sequence[Claim], read: Read
    ) -> LogVerification:
        signed = _claims(self._connection, self._origins, read)
        return LogVerification(self._connection, of, sealed, claims, signed, rest=self._rest)
