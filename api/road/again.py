"""An answer that goes on: its reader has few at once, and is admitted again before each part."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from api.wire.call import Call
from api.wire.stream import Stream
from rim_ledger.activity import Activity
from rim_ledger.admin import gate
from rim_ledger.book import Right

if TYPE_CHECKING:
    from api.road.desk import Desk
    from api.road.rights import Rights


async def admit_again(desk: "Desk", call: Call, *needs: Right, activity: Activity) -> "Rights":
    """Admit the reader of an answer that has begun, who has taken what was sent by now: that keeps
    a session alive as any request does. They are let in at the positions of what was read by now,
    or later. Raises Unauthenticated or Forbidden, which breaks the answer off."""
    return await desk.rights(call, call.token, *needs, activity=activity, enter=gate.enter_own)


@asynccontextmanager
async def streaming(desk: "Desk", call: Call) -> AsyncIterator[Stream]:
    """The body of an answer that goes on, to a call whose own body was read. Raises TooMuchUnread
    when as much as may be is on its way to the caller."""
    with desk.rates.room(call, desk.callers):
        async with Stream(call) as stream:
            yield stream
