"""What `asOf` means: a position of the log, said as such or as a time."""

import re
from typing import TYPE_CHECKING, Final

from api.wire.problem import InvalidFields
from rim_ledger.values import moment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from api.road.desk import Desk

NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
RECORDED: Final = "SELECT recorded_at FROM ledger.events WHERE position = %s"


async def position_of(desk: "Desk", texts: list[str]) -> int:
    """The position that an `asOf` means, itself or the last one recorded by a time, when the read
    tables have come to it."""
    head, text = await desk.last_position(), "" if len(texts) > 1 else texts[0]
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


def only(given: "Mapping[str, list[str]]", *known: str) -> None:
    """Refuse a query with any other parameter."""
    if unknown := sorted(given.keys() - set(known)):
        each = {"code": "unknown-parameter", "detail": "there is no such parameter"}
        raise InvalidFields([{"pointer": name, **each} for name in unknown], "unknown-parameter")


def unfit(name: str, words: str) -> InvalidFields:
    """What to say of a parameter that cannot be meant."""
    wrong = {"pointer": name, "code": "invalid-parameter", "detail": words}
    return InvalidFields([wrong], "invalid-parameter")
