"""Challenges: each awaits one code, for ten minutes and five tries, shared by all processes."""

import logging
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.event_mac import EventMac, RowForged
from rim_ledger.postgres.pool import Pool

TRIES: Final = 5
TABLE: Final = "challenges"

log = logging.getLogger("rim_ledger")

PUT: Final = """
INSERT INTO ledger.challenges (id, holder, epoch, code, expires_at, mac)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch,
                               code = excluded.code, tries = 0, expires_at = excluded.expires_at,
                               mac = excluded.mac
RETURNING id"""

TRY: Final = """
UPDATE ledger.challenges SET tries = tries + 1
 WHERE id = %s AND expires_at > %s AND tries < %s
RETURNING id, holder, epoch, expires_at, code, mac"""

WAITING: Final = "SELECT expires_at FROM ledger.challenges WHERE id = %s AND expires_at > %s"

TAKE: Final = "DELETE FROM ledger.challenges WHERE id = %s RETURNING id"


class Challenge(Struct, frozen=True):
    """A pending challenge of an admin or a borrower, with the keyed hash of the code if one was
    sent. Void once the admin's epoch changes: a new password or factor, or a suspension."""

    id: str
    holder: UUID
    epoch: int
    expires_at: datetime
    code: str | None = None


class Challenges:
    """The pending challenges in the database, shared by all processes."""

    def __init__(self, pool: Pool, event_mac: EventMac) -> None:
        """`event_mac` signs and checks each row, since no event can confirm it."""
        self._pool, self._event_mac = pool, event_mac

    async def put(self, each: Challenge) -> None:
        """Store a challenge; replaces one under the same id."""
        row = [each.id, each.holder, each.epoch, each.code, each.expires_at, self._mac(each)]
        await self._pool.rows(PUT, row)

    async def try_at(self, id: str, now: datetime, most: int = TRIES) -> Challenge | None:
        """Count a try and return the challenge; None after `most` tries, or if there is none. The
        try is counted first, so that concurrent guesses are limited as sequential ones are. Raises
        RowForged if the row's MAC is wrong."""
        if not (found := await self._pool.rows(TRY, [id, now, most])):
            return None
        *columns, mac = found[0]
        asked = Challenge(*columns)
        if not compare_digest(mac, self._mac(asked)):
            log.error("a row of %s for %s is not as it was stored", TABLE, asked.holder)
            raise RowForged(TABLE, asked.holder)
        return asked

    async def waits_until(self, id: str, now: datetime) -> datetime | None:
        """Return the expiry of a pending challenge; None if there is none."""
        found = await self._pool.rows(WAITING, [id, now])
        return found[0][0] if found else None

    async def take(self, id: str) -> bool:
        """Delete a challenge; return False if it was deleted before."""
        return bool(await self._pool.rows(TAKE, [id]))

    def _mac(self, each: Challenge) -> bytes:
        until = each.expires_at.astimezone(UTC).isoformat()
        columns = (each.id, str(each.holder), str(each.epoch), until, each.code or "")
        return self._event_mac.row_code(TABLE, *columns)
