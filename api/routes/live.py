"""The log as server-sent events: everything since a position, and then what happens."""

import asyncio
from typing import Final

from msgspec.structs import replace

from api.http.call import Call
from api.http.stream import Stream
from api.pipeline.as_of import NUMBER
from api.routes.event_log import EventReader, Question, pages
from rim_ledger.engine.refusals import Forbidden, Invalid, NotFound, Unauthenticated, Unavailable

SSE: Final = b"text/event-stream"
CHECK: Final = 2.0
"""Seconds of silence after which the reader is looked at again. Before a page it always is."""
HEARTBEAT: Final = 15.0
"""Seconds of silence after which a heartbeat is sent."""


def resumed(call: Call, question: Question) -> Question:
    """The question from the last event on that the client has seen."""
    if (text := call.header(b"last-event-id")) is None:
        return question
    if not NUMBER.fullmatch(text):
        words = "This is the id of an event of this stream: its position."
        raise Invalid("invalid-position", words, "Last-Event-ID")
    if int(text) > question.upto:
        # What the reader saw there was lost by a restore, and others will be in its place.
        raise Invalid("invalid-position", "The ledger has not come that far.", "Last-Event-ID")
    return replace(question, after=int(text))


class Live:
    """One reader's stream. It ends when the reader leaves or may read no more, or the process
    stops; a reader who comes back with Last-Event-ID misses nothing."""

    def __init__(self, reader: EventReader, stream: Stream) -> None:
        self._reader, self._context, self._stream = reader, reader.context, stream
        self._now = asyncio.get_running_loop().time
        self._checked = self._told = self._now()

    async def run(self, question: Question) -> None:
        """Send events until the end."""
        await self._send(b"retry: 1000\n\n")
        ended = asyncio.create_task(self._ended())
        try:
            while not ended.done():
                part = replace(question, upto=self._context.log.position)
                async for lines, after in pages(self._context, part):
                    if lines:
                        await self._look_again()
                    seen, events = await self._reader.shown(lines)
                    for line, event in zip(seen, events, strict=True):
                        await self._send(b"id: %d\ndata: %b\n\n" % (line.position, event))
                    if len(seen) < len(lines):  # Where the reader goes on from, without an event.
                        await self._send(b"id: %d\n\n" % after)
                    question = replace(question, after=after)
                    if ended.done():
                        return
                await self._wait(question.after, ended)
        except (Unauthenticated, Forbidden, NotFound, Unavailable):
            pass  # A reader who comes back gets the reason.
        finally:
            ended.cancel()

    async def _wait(self, after: int, ended: asyncio.Task[None]) -> None:
        """Until the log goes on; in silence, look after the reader."""
        waiting = asyncio.create_task(self._context.log.wait(after + 1, CHECK))
        await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if self._now() > self._checked + CHECK:
            await self._look_again()
        if self._now() > self._told + HEARTBEAT:
            await self._send(b": heartbeat\n\n")

    async def _look_again(self) -> None:
        await self._reader.again()
        self._checked = self._now()

    async def _send(self, text: bytes) -> None:
        await self._stream.send(text)
        self._told = self._now()

    async def _ended(self) -> None:
        """Return when the reader has left, or the process is to stop."""
        stopping = asyncio.create_task(self._context.stopping.wait())
        try:
            await asyncio.wait({stopping, self._stream.left}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
