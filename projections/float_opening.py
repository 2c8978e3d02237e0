"""What the journal had in a float's account before the network was tracked."""

from decimal import Decimal
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection

OPENING: Final = """
SELECT coalesce(sum(l.debit - l.credit), 0) FROM read.floats f
  LEFT JOIN read.journal_lines l ON l.account = '1100.' || f.network AND l.position < f.begun
 WHERE f.id = %s GROUP BY f.id"""


async def find_opening(url: str, float_id: UUID) -> Decimal | None:
    """Return the balance (naira) before the first top-up; None until the read tables show that."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        row = await (await connection.execute(OPENING, [float_id])).fetchone()
    return Decimal(row[0]) if row else None
