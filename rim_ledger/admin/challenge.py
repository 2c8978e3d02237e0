"""Challenges: each awaits one code, for ten minutes and five tries, whichever process is asked."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.event_mac import EventMac, RowForged
from rim_ledger.postgres.outage import OUTAGE, unavailable
from rim_ledger.postgres.pool import Pool

TRIES: Final = 5
TABLE: Final = "challenges"

log = logging.getLogger("rim_ledger")

PUT: Final = b"""
WITH over AS (DELETE FROM ledger.challenges WHERE expires_at <= %s AND id <> %s)
INSERT INTO ledger.challenges (id, holder, epoch, code, expires_at, mac)
VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET holder = excluded.holder, epoch = excluded.epoch,
                               code = excluded.code, tries = 0, expires_at = excluded.expires_at,
                               mac = excluded.mac
RETURNING id"""

TRY: Final = b"""
UPDATE ledger.challenges SET tries = tries + 1
 WHERE id = %s AND expires_at > %s AND tries < %s
RETURNING id, holder, epoch, expires_at, code, mac"""

WAITING: Final = b"SELECT expires_at FROM ledger.challenges WHERE id = %s AND expires_at > %s"

TAKE: Final = b"DELETE FROM ledger.challenges WHERE id = %s RETURNING id"


class Challenge(Struct, frozen=True):
    """What waits to be answered: by which admin or borrower, and, as a keyed hash, the code if one
    was sent. Over when an admin's epoch is: after a new password or factor, or a suspension."""

    id: str
    holder: UUID
    epoch: int
    expires_at: datetime
    code: str | None = None


class Challenges:
    """What waits in the database, for all processes together."""

    def __init__(self, pool: Pool, event_mac: EventMac) -> None:
        """`event_mac` makes and checks the code of each row, which follows from no event."""
        self._pool, self._event_mac = pool, event_mac

    async def put(self, each: Challenge, now: datetime) -> None:
        """Begin to wait; one under the same id is over, and so are those nobody answered in
        time."""
        row = [each.id, each.holder, each.epoch, each.code, each.expires_at, self._mac(each)]
        await self._rows(PUT, [now, each.id, *row])

    async def try_at(self, id: str, now: datetime, most: int = TRIES) -> Challenge | None:
        """Count a try, and only then see what it is about: guesses made all at once are no more
        than guesses made one by one. None after `most` tries, or without such a challenge. Raises
        RowForged for one that no process of this ledger put there."""
        if not (found := await self._rows(TRY, [id, now, most])):
            return None
        *columns, mac = found[0]
        asked = Challenge(*columns)
        if not compare_digest(mac, self._mac(asked)):
            log.error("a row of %s for %s is not as it was stored", TABLE, asked.holder)
            raise RowForged(TABLE, asked.holder)
        return asked

    async def waits_until(self, id: str, now: datetime) -> datetime | None:
        """Until when a challenge waits; None where there is none."""
        found = await self._rows(WAITING, [id, now])
        return found[0][0] if found else None

    async def take(self, id: str) -> bool:
        """End a challenge; whether nobody else has."""
        return bool(await self._rows(TAKE, [id]))

    def _mac(self, each: Challenge) -> bytes:
        until = each.expires_at.astimezone(UTC).isoformat()
        columns = (each.id, str(each.holder), str(each.epoch), until, each.code or "")
        return self._event_mac.row_code(TABLE, *columns)

    async def _rows(self, statement: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            async with self._pool.connection() as connection:
                return await (await connection.execute(statement, values)).fetchall()
        except OUTAGE as error:
            raise unavailable(error) from None
