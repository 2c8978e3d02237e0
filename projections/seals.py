"""Seals the log: puts its events into a Merkle tree, page by page, and signs each root."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from psycopg import AsyncConnection

from projections import log
from projections.log import Line
from projections.merkle import HEIGHT, SIZE, WIDTH, Edge, Tile, leaf_hash
from projections.origins import Opening, Origins, open_first, open_next
from projections.signed_note import Checkpoint, Signer, Untrue, said
from rim_ledger.event_mac import EventMac
from rim_ledger.event_mac import leaf as leaf_of
from rim_ledger.outage import OUTAGE, Outages
from rim_ledger.store import IMPATIENT
from rim_ledger.values import derived_id
from rim_ledger.vault import Vault
from rim_ledger.world import World

PAGE: Final = 1_000
"""Events that are signed together at most."""
EVERY: Final = 10.0
"""Seconds after which fewer are signed."""
POLL: Final = 0.25
PAUSE: Final = 1.0
LOCK: Final = 7_264_009
"""Whoever writes seals holds this advisory lock."""
MACS: Final = "macs"
"""Begins the line of a checkpoint that says after which position events carry codes."""
KEY: Final = (derived_id("seals"), "signing-key")
"""Under which the private key lies among the secrets, wrapped by the vault."""

SECRET: Final = "SELECT secret FROM ledger.secrets WHERE owner = %s AND purpose = %s"  # noqa: S105
ADD_SECRET: Final = "INSERT INTO ledger.secrets VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"  # noqa: S105
CHANGE: Final = "UPDATE ledger.secrets SET secret = %s WHERE owner = %s AND purpose = %s"
OPENINGS: Final = "SELECT note, at FROM ledger.checkpoints WHERE opens ORDER BY size"
LAST: Final = "SELECT size, note FROM ledger.checkpoints ORDER BY size DESC, opens DESC LIMIT 1"
TILES: Final = """
SELECT level, number, hashes FROM ledger.tiles
  JOIN unnest(%s::int[], %s::bigint[]) AS wanted (level, number) USING (level, number)"""
WRITE: Final = """
INSERT INTO ledger.tiles SELECT * FROM unnest(%b::int[], %b::bigint[], %b::bytea[])
ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes"""
SIGNED: Final = "INSERT INTO ledger.checkpoints (size, opens, note) VALUES (%s, %s, %s)"
UNLESS_SIGNED: Final = f"{SIGNED} ON CONFLICT DO NOTHING".encode()

Connection = AsyncConnection[Any]


class Contradiction(Exception):
    """The store is not what was signed; the message says where."""


def leaf(line: Line) -> bytes:
    """The bytes that stand for an event in the tree."""
    return leaf_of(
        line.position,
        line.stream,
        line.version,
        line.name,
        recorded_at=line.recorded_at,
        body=line.body,
    )


async def signer(connection: Connection, vault: Vault, world: World) -> Signer:
    """The log's signer. At the first start its first origin is opened, whoever starts first."""
    if (found := await known_signer(connection, vault)) is None:
        wrapped = vault.wrap_secret(*KEY, world.random(32).hex())
        await connection.execute(ADD_SECRET, [*KEY, wrapped])
        found = await known_signer(connection, vault)
        assert found, "a key that was added is there"
    if not await openings(connection):
        await connection.execute(UNLESS_SIGNED, [0, True, open_first(found)])
    return found


async def known_signer(connection: Connection, vault: Vault) -> Signer | None:
    """The log's signer, if a key was made. Raises Untrue when that was changed."""
    row = await (await connection.execute(SECRET, [*KEY])).fetchone()
    try:
        return Signer(bytes.fromhex(vault.unwrap_secret(*KEY, row[0]))) if row else None
    except (InvalidTag, ValueError, OverflowError):
        raise Untrue("the key that it is signed with is damaged") from None


async def openings(connection: Connection) -> list[tuple[str, datetime]]:
    """The notes that opened the origins of the log, and when."""
    return await (await connection.execute(OPENINGS)).fetchall()


