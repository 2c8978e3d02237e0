"""Seals the log: puts its lines into Merkle trees, page by page, and signs their roots."""

import asyncio
from collections.abc import Callable
from itertools import zip_longest
from typing import Any, Final

from psycopg import AsyncConnection

from projections.follow import log
from projections.proofs.checkpoints import (
    MACS,
    SIGNED,
    grow,
    last,
    last_number,
    require_signed,
    signer,
)
from projections.proofs.merkle import Edge
from projections.proofs.sealed_logs import (
    Activities,
    Events,
    SealedLog,
    take_in,
    waiting,
    without_code,
)
from projections.proofs.signed_note import Checkpoint, SealedActivity, Signer, chained, said
from projections.proofs.trees import ACTIVITY, EVENTS
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.store import IMPATIENT
from rim_ledger.postgres.outage import OUTAGE, Outages
from rim_ledger.vault.personal_keys import Vault

PAGE: Final = 1_000
"""Lines of a log that are signed together at most."""
EVERY_SECONDS: Final = 10.0
"""After which fewer are signed."""
POLL_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 1.0
LOCK: Final = 7_264_009
"""Whoever writes seals holds this advisory lock."""
NUMBERED: Final = """
SELECT note FROM ledger.checkpoints
 WHERE number > %s AND NOT opens AND note LIKE %s ORDER BY number"""

Connection = AsyncConnection[Any]
Keep = Callable[[str], None]


class Sealer:
    """Signs what the logs have, a page at a time, and never what contradicts what was signed."""

    def __init__(
        self,
        connection: Connection,
        signer: Signer,
        vault: Vault,
        environment: Environment,
        signed: Checkpoint | None = None,
    ) -> None:
        """The vault checks the code of each line before it is sealed, and `signed` is the last
        checkpoint that is known without the store."""
        self._connection, self._signer, self._signed = connection, signer, signed
        self._mac, self._environment = vault.event_mac, environment
        self._note: str | None = None
        self._edges = Edge(), Edge()
        self._whole = True
        """Whether activities are still looked for in the whole of their tables."""

    async def advance(self) -> str | None:
        """Seal the next page, if there is one; the note on it, durable.

        Whoever else sealed in the meantime is noticed: the last note is read under the lock that
        every sealer holds. Raises Contradiction when a line is missing, or was not written by this
        ledger, or the store does not go on from the last checkpoint that was signed.
        """
        connection = self._connection
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            size, before = await last(connection)
            assert before, "there is a signer, so there is a checkpoint"
            known = said(before).activity
            if self._note != before:
                if self._signed:
                    await require_signed(connection, self._signed)
                count = known.size if known else 0
                edges = await EVENTS.edge(connection, size), await ACTIVITY.edge(connection, count)
                self._edges, self._note = edges, before
            since = known.since if known else await without_code(connection)
            taken = await take_in(connection, PAGE, whole=self._whole)
            grown = self._edges[0].copy(), self._edges[1].copy()
            new = await self._grow(Events(self._mac), grown[0])
            new += await self._grow(Activities(self._mac, since), grown[1])
            if not new:
                self._whole = False
                return None
            lines = SealedActivity(grown[1].size, grown[1].root, since)
            note = await self._sign(said(before), grown[0], lines)
        self._edges, self._note, self._signed = grown, note, said(note)
        self._whole = self._whole and taken == PAGE
        return note

    async def _grow(self, of: SealedLog, edge: Edge) -> int:
        """Put the next page of a log into its tree; how many lines it has."""
        items = await of.page(self._connection, edge.size, None, PAGE)
        await grow(self._connection, of, edge, items)
        return len(items)

    async def _sign(self, before: Checkpoint, events: Edge, lines: SealedActivity) -> str:
        """Sign both roots, and store the note. A number that was signed is not signed again."""
        number = await last_number(self._connection)
        number = 1 + max(number, (self._signed and self._signed.number) or 0)
        more = [f"{MACS} {self._mac.since}"] if self._mac else []
        more += chained(before, number, self._environment.now())
        more.append(str(lines))
        note = self._signer.sign(events.size, events.root, *more)
        await self._connection.execute(SIGNED, [number, events.size, False, note])
        return note


async def seal(
    url: str,
    vault: Vault,
    environment: Environment,
    keep: Keep,
    notice: Callable[[str], None] = lambda _: None,
    *,
    signed: Checkpoint | None = None,
) -> None:
    """Keep the seals up with the logs until cancelled: a checkpoint every thousand lines, and
    every ten seconds in which there were any.

    The last note of each day and the last of all go to `keep` when they are durable in the store,
    whoever signed them. Goes on after an outage, of which `notice` is told: from `signed`, the last
    checkpoint kept, or its own. Raises Contradiction.
    """
    outages, kept = Outages(notice, "the seals"), (signed and signed.number) or 0
    while True:
        try:
            async with await AsyncConnection.connect(url, autocommit=True) as connection:
                await connection.execute(IMPATIENT)
                key = await signer(connection, vault, environment)
                kept = await _keep_since(connection, kept, key, keep)
                sealer = Sealer(connection, key, vault, environment, signed)
                while True:
                    await _wait(connection)
                    while note := await sealer.advance():
                        outages.end()
                        kept = await _keep_since(connection, kept, key, keep)
                        signed = said(note)
                        if await _unsealed(connection) < PAGE:
                            break
        except OUTAGE as error:
            outages.begin(error)
            await asyncio.sleep(PAUSE_SECONDS)


async def _keep_since(connection: Connection, kept: int, key: Signer, keep: Keep) -> int:
    """Have kept what this key signed after the checkpoint of a number, whatever sealer did: the
    last note of each day, and the last; the number of that."""
    cursor = await connection.execute(NUMBERED, [kept, f"{key.origin}\n%\nnumber %"])
    notes = [(said(note), note) for (note,) in await cursor.fetchall()]
    for (claim, note), following in zip_longest(notes, notes[1:]):
        if following is None or _date(following[0]) != _date(claim):
            keep(note)
        kept = claim.number or kept
    return kept


def _date(claim: Checkpoint) -> str:
    return claim.day[0] if claim.day else ""


async def _wait(connection: Connection) -> None:
    """Until a thousand lines wait to be sealed, or some have for ten seconds."""
    now, since = asyncio.get_running_loop().time, None
    while (count := await _unsealed(connection)) < PAGE:
        since = (since or now()) if count else None
        if since is not None and now() >= since + EVERY_SECONDS:
            return
        await asyncio.sleep(POLL_SECONDS)


async def _unsealed(connection: Connection) -> int:
    size, _ = await last(connection)
    return await log.head(connection) - size + await waiting(connection)
