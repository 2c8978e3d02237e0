"""Adopts secrets, names and outcomes that the events of an earlier release do not mention."""

from collections.abc import AsyncIterator
from typing import Any, Final, Self
from uuid import UUID

from psycopg import AsyncConnection

from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.engine.event_mac import Forged
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.rows import ADOPTED, DONE, TAKEN, adopted, key_print, name_print
from rim_ledger.engine.store import Store
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.values import derived_id

NAMES: Final = derived_id("adopted-names")
"""The stream whose event marks that all names were adopted."""
BATCH: Final = 1000
SECRETS: Final = """
SELECT owner, purpose, secret FROM ledger.secrets
 WHERE EXISTS (SELECT FROM ledger.events WHERE stream_id = owner)"""
OUTCOMES: Final = """
SELECT caller, key, request_hash, outcome FROM ledger.outcomes WHERE mac IS NULL LIMIT %s"""
CODES: Final = """
UPDATE ledger.outcomes o SET mac = n.mac, recorded_at = clock_timestamp()
  FROM unnest(%s::text[], %s::text[], %s::bytea[]) AS n (caller, key, mac)
 WHERE o.caller = n.caller AND o.key = n.key"""
"""Their retention begins now, as events mention them from now on."""
CLAIMED: Final = """
SELECT kind, name FROM ledger.claims WHERE (kind, name) > (%s, %s) ORDER BY kind, name LIMIT %s"""
CARRIED_OUT: Final = """
SELECT caller, key FROM ledger.outcomes
 WHERE (caller, key) > (%s, %s) AND outcome LIKE '{"receipt"%%' ORDER BY caller, key LIMIT %s"""


class SecretsAdopted(Event):
    """The secrets that existed then are trusted from now on, and no others without an event. They
    are listed beside this, by fingerprint."""


class NamesAdopted(Event):
    """These names and idempotency keys are taken, without another event that says so. They are
    listed beside this, by fingerprint."""


class AdoptedSecrets(Aggregate):
    """Marks that the adoption was done."""

    @classmethod
    def begin(cls, id: Any, event: SecretsAdopted | NamesAdopted, stamp: Stamp) -> Self:
        return cls(id=id)

    def evolve(self, event: SecretsAdopted | NamesAdopted, stamp: Stamp) -> Self:
        return self


async def adopt(url: str, ledger: Ledger) -> bool:
    """Adopt the existing secrets, once, in a ledger with rows that no event mentions; return False
    if there was nothing to do. Raises Forged if the log with MACs is not intact."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        if not await _lacks_marks(Store(connection), ledger):
            return False
        while rows := await (await connection.execute(OUTCOMES, [BATCH])).fetchall():
            callers, keys, *_ = map(list, zip(*rows, strict=True))
            codes = [ledger.cache.outcome(*row).mac for row in rows]
            await connection.execute(CODES, [callers, keys, codes])
        cursor = await connection.execute(SECRETS)
        secrets = {(owner, purpose): secret async for owner, purpose, secret in cursor}

    def work(uow: UnitOfWork) -> None:
        if uow.version(ADOPTED) == 0:
            uow.append(AdoptedSecrets, ADOPTED, [SecretsAdopted()])
            uow.marks[ADOPTED] = adopted(ledger.cache.vault, secrets)

    await ledger.run(work)
    return True


async def adopt_names(url: str, ledger: Ledger) -> None:
    """Adopt the names and idempotency keys that are taken, once, in a ledger whose first events did
    not mention names."""

    vault = ledger.cache.vault

    @decision
    def take(uow: UnitOfWork, mentioned: list[str], stream: UUID | None = None) -> None:
        uow.append(AdoptedSecrets, stream or uow.new_id(), [NamesAdopted()])
        uow.mentioned += mentioned

    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        if not await _lacks_names(Store(connection), ledger):
            return
        async for page in _pages(connection, CLAIMED):
            await ledger.run(take([TAKEN + name_print(vault, each) for each in page]))
        async for page in _pages(connection, CARRIED_OUT):
            await ledger.run(take([DONE + key_print(vault, *each) for each in page]))
    await ledger.run(take([], NAMES))


async def _pages(
    connection: AsyncConnection[Any], query: str
) -> AsyncIterator[list[tuple[str, str]]]:
    last = "", ""
    while page := await (await connection.execute(query.encode(), [*last, BATCH])).fetchall():
        yield page
        last = page[-1]


async def _lacks_names(store: Store, ledger: Ledger) -> bool:
    """Return whether names were not adopted yet, and the first events do not mention any."""
    if await store.streams([NAMES]):
        return False
    lines = await store.after(0)
    mentioned = (ledger.cache.read(line) for line in lines)
    return bool(lines) and not any(
        each.claims for each in mentioned if not isinstance(each.event, NamesAdopted)
    )


async def _lacks_marks(store: Store, ledger: Ledger) -> bool:
    """Return whether there are events, and none with a MAC that mentions a row."""
    position = ledger.cache.event_mac.since
    while lines := await store.after(position):
        for line in lines:
            position += 1
            if line.notification.id != position:
                raise Forged(position)
            if ledger.cache.read(line).kept:
                return False
    return position > 0
