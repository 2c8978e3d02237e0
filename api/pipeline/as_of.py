"""Which events an answer counts: from a Ledger-Position on, and as of a moment."""

import re
from datetime import datetime
from typing import Final

from api.context import Context
from api.http.call import Call
from api.http.query import unfit
from api.pipeline.conditions import Test
from api.pipeline.filters import Asked, all_of, has_business_time
from projections.follow.as_of import Moment
from projections.tables.table import Row
from rim_ledger.engine.refusals import Invalid
from rim_ledger.engine.store import HEAD
from rim_ledger.lending.loan import Loan
from rim_ledger.values import moment

NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
RECORDED: Final = "SELECT recorded_at FROM ledger.events WHERE position = %s"
SHOWN: Final = "SELECT position FROM read.tracking WHERE name = 'read'"

APPROXIMATE: Final = (b"ledger-approximate", b"true")
"""Stands beside an answer in business time for which an event does not say when it happened."""
HINT: Final = b"ledger-hint"
UNRECORDED: Final = "Nothing of it was recorded by then, but it had happened: ask with effectiveAt."
"""The hint beside an answer by time of recording that is empty for that reason only."""


async def moment_of(context: Context, asked: Asked) -> Moment:
    """The events that count: those up to a position and, if requested, effective by a business
    time; once the read tables have reached the position. Raises InvalidFields."""
    happened_by = None
    if asked.effective_at is not None and (happened_by := moment(asked.effective_at)) is None:
        words = "this is a time with an offset, such as 2026-01-31T08:00:00Z (a + is written %2B)"
        raise unfit("effectiveAt", words)
    if asked.as_of is not None:
        return Moment(await position_of(context, asked.as_of), happened_by)
    ((position,),) = await context.pool.rows(SHOWN)
    return Moment(position, happened_by)


async def position_of(context: Context, text: str) -> int:
    """The position that an `asOf` means, itself or the last one recorded by a time, when the read
    tables have come to it."""
    head = await last_position(context)
    if NUMBER.fullmatch(text) and int(text) <= head:
        position = int(text)
    elif time := moment(text):
        position = await position_at(context, time, head)
    else:
        words = f"this is a position up to {head}, or a time with an offset (a + is written %2B)"
        raise unfit("asOf", words)
    await context.tables.require(position)
    return position


async def position_at(
    context: Context, time: datetime, upto: int, *, inclusive: bool = True
) -> int:
    """The last position recorded by a time, or before it."""
    first, last = 0, upto
    while first < last:  # Times of recording never go back, so the place is found by halving.
        middle = (first + last + 1) // 2
        ((recorded_at,),) = await context.pool.rows(RECORDED, [middle])
        by_then = recorded_at <= time if inclusive else recorded_at < time
        first, last = (middle, last) if by_then else (first, middle - 1)
    return first


async def is_approximate(context: Context, row: type[Row], at: Moment, tests: list[Test]) -> bool:
    """True if an event of some of these rows has no business time. Those of payments have one;
    those of loans without one have moved money, and left a line in the journal."""
    if at.happened_by is None or row.OF is not Loan:
        return False
    where, values = all_of([*tests, ("l.position <= %s", [at.position])])
    query = (
        f"SELECT EXISTS (SELECT FROM read.{row.TABLE} t"  # noqa: S608 - declared names
        " JOIN read.journal_entries e ON e.loan_id = t.id"
        f" JOIN read.journal_lines l ON l.entry_id = e.id AND l.approximate WHERE {where})"
    )
    ((found,),) = await context.pool.rows(query, values)
    return bool(found)


async def hint(context: Context, row: type[Row], asked: Asked, tests: list[Test]) -> str | None:
    """The hint beside an empty answer by a time of recording, if some of these rows had happened by
    then."""
    if (time := asked.recorded_by) is None or not has_business_time(row):
        return None
    where, values = all_of([*tests, ("t.created_at <= %s", [time])])
    query = f"SELECT EXISTS (SELECT FROM read.{row.TABLE} t WHERE {where})"  # noqa: S608 - declared names
    ((happened,),) = await context.pool.rows(query, values)
    return UNRECORDED if happened else None


async def wait_for(context: Context, call: Call) -> None:
    """Wait until the read tables have reached the request's Ledger-Position. Raises Invalid for a
    position that does not exist yet, Unavailable on timeout."""
    if (text := call.header(b"ledger-position")) is None:
        return
    if not NUMBER.fullmatch(text):
        raise Invalid("invalid-position", "A position is a whole number.", "Ledger-Position")
    position = int(text)
    if position > context.ledger.head and position > await last_position(context):
        words = "The ledger has not come that far."
        raise Invalid("invalid-position", words, "Ledger-Position")
    await context.tables.require(position)
    call.position = position


async def last_position(context: Context) -> int:
    """The last position in the store, of any process."""
    ((position,),) = await context.pool.rows(HEAD)
    return int(position)