async def origins(connection: Connection, vault: Vault | None) -> Origins:
    """The origins of the log, of which the last holds the key at hand, if a vault opens that.
    Raises Untrue."""
    found = Origins(note for note, _ in await openings(connection))
    signer = await known_signer(connection, vault) if vault else None
    if vault and (found.last and found.last.verifier.key) != (signer and signer.key):
        raise Untrue("the last origin in the store is not the one whose key it holds")
    return found


async def go_on(
    connection: Connection, vault: Vault, world: World, kept: Iterable[Checkpoint]
) -> Opening:
    """Open a new origin on all that is in the log; the key of the one before is no more.

    `kept` are checkpoints that were kept elsewhere: those on events that are not here are named as
    lost. Raises Untrue, or Contradiction when an event is missing, or the last checkpoint that is
    here was not signed so: what signs it again has to have seen that it is true.
    """
    before, secret = await signer(connection, vault, world), world.random(32)
    known = await origins(connection, vault)
    size, note = await last(connection)
    assert note, "there is an origin, so there is a checkpoint"
    after, grown = known.open(note), await edge(connection, size)
    _require_root(grown, after)
    while lines := await log.page(connection, grown.size, None, PAGE):
        await _grow(connection, grown, lines, vault.event_mac)

    def is_here(claim: Checkpoint) -> bool:
        return known.has(claim) and claim.size <= grown.size

    lost = [each for each in kept if not is_here(each) and not known.lost(each)]
    opening = open_next(Signer(secret), before, (grown.size, grown.root), after, lost)
    await connection.execute(CHANGE, [vault.wrap_secret(*KEY, secret.hex()), *KEY])
    await connection.execute(SIGNED, [grown.size, True, opening])
    return Opening.of(opening)


def macs_since(checkpoint: Checkpoint) -> int | None:
    """After which position events carry codes, if a checkpoint says so."""
    for line in checkpoint.more:
        match line.split(" "):
            case ["macs", since] if since.isdecimal():
                return int(since)
    return None


async def last(connection: Connection) -> tuple[int, str | None]:
    """How many events are sealed, and the note that says so."""
    row = await (await connection.execute(LAST)).fetchone()
    return row or (0, None)


