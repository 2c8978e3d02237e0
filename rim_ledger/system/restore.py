"""Restores a ledger from a chain of backups, in one transaction."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from psycopg import AsyncConnection

from rim_ledger.delivery.kill_switch import OUTBOUND, OutboundStopped
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.codec import Codec, Recorded
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.event_mac import EventMac, leaf
from rim_ledger.operator_error import OperatorError
from rim_ledger.postgres.migrations import LOCK, RECORD, scripts
from rim_ledger.progress import Progress
from rim_ledger.storage import Storage
from rim_ledger.system.backup_chain import Chain
from rim_ledger.system.backup_file import FILE, BackupError

REASON: Final = "The ledger was restored from a backup"

# A restored identity column continues after its last value.
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

FinalStep = Callable[[AsyncConnection[Any]], Awaitable[tuple[str, EventMac | None]]]
"""A further step of the restore, in the same transaction. Returns a message about it, and the MAC
for the events of the restored ledger."""


class NotEmpty(OperatorError):
    """The database has a ledger already: a restore never changes one."""

    def __init__(self) -> None:
        words = "this database holds a ledger: restore into an empty one, or another RIM_HOME"
        super().__init__(words)


async def restore(
    url: str,
    chain: Chain,
    files: Storage,
    environment: Environment,
    report: Progress,
    *,
    go_on: FinalStep,
) -> str:
    """Fill an empty database with a chain, in one transaction, with egress stopped. Returns a
    message. Raises NotEmpty, or BackupError if the backup needs a newer program."""
    async with await AsyncConnection.connect(url) as connection:
        await connection.execute("SET LOCAL lock_timeout = '60s'")
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        await _require_empty(connection)
        await _make_tables(connection, chain)
        stored = list[str]()
        try:
            await _fill(connection, chain, files, stored, report)
            cursor = await connection.execute(COUNTERS, [list(chain.last.columns)])
            for counter, table, column in await cursor.fetchall():
                last = f"SELECT setval(%s, max({column})) FROM ledger.{table}"
                await connection.execute(last.encode(), [counter])
            await _migrate(connection, scripts().keys() - set(chain.last.migrations))
            words, mac = await go_on(connection)
            await _stop_outbound(connection, f"{REASON}: {words}.", environment, mac)
            await connection.commit()
        except BaseException:
            await connection.rollback()
            for name in stored:
                await files.drop(name)
            raise
        return words


async def require_empty(url: str) -> None:
    """Raise NotEmpty unless the database is empty."""
    async with await AsyncConnection.connect(url) as connection:
        await _require_empty(connection)


async def _require_empty(connection: AsyncConnection[Any]) -> None:
    cursor = await connection.execute("SELECT to_regnamespace('ledger'), to_regclass('migrations')")
    if await cursor.fetchone() != (None, None):
        raise NotEmpty


async def _make_tables(connection: AsyncConnection[Any], chain: Chain) -> None:
    """Create the tables as they were when the backup was made."""
    if newer := sorted(set(chain.last.migrations) - scripts().keys()):
        archive, _ = chain.links[-1]
        words = f"it was made by a newer version of the program, with {', '.join(newer)}"
        raise BackupError(f"the backup {archive.name} cannot be used: {words}")
    await connection.execute(RECORD)
    await _migrate(connection, chain.last.migrations)


async def _migrate(connection: AsyncConnection[Any], names: Iterable[str]) -> None:
    known = scripts()
    for name in sorted(names):
        await connection.execute(known[name])
        await connection.execute("INSERT INTO migrations VALUES (%s)", [name])


async def _fill(
    connection: AsyncConnection[Any],
    chain: Chain,
    files: Storage,
    stored: list[str],
    report: Progress,
) -> None:
    done, size = 0, chain.size

    def count(more: int) -> None:
        nonlocal done
        done += more
        report(done, size)

    file, parts = "", list[bytes]()
    async for piece, content, columns in chain.log_and_files(count):
        name = piece.of.removeprefix(FILE) if piece.of.startswith(FILE) else ""
        if name != file:
            await _keep(files, file, parts, stored)
            file, parts = name, []
        if name:
            parts.append(content)
        else:
            await _copy(connection, piece.of, columns, content)
    await _keep(files, file, parts, stored)
    for table in chain.tables:
        async for content in chain.lines(table, count):
            await _copy(connection, table, chain.last.columns[table], content)


async def _copy(
    connection: AsyncConnection[Any], table: str, columns: Iterable[str], lines: bytes
) -> None:
    query = f"COPY ledger.{table} ({', '.join(columns)}) FROM STDIN".encode()
    async with connection.cursor().copy(query) as target:
        await target.write(lines)


async def _keep(files: Storage, name: str, parts: list[bytes], stored: list[str]) -> None:
    if name:
        stored.append(name)
        await files.keep(name, parts)


async def _stop_outbound(
    connection: AsyncConnection[Any], reason: str, environment: Environment, mac: EventMac | None
) -> None:
    """Append the event that stops egress, right after the backup's last event."""
    event = OutboundStopped(reason=reason)
    stamp = Stamp(at=environment.now(), actor=SYSTEM)
    codec = Codec({OutboundStopped.__name__: OutboundStopped})
    row = await (await connection.execute(NEXT, [OUTBOUND])).fetchone()
    assert row is not None, "a backup has events"
    position, version, at = row
    recorded = Recorded(
        originator_id=OUTBOUND,
        originator_version=version,
        id=environment.new_id(),
        event=event,
        stamp=stamp,
    )
    stored = codec.to_stored_event(recorded)
    place = (position, OUTBOUND, version, stored.topic)
    code = mac.code(leaf(*place, recorded_at=at, body=stored.state)) if mac else None
    await connection.execute(STOP, [*place, at, stored.state.decode(), code])
