"""Checks that no numbered checkpoint of a log is missing or replaced."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from psycopg import AsyncConnection

from projections.proofs.origins import Origins
from projections.proofs.signed_note import Checkpoint, VerificationError, parsed

CHECKPOINTS: Final = """
SELECT number, note FROM ledger.checkpoints WHERE number > %s ORDER BY number LIMIT 1000"""


async def numbering_faults(
    connection: AsyncConnection[Any], origins: Origins, kept: Sequence[Checkpoint]
) -> AsyncIterator[str]:
    """Yield checkpoints missing from the store or replaced there; `kept` are some stored
    elsewhere."""
    elsewhere = {each.number: each for each in kept if each.number and origins.holds(each)}
    last, numbered = 0, False
    while rows := await (await connection.execute(CHECKPOINTS, [last])).fetchall():
        for number, note in rows:
            for missing in range(last + 1, number):
                yield f"checkpoint number {missing} is missing"
            last = number
            try:
                claim = parsed(note)
                its = claim.number
            except VerificationError:
                continue  # Unreadable; reported where its root is compared.
            if its != number and (its or numbered):
                yield f"checkpoint number {number} was not signed under this number"
            numbered = numbered or its is not None
            if (other := elsewhere.pop(number, None)) and other != claim:
                yield f"checkpoint number {number} is not the one that was kept outside"
    for number in sorted(elsewhere):
        yield f"checkpoint number {number} was kept outside, and is missing in the database"