async def tiles(connection: Connection, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
    """These tiles, as far as they are there."""
    places = list(wanted)
    levels, numbers = [level for level, _ in places], [number for _, number in places]
    cursor = connection.cursor(binary=True)
    await cursor.execute(TILES, [levels, numbers])
    return {(level, number): bytes(hashes) async for level, number, hashes in cursor}


async def edge(connection: Connection, size: int) -> Edge:
    """The growing edge of the sealed tree. Raises Contradiction when its tiles are not there."""
    wanted = Edge.wanted(size)
    found = await tiles(connection, wanted)
    whole = {at: found.get(at, b"") for at in wanted}
    for level, number in wanted:
        length = (size >> HEIGHT * level) % WIDTH * SIZE
        if len(whole[level, number]) < length:
            raise Contradiction(f"the seals lack hashes of tile {number}, level {level}")
        whole[level, number] = whole[level, number][:length]
    return Edge(size, whole)


async def require_signed(connection: Connection, claim: Checkpoint) -> None:
    """Raise Contradiction unless the log begins with the events of a checkpoint, as far as its
    seals tell, and the events after those of which the seals were lost."""
    if (head := await log.head(connection)) < claim.size:
        raise Contradiction(f"the log ends at position {head}, and was signed up to {claim.size}")
    grown = await edge(connection, min((await last(connection))[0], claim.size))
    further = await log.page(connection, grown.size, claim.size, claim.size - grown.size)
    grown.grow(leaf_hash(leaf(line)) for line in dense(further, grown.size))
    _require_root(grown, claim)


def _require_root(grown: Edge, claim: Checkpoint) -> None:
    if (grown.size, grown.root) != (claim.size, claim.root):
        raise Contradiction(f"the first {claim.size} events are not those that were signed")


class Sealer:
    """Signs what the log has, a page at a time, and never what contradicts what was signed."""

    def __init__(
        self,
        connection: Connection,
        signer: Signer,
        event_mac: EventMac | None,
        signed: Checkpoint | None = None,
    ) -> None:
        """`event_mac` checks the code of each event before it is sealed, and `signed` is the last
        checkpoint that is known without the store."""
        self._connection, self._signer, self._signed = connection, signer, signed
        self._event_mac = event_mac
        self._edge: Edge | None = None

    async def advance(self) -> str | None:
        """Seal the next page, if there is one; the note on it, durable.

        Whoever else sealed in the meantime is noticed: the size is read under the lock that every
        sealer holds. Raises Contradiction when an event is missing, or was not written by this
        ledger, or the store does not go on from the last checkpoint that was signed.
        """
        async with self._connection.transaction():
            await self._connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            size, _ = await last(self._connection)
            if self._edge is None or self._edge.size != size:
                if self._signed:
                    await require_signed(self._connection, self._signed)
                self._edge = await edge(self._connection, size)
            lines = await log.page(self._connection, size, None, PAGE)
            if not lines:
                return None
            grown = self._edge.copy()
            await _grow(self._connection, grown, lines, self._event_mac)
            more = [f"{MACS} {self._event_mac.since}"] if self._event_mac else []
            note = self._signer.sign(grown.size, grown.root, *more)
            await self._connection.execute(SIGNED, [grown.size, False, note])
        self._edge, self._signed = grown, said(note)
        return note


async def seal(
    url: str,
    vault: Vault,
    world: World,
    keep: Callable[[str], None],
    notice: Callable[[str], None] = lambda _: None,
    *,
    signed: Checkpoint | None = None,
) -> None:
    """Keep the seals up with the log until cancelled: a checkpoint every thousand events, and
    every ten seconds in which there were any.

    Each note goes to `keep` when it is durable in the store. Goes on after an outage, of which
    `notice` is told: from `signed`, the last checkpoint kept, or its own. Raises Contradiction.
    """
    outages = Outages(notice, "the seals")
    while True:
        try:
            async with await AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(IMPATIENT)
                key = await signer(connection, vault, world)
                sealer = Sealer(connection, key, vault.event_mac, signed)
                while True:
                    await _wait(connection)
                    while note := await sealer.advance():
                        outages.end()
                        keep(note)
                        signed = said(note)
                        if await _unsealed(connection) < PAGE:
                            break
        except OUTAGE as error:
            outages.begin(error)
            await asyncio.sleep(PAUSE)


async def _wait(connection: Connection) -> None:
    """Until a thousand events wait to be sealed, or some have for ten seconds."""
    now, since = asyncio.get_running_loop().time, None
    while (waiting := await _unsealed(connection)) < PAGE:
        since = (since or now()) if waiting else None
        if since is not None and now() >= since + EVERY:
            return
        await asyncio.sleep(POLL)


async def _unsealed(connection: Connection) -> int:
    size, _ = await last(connection)
    return await log.head(connection) - size


async def _grow(
    connection: Connection, edge: Edge, lines: Sequence[Line], event_mac: EventMac | None
) -> None:
    """Put the next events into the tree. Raises Contradiction."""
    leaves = [leaf(line) for line in dense(lines, edge.size)]
    if event_mac:
        codes = await log.macs(connection, edge.size, edge.size + len(leaves))
        for position, each in enumerate(leaves, edge.size + 1):
            if not event_mac.is_right(position, each, codes.get(position)):
                words = f"the event at position {position} was not written by this ledger"
                raise Contradiction(words)
    changed = edge.grow(map(leaf_hash, leaves))
    levels, numbers = [level for level, _ in changed], [number for _, number in changed]
    await connection.execute(WRITE, [levels, numbers, [*changed.values()]])


def dense(lines: Iterable[Line], after: int) -> Iterable[Line]:
    """The lines as they are, while none is missing after a position. Raises Contradiction."""
    for expected, line in enumerate(lines, after + 1):
        if line.position != expected:
            raise Contradiction(f"position {expected} is missing")
        yield line
