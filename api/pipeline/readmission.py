"""An answer that goes on: its reader has few at once, and is admitted again before each part."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.context import Context
from api.http.call import Call
from api.http.stream import Stream
from api.pipeline.pipeline import admitted
from api.pipeline.rights import Rights
from rim_ledger.admin import authentication
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.unit_of_work import Right


async def admit_again(context: Context, call: Call, *needs: Right, activity: Activity) -> Rights:
    """Admit the reader of a started answer again, who has taken what was sent so far; this keeps a
    session alive as any request does. The decision is at the positions read so far, or later.
    Raises Unauthenticated or Forbidden, which breaks the answer off."""
    return await admitted(context, call, *needs, activity=activity, enter=authentication.enter_own)


@asynccontextmanager
async def streaming(context: Context, call: Call) -> AsyncIterator[Stream]:
    """The body of an answer that goes on, to a call whose own body was read. Raises Refused
    when as much as may be is on its way to the caller."""
    with context.rates.room(call, context.callers):
        async with Stream(call) as stream:
            yield stream
