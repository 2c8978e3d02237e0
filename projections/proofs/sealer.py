"""Seals the logs: appends their lines to Merkle trees page by page, and signs the roots."""

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
    assign_places,
    count_unplaced,
    count_without_mac,
)
from projections.proofs.signed_note import Checkpoint, SealedActivity, Signer, numbered, parsed
from projections.proofs.trees import ACTIVITY, EVENTS
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.store import IMPATIENT
from rim_ledger.postgres.outage import OUTAGE, Outages
from rim_ledger.vault.personal_keys import Vault

PAGE: Final = 1_000
EVERY_SECONDS: Final = 10.0
"""Time after which fewer are signed."""
POLL_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 1.0
LOCK: Final = 7_264_009
"""Advisory lock of the sealer."""
NUMBERED: Final = """
SELECT note FROM ledger.checkpoints
 WHERE number > %s AND NOT opens AND note LIKE %s ORDER BY number"""

Connection = AsyncConnection[Any]
Keep = Callable[[str], None]


class Sealer:
    """Signs pages of the logs, and never what contradicts an earlier checkpoint."""

    def __init__(
        self,
        connection: Connection,
        signer: Signer,
        vault: Vault,
        environment: Environment,
        signed: Checkpoint | None = None,
        *,
        page: int = PAGE,
    ) -> None:
        """The vault verifies each line's MAC before it is sealed; `signed` is the last checkpoint
        known from outside the store; `page` lines of a log at most are signed together."""
        self._connection, self._signer, self._signed = connection, signer, signed
        self._mac, self._environment = vault.event_mac, environment
        self._note: str | None = None
        self._page = page
        self._edges = Edge(), Edge()
        self._whole = True
        """Whether the entire activity tables must still be scanned."""

    async def advance(self) -> str | None:
        """Seal the next page; gives its note, committed, or None without new lines.

        The last note is read under the sealers' lock, so that another sealer's progress is noticed.
        Raises Contradiction when a line is missing or has no valid MAC, or the store does not
        extend the last signed checkpoint.
        """
        connection = self._connection
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            size, before = await last(connection)
            assert before, "there is a signer, so there is a checkpoint"
            known = parsed(before).activity
            if self._note != before:
                if self._signed:
                    await require_signed(connection, self._signed)
                count = known.size if known else 0
                edges = await EVENTS.edge(connection, size), await ACTIVITY.edge(connection, count)
                self._edges, self._note = edges, before
            since = known.since if known else await count_without_mac(connection)
            taken = await assign_places(connection, self._page, whole=self._whole)
            grown = self._edges[0].copy(), self._edges[1].copy()
            new = await self._grow(Events(self._mac), grown[0])
            new += await self._grow(Activities(self._mac, since), grown[1])
            if not new:
                self._whole = False
                return None
            lines = SealedActivity(grown[1].size, grown[1].root, since)
            note = await self._sign(parsed(before), grown[0], lines)
        self._edges, self._note, self._signed = grown, note, parsed(note)
        self._whole = self._whole and taken == self._page
        return note

    async def _grow(self, of: SealedLog, edge: Edge) -> int:
        """Append the next page of a log to its tree; gives the number of lines."""
        items = await of.page(self._connection, edge.size, None, self._page)
        await grow(self._connection, of, edge, items)
        return len(items)

    async def _sign(self, before: Checkpoint, events: Edge, lines: SealedActivity) -> str:
        """Sign both roots, and store the note. No number is signed twice."""
        number = await last_number(self._connection)
        number = 1 + max(number, (self._signed and self._signed.number) or 0)
        more = [f"{MACS} {self._mac.since}"] if self._mac else []
        more += numbered(before, number, self._environment.now())
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
    """Seal until cancelled: a checkpoint every thousand lines, and every ten seconds if there are
    any.

    The last note and the last of each day are passed to `keep` once committed, whoever signed them.
    Continues after an outage, reported to `notice`: from `signed`, the last checkpoint kept, or its
    own. Raises Contradiction.
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
                        signed = parsed(note)
                        if await _unsealed(connection) < PAGE:
                            break
        except OUTAGE as error:
            outages.begin(error)
            await asyncio.sleep(PAUSE_SECONDS)


async def _keep_since(connection: Connection, kept: int, key: Signer, keep: Keep) -> int:
    """Pass to `keep` what this key signed after a checkpoint's number, by any process: the last
    note of each day, and the last; gives its number."""
    cursor = await connection.execute(NUMBERED, [kept, f"{key.origin}\n%\nnumber %"])
    notes = [(parsed(note), note) for (note,) in await cursor.fetchall()]
    for (claim, note), following in zip_longest(notes, notes[1:]):
        if following is None or _date(following[0]) != _date(claim):
            keep(note)
        kept = claim.number or kept
    return kept


def _date(claim: Checkpoint) -> str:
    return claim.day[0] if claim.day else ""


async def _wait(connection: Connection) -> None:
    """Wait until a thousand lines are unsealed, or some have been for ten seconds."""
    now, since = asyncio.get_running_loop().time, None
    while (count := await _unsealed(connection)) < PAGE:
        since = (since or now()) if count else None
        if since is not None and now() >= since + EVERY_SECONDS:
            return
        await asyncio.sleep(POLL_SECONDS)


async def _unsealed(connection: Connection) -> int:
    size, _ = await last(connection)
    return await log.head(connection) - size + await count_unplaced(connection)
