"""Spans of the activity log dropped after retention, each under a signed note."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Self

from msgspec import Struct
from psycopg import AsyncConnection

from projections.proofs.origins import Origins
from projections.proofs.sealed_logs import SOURCES, Range
from projections.proofs.signed_note import Signer, VerificationError, text_of

Connection = AsyncConnection[Any]
DROPPED: Final = "activity dropped"

SPANS: Final = "SELECT first, last, note FROM ledger.activity_spans ORDER BY first"
KEEP: Final = "INSERT INTO ledger.activity_spans (first, last, note) VALUES (%s, %s, %s)"
LAST: Final = "SELECT coalesce(max(last), 0) FROM ledger.activity_spans"
NEWER: Final = """
SELECT least((SELECT max(place) FROM ledger.activity_places), (
    SELECT min(p.place) FROM ledger.activity_places p
      LEFT JOIN ledger.activity a ON p.source = 'activity' AND a.number = p.number
      LEFT JOIN ledger.refused_requests r
        ON p.source = 'refused_requests' AND r.number = p.number
     WHERE coalesce(a.timestamp, r.timestamp) >= %s))"""
"""The first place to keep: of the first newer row, or of the last row."""
ROWS: Final = """
DELETE FROM ledger.{source} r USING ledger.activity_places p
 WHERE p.source = '{source}' AND p.number = r.number AND p.place BETWEEN %s AND %s"""
PLACES: Final = "DELETE FROM ledger.activity_places WHERE place BETWEEN %s AND %s"


class DroppedSpan(Struct, frozen=True):
    """A range of leaves whose rows were dropped: by whom, when (UTC), the cut-off time, and why."""

    first: int
    last: int
    at: str
    by: str
    before: str
    reason: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The lines of its note after the origin."""
        lines = f"lines {self.first} {self.last}", f"at {self.at}", f"by {self.by}"
        return DROPPED, *lines, f"before {self.before}", f"reason {self.reason}"

    @classmethod
    def of(cls, note: str) -> Self:
        """Parse a note, without checking its signature. Raises VerificationError."""
        match text_of(note).split("\n"):
            case [_, what, lines, at, by, before, reason] if what == DROPPED:
                name, *ends = lines.split(" ")
                if name == "lines" and len(ends) == 2 and all(map(str.isdecimal, ends)):
                    words = [each.partition(" ")[2] for each in (at, by, before, reason)]
                    return cls(int(ends[0]), int(ends[1]), *words)
        raise VerificationError("this is no note on a dropped span")

    def __str__(self) -> str:
        return (
            f"activity {self.first} to {self.last}: dropped at {self.at} by {self.by}, being from"
            f" before {self.before}: {self.reason}"
        )


async def spans(connection: Connection, origins: Origins) -> tuple[list[DroppedSpan], list[str]]:
    """The spans dropped under notes of this log, and faults of others."""
    found, wrong, last = list[DroppedSpan](), list[str](), 0
    for first, end, note in await (await connection.execute(SPANS)).fetchall():
        try:
            origins.require_signed(note)
            span = DroppedSpan.of(note)
        except VerificationError as untrue:
            wrong.append(f"activity {first} to {end}: {untrue}")
            continue
        if (span.first, span.last) == (first, end) == (last + 1, end):
            found.append(span)
            last = end
        else:
            wrong.append(f"activity {first} to {end}: what was signed is on another span")
    return found, wrong


def ranges(found: Sequence[DroppedSpan]) -> list[Range]:
    """The places of these spans."""
    return [(each.first, each.last) for each in found]


async def drop(
    connection: Connection, signer: Signer, before: datetime, said: tuple[str, str, datetime]
) -> DroppedSpan | None:
    """Drop the rows sealed before the first one at or after `before`, in the caller's transaction;
    `said` holds who, why, and the time. Gives the span, or None without rows."""
    by, reason, now = said
    ((last,),) = await (await connection.execute(LAST)).fetchall()
    ((kept,),) = await (await connection.execute(NEWER, [before])).fetchall()
    if kept is None or kept <= last + 1:
        return None
    times = [f"{each:%Y-%m-%dT%H:%M:%SZ}" for each in (now, before)]
    span = DroppedSpan(last + 1, kept - 1, times[0], by, times[1], " ".join(reason.split()))
    await connection.execute("SET LOCAL rim_ledger.drops_span = 'on'")
    for query in (*(ROWS.format(source=source) for source in SOURCES), PLACES):
        await connection.execute(query.encode(), [span.first, span.last])
    note = signer.attest(signer.origin, *span.lines)
    await connection.execute(KEEP, [span.first, span.last, note])
    return span
