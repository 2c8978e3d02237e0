"""Waits until the read tables are as far as a request asks, by its Ledger-Position."""

import re
from typing import Final

from api.context import Context
from api.http.call import Call
from rim_ledger.engine.refusals import Invalid

POSITION: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


async def wait_for(context: Context, call: Call) -> None:
    """Let the read tables come as far as the request's Ledger-Position says, and note it. Raises
    Invalid for what is no position yet, Unavailable when they do not come."""
    if (text := call.header(b"ledger-position")) is None:
        return
    if not POSITION.fullmatch(text):
        raise Invalid("invalid-position", "A position is a whole number.", "Ledger-Position")
    position = int(text)
    if position > context.ledger.head and position > await last_position(context):
        words = "The ledger has not come that far."
        raise Invalid("invalid-position", words, "Ledger-Position")
    await context.tables.require(position)
    call.position = position


async def last_position(context: Context) -> int:
    """The last position in the store, whoever wrote it."""
    ((position,),) = await context.pool.rows("SELECT coalesce(max(position), 0) FROM ledger.events")
    return int(position)
