"""What `asOf` means: a position of the log, said as such or as a time."""

import re
from typing import TYPE_CHECKING, Final

from api.wire.query import unfit
from rim_ledger.values import moment

if TYPE_CHECKING:
    from datetime import datetime

    from api.road.desk import Desk

NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
RECORDED: Final = "SELECT recorded_at FROM ledger.events WHERE position = %s"


async def position_of(desk: "Desk", text: str) -> int:
    """The position that an `asOf` means, itself or the last one recorded by a time, when the read
    tables have come to it."""
    head = await desk.last_position()
    if NUMBER.fullmatch(text) and int(text) <= head:
        position = int(text)
    elif time := moment(text):
        position = await position_at(desk, time, head)
    else:
        words = f"this is a position up to {head}, or a time with an offset (a + is written %2B)"
        raise unfit("asOf", words)
    await desk.tables.require(position)
    return position


async def position_at(desk: "Desk", time: "datetime", upto: int, *, inclusive: bool = True) -> int:
    """The last position recorded by a time, or before it."""
    first, last = 0, upto
    while first < last:  # Times of recording never go back, so the place is found by halving.
        middle = (first + last + 1) // 2
        ((recorded_at,),) = await desk.rows(RECORDED, [middle])
        by_then = recorded_at <= time if inclusive else recorded_at < time
        first, last = (middle, last) if by_then else (first, middle - 1)
    return first
