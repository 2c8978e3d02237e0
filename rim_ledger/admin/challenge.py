"""Challenges: each awaits one code, for ten minutes and five tries, whichever process is asked."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.outage import OUTAGE, unavailable
from rim_ledger.pool import Pool

TRIES: Final = 5

PUT: Final = b"""
WITH over AS (DELETE FROM ledger.challenges WHERE expires_at <= %s AND id <> %s)
INSERT INTO ledger.challenges (id, holder, epoch, code, expires_at) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, code = excluded.code, tries = 0,
                               expires_at = excluded.expires_at
RETURNING id"""

TRY: Final = b"""
UPDATE ledger.challenges SET tries = tries + 1
 WHERE id = %s AND expires_at > %s AND tries < %s
RETURNING id, holder, epoch, expires_at, code"""

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

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, each: Challenge, now: datetime) -> None:
        """Begin to wait; one under the same id is over, and so are those nobody answered in
        time."""
        values = [now, each.id, each.id, each.holder, each.epoch, each.code, each.expires_at]
        await self._rows(PUT, values)

    async def try_at(self, id: str, now: datetime, most: int = TRIES) -> Challenge | None:
        """Count a try, and only then see what it is about: guesses made all at once are no more
        than guesses made one by one. None after `most` tries, or without such a challenge."""
        found = await self._rows(TRY, [id, now, most])
        return Challenge(*found[0]) if found else None

    async def waits_until(self, id: str, now: datetime) -> datetime | None:
        """Until when a challenge waits; None where there is none."""
        found = await self._rows(WAITING, [id, now])
        return found[0][0] if found else None

    async def take(self, id: str) -> bool:
        """End a challenge; whether nobody else has."""
        return bool(await self._rows(TAKE, [id]))

    async def _rows(self, statement: bytes, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        try:
            async with self._pool.connection() as connection:
                return await (await connection.execute(statement, values)).fetchall()
        except OUTAGE as error:
            raise unavailable(error) from None
