"""Brings a ledger back from its backups: looks at everything first, then all of it or nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Final

from msgspec import Struct
from psycopg import AsyncConnection

from rim_ledger.codec import Codec, Recorded
from rim_ledger.core import SYSTEM, Stamp
from rim_ledger.event_mac import EventMac, leaf
from rim_ledger.migrate import LOCK, RECORD, scripts
from rim_ledger.storage import Storage
from rim_ledger.system.archive import EVENTS, FILE, Archive, Manifest, Piece, Unsound
from rim_ledger.system.outbound import OUTBOUND, OutboundStopped
from rim_ledger.world import World

REASON: Final = "The ledger was restored from a backup"

# A restored store goes on counting where the other one stopped.
COUNTERS: Final = """
SELECT pg_get_serial_sequence(format('ledger.%%I', c.relname), a.attname), c.relname, a.attname
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
 WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind = 'r' AND a.attidentity <> ''
   AND c.relname = ANY (%s)"""

STOP: Final = """
INSERT INTO ledger.events (position, stream_id, version, name, recorded_at, body, mac)
VALUES (%s, %s, %s, %s, %s, %s, %s)"""
NEXT: Final = """
SELECT max(position) + 1, 1 + count(*) FILTER (WHERE stream_id = %s),
       greatest(clock_timestamp(), max(recorded_at))
  FROM ledger.events"""

Told = Callable[[int, int], None]
"""Is told how many bytes are done, of how many."""
GoOn = Callable[[AsyncConnection[Any]], Awaitable[tuple[str, EventMac | None]]]
"""What else belongs to a restore, in the same transaction; what there is to say of it, and what
authenticates the events of the restored ledger."""


class NotEmpty(Exception):
    """There is a ledger already: a restore never touches one."""

    def __init__(self) -> None:
        words = "this database holds a ledger: restore into an empty one, or another RIM_HOME"
        super().__init__(words)


class Chain(Struct, frozen=True):
    """A full backup and those that go on from it, each looked at as a whole."""

    links: Sequence[tuple[Archive, Manifest]]

    @property
    def last(self) -> Manifest:
        return self.links[-1][1]

    async def contents(self) -> AsyncIterator[tuple[Piece, bytes, list[str]]]:
        """The events and files of every backup, and all else as it was at the last; of a piece of
        a table its columns as well."""
        for archive, manifest in self.links:
            async for piece, content in archive.contents(manifest):
                if self._counts(piece, manifest):
                    yield piece, content, manifest.columns.get(piece.of, [])

    @property
    def size(self) -> int:
        """The bytes of all these pieces."""
        pieces = [(piece, manifest) for _, manifest in self.links for piece in manifest.pieces]
        return sum(piece.size for piece, manifest in pieces if self._counts(piece, manifest))

    def _counts(self, piece: Piece, manifest: Manifest) -> bool:
        """Whether it holds for good, or is the last word."""
        return piece.of == EVENTS or piece.of.startswith(FILE) or manifest is self.last


async def look_at(archives: Sequence[Archive], told: Callable[[int], None]) -> Chain:
    """Read every backup of a chain as a whole. Raises Unsound where one is not whole, or does not
    go on where the one before it ends; Unavailable where it cannot be read."""
    links = [(each, await each.manifest(told)) for each in archives]
    first, base = links[0]
    if base.parent:
        words = f"it goes on from {base.parent}.rim at position {base.after}: name that before it"
        raise Unsound(f"the backup {first.name} cannot be used: {words}")
    for (_, before), (archive, after) in pairwise(links):
        if (after.parent, after.after) != (before.id, before.position):
            needs = f"{after.parent}.rim at position {after.after}" if after.parent else "nothing"
            words = f"it goes on from {needs}, not from {before.id}.rim at {before.position}"
            raise Unsound(f"the backup {archive.name} cannot be used: {words}")
    return Chain(links)


async def restore(
    url: str, chain: Chain, files: Storage, world: World, told: Told, *, go_on: GoOn
) -> str:
    """Fill an empty database with a chain, in one transaction; nothing leaves the house from
    there. What there is to say of it. Raises NotEmpty, or Unsound where this program is too old
    for the backup."""
    async with await AsyncConnection.connect(url) as connection:
        await connection.execute("SET LOCAL lock_timeout = '60s'")
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        await _require_empty(connection)
        await _make_tables(connection, chain)
        stored = list[str]()
        try:
            await _fill(connection, chain, files, stored, told)
            await _set_counters(connection, chain)
            await _migrate(connection, scripts().keys() - set(chain.last.migrations))
            words, mac = await go_on(connection)
            await _stop_outbound(connection, f"{REASON}: {words}.", world, mac)
            await connection.commit()
        except BaseException:
            await connection.rollback()
            for name in stored:
                await files.drop(name)
            raise
        return words


async def require_empty(url: str) -> None:
    """Raises NotEmpty unless there is nothing in the database yet."""
    async with await AsyncConnection.connect(url) as connection:
        await _require_empty(connection)


async def _require_empty(connection: AsyncConnection[Any]) -> None:
    cursor = await connection.execute("SELECT to_regnamespace('ledger'), to_regclass('migrations')")
    if await cursor.fetchone() != (None, None):
        raise NotEmpty


async def _make_tables(connection: AsyncConnection[Any], chain: Chain) -> None:
    """The tables as they were when the backup was made."""
    if newer := sorted(set(chain.last.migrations) - scripts().keys()):
        archive, _ = chain.links[-1]
        words = f"it was made by a newer version of the program, with {', '.join(newer)}"
        raise Unsound(f"the backup {archive.name} cannot be used: {words}")
    await connection.execute(RECORD)
    await _migrate(connection, chain.last.migrations)


async def _migrate(connection: AsyncConnection[Any], names: Iterable[str]) -> None:
    known = scripts()
    for name in sorted(names):
        await connection.execute(known[name])
        await connection.execute("INSERT INTO migrations VALUES (%s)", [name])


async def _fill(
    connection: AsyncConnection[Any], chain: Chain, files: Storage, stored: list[str], told: Told
) -> None:
    file, parts, done, size = "", list[bytes](), 0, chain.size
    async for piece, content, columns in chain.contents():
        name = piece.of.removeprefix(FILE) if piece.of.startswith(FILE) else ""
        if name != file:
            await _keep(files, file, parts, stored)
            file, parts = name, []
        if name:
            parts.append(content)
        else:
            query = f"COPY ledger.{piece.of} ({', '.join(columns)}) FROM STDIN".encode()
            async with connection.cursor().copy(query) as target:
                await target.write(content)
        done += piece.size
        told(done, size)
    await _keep(files, file, parts, stored)


async def _keep(files: Storage, name: str, parts: list[bytes], stored: list[str]) -> None:
    if name:
        stored.append(name)
        await files.keep(name, parts)


async def _set_counters(connection: AsyncConnection[Any], chain: Chain) -> None:
    cursor = await connection.execute(COUNTERS, [list(chain.last.columns)])
    for counter, table, column in await cursor.fetchall():
        last = f"SELECT setval(%s, max({column})) FROM ledger.{table}"
        await connection.execute(last.encode(), [counter])


async def _stop_outbound(
    connection: AsyncConnection[Any], reason: str, world: World, mac: EventMac | None
) -> None:
    """The first event after the backup's: it is there or the whole ledger is not."""
    event = OutboundStopped(reason=reason)
    stamp = Stamp(at=world.now(), actor=SYSTEM)
    codec = Codec({OutboundStopped.__name__: OutboundStopped})
    row = await (await connection.execute(NEXT, [OUTBOUND])).fetchone()
    assert row is not None, "a backup has events"
    position, version, at = row
    recorded = Recorded(
        originator_id=OUTBOUND,
        originator_version=version,
        id=world.new_id(),
        event=event,
        stamp=stamp,
    )
    stored = codec.to_stored_event(recorded)
    place = (position, OUTBOUND, version, stored.topic)
    code = mac.code(leaf(*place, recorded_at=at, body=stored.state)) if mac else None
    await connection.execute(STOP, [*place, at, stored.state.decode(), code])
