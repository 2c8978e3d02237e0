"""POST /v1/bulk: a command a line in, an answer a line out, in the same order."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Final

from api.context import Context
from api.description.components import DRY_RUN, FLAG
from api.http.body import BODY_MAX, BODY_SECONDS, Disconnected
from api.http.call import NDJSON, Call
from api.http.query import flag
from api.http.stream import PIECE_MAX
from api.http.text import TextFile
from api.pipeline.pipeline import submit
from api.pipeline.receipts import receipt_fields, status_of
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, CommandRequest, Done, Route, operation
from api.routes.atomic import ASKED, perform_all
from api.routes.bulk_lines import Line, Sender
from api.routes.dry_bulk import try_all
from rim_ledger.engine.refusals import Refused

WINDOW: Final = 500
"""Lines that are under way at once."""
WEIGHT_MAX: Final = 4 * 1024 * 1024
"""Bytes of the lines under way, above which the next one waits."""
UNREAD_MAX: Final = 3 * 1024 * 1024
"""Bytes of answers that wait for their reader, above which no more lines are read: with those under
way no more than a stream counts for. Who sends everything before reading anything sends less."""
TURN: Final = 10
"""Lines after which others have their turn: what is refused as it is read waits for nothing, and a
piece of a file may hold thousands of such lines."""


GOING_ON_MAX: Final = 16
"""Lines that go on after their decision at once: as many top-ups as are sent at once, so that none
waits so long for its turn that it is answered without its outcome."""
LEFT_SECONDS: Final = 0.25
"""How long lines that are under way are waited for, when their sender is waited for no more."""
UnderWay = deque[tuple[int, asyncio.Future[bytes]]]
"""Lines that are on their way, in order: their bytes, and their answers to come."""


def _done(number: int, done: Done) -> bytes:
    """The answer to a line that was carried out."""
    route, receipt = done.request.route, done.receipt
    fields = receipt_fields(route.kind, receipt)
    answer: dict[str, Any] = {
        "line": number,
        "status": status_of(route, receipt),
        "receipt": fields,
    }
    if receipt.replayed:
        answer["replayed"] = True
    return json.dumps(answer).encode() + b"\n"


@operation(
    "POST /v1/bulk",
    "Many commands, one a line",
    action=ASKED.action,
    form=Line,
    media_type=NDJSON.decode(),
    answers=NDJSON.decode(),
    query={"atomic": FLAG, **DRY_RUN},
)
async def submit_bulk(context: Context, call: Call, _: Rights) -> None:
    """Streams the answers as they are decided; `?atomic=true` decides all lines as one, and
    `?dryRun=true` tries them, each on top of those before it."""
    sender, atomic = Sender(context, call), flag(call.query_params, "atomic")
    call.dry_run = flag(call.query_params, "dryRun")
    seconds = BODY_SECONDS if atomic or call.dry_run else None
    with context.rates.room(call, context.callers):
        file = TextFile(call.receive, call.headers, NDJSON, seconds=seconds)
        if call.dry_run:
            await try_all(sender, file, atomic=atomic)
        elif atomic:
            await call.reply(await perform_all(sender, file))
        else:
            await _stream(sender, file)


class Answers:
    """Answers on their way to their reader, in order: UNREAD_MAX bytes of them, and one more."""

    def __init__(self) -> None:
        self._waiting = deque[bytes]()
        self._size, self._ended = 0, False
        self._room, self._some = asyncio.Event(), asyncio.Event()

    async def put(self, answer: bytes) -> None:
        """Add one, once there is room."""
        while self._size >= UNREAD_MAX:
            self._room.clear()
            await self._room.wait()
        self._waiting.append(answer)
        self._size += len(answer)
        self._some.set()

    def end(self) -> None:
        """No more will come."""
        self._ended = True
        self._some.set()

    async def take(self) -> bytes:
        """The next ones together, about PIECE_MAX bytes of them; none at the end."""
        while not self._waiting and not self._ended:
            self._some.clear()
            await self._some.wait()
        parts, size = list[bytes](), 0
        while self._waiting and size < PIECE_MAX:
            parts.append(self._waiting.popleft())
            size += len(parts[-1])
        self._size -= size
        self._room.set()
        return b"".join(parts)


class GoingOn:
    """Lines that go on after their decision, such as disbursements: those of one route at once, and
    any other line after them, as it may be about what they do."""

    def __init__(self) -> None:
        self._route: Route | None = None
        self._answers = set[asyncio.Future[bytes]]()

    async def make_room(self, route: Route) -> None:
        """Wait until a line of this route may be decided."""
        while self._answers and (route is not self._route or len(self._answers) >= GOING_ON_MAX):
            await asyncio.wait(self._answers, return_when=asyncio.FIRST_COMPLETED)
            self._answers = {each for each in self._answers if not each.done()}

    def add(self, route: Route, answer: asyncio.Future[bytes]) -> None:
        self._route = route
        self._answers.add(answer)


async def _stream(sender: Sender, file: TextFile) -> None:
    call = sender.call
    await call.start(200, [(b"content-type", NDJSON)])
    answers = Answers()
    writing = asyncio.create_task(_write(call, answers))
    under_way: UnderWay = deque()
    try:
        with suppress(Disconnected):  # What was read is carried out; its reader has left.
            await _carry_out(sender, file, answers, under_way)
        answers.end()
        await writing
    finally:
        writing.cancel()
        if left := [answer for _, answer in under_way]:
            await asyncio.wait(left, timeout=LEFT_SECONDS)
        call.progress = str(sender.progress)


async def _carry_out(sender: Sender, file: TextFile, answers: Answers, under_way: UnderWay) -> None:
    """Pass each line to the ledger in turn, without waiting for the answer of the one before,
    unless that goes on after its decision."""
    number, weight, going_on = 0, 0, GoingOn()
    try:
        async for text in lines(file):
            number += 1
            if number % TURN == 0:
                await asyncio.sleep(0)
            if not text.strip():
                continue
            sender.progress.read += 1
            answer = await _begin(sender, number, text, going_on)
            under_way.append((len(text), answer))
            weight += len(text)
            while under_way and (
                under_way[0][1].done() or len(under_way) >= WINDOW or weight > WEIGHT_MAX
            ):
                size, first = under_way[0]
                await answers.put(await asyncio.shield(first))
                under_way.popleft()
                weight -= size
    except Refused as error:  # What was read is carried out; a last line gives the reason.
        under_way.append((0, _told(sender.failed(number + 1, error))))
    while under_way:
        await answers.put(await asyncio.shield(under_way[0][1]))
        under_way.popleft()


async def _begin(
    sender: Sender, number: int, text: bytes, going_on: GoingOn
) -> asyncio.Future[bytes]:
    """A line on its way, and its answer to come."""
    try:
        request = sender.read(text)
    except Exception as error:
        return _told(sender.failed(number, error))
    await going_on.make_room(request.route)
    answer = asyncio.create_task(_one(sender, number, request))
    if request.route.prepare:
        await asyncio.wait([answer])
    elif request.route.after:
        going_on.add(request.route, answer)
    return answer


def _told(text: bytes) -> asyncio.Future[bytes]:
    answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    answer.set_result(text)
    return answer


async def _one(sender: Sender, number: int, request: CommandRequest) -> bytes:
    try:
        done = await submit(sender.context, request)
        sender.progress.done += 1
        return _done(number, done)
    except Exception as error:
        return sender.failed(number, error)


async def _write(call: Call, answers: Answers) -> None:
    """Send the answers as they come; to a client that has left as well, which gets none."""
    while body := await answers.take():
        await call.go_on(body)
    await call.go_on(b"", more=False)


async def lines(file: TextFile) -> AsyncIterator[bytes]:
    """The lines of a file as they arrive; one above the limit comes cut off just above it."""
    rest = b""
    async for chunk in file:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        rest = rest[: BODY_MAX + 1]
    yield rest


ROUTES: list[AnyRoute] = [
    submit_bulk,
]
