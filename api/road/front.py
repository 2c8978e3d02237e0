"""The front: finds the route, answers, and turns every refusal into a problem."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter
from typing import Any, Final

from msgspec.structs import replace

from api.road.commands import answer_command
from api.road.desk import Desk
from api.road.health import PROBES
from api.road.lines import answer_rows
from api.road.looking import filters_said, note
from api.road.reads import answer_one
from api.road.rights import Rights
from api.road.routes import AnyRoute, List, One, Other, Parameters, Route, activity_of, entry
from api.wire import problem
from api.wire.accept import preferred
from api.wire.body import Disconnected
from api.wire.call import REQUEST, Call, Reply, path_of
from api.wire.query import read_parameters
from api.wire.rate import Rates, TooMuchUnread, caller_of
from api.wire.stream import PIECE_MAX
from rim_ledger.activity import Activity
from rim_ledger.admin import gate
from rim_ledger.core import Refused, Unavailable
from rim_ledger.outage import OUTAGE, unavailable
from rim_ledger.turns import CALLER
from rim_ledger.world import RealWorld

App = Callable[..., Awaitable[None]]
Message = MutableMapping[str, Any]

ACCESSES: Final = "rim_ledger.access"
"""The logger of a line for each answer; at its level WARNING there are none."""
log = logging.getLogger("rim_ledger.api")
accesses = logging.getLogger(ACCESSES)

DOCS, ASSETS, OPENAPI = "/docs", "/docs/assets/", "/openapi.json"
ACTIONS: Final = {"GET": "Read"}
"""What the log of activities calls a request that is neither command nor list."""
DOCUMENTS: Final = (DOCS, OPENAPI)


class Front:
    """Every request of the API. What only describes the API goes on to FastAPI.

    An answer that breaks off after it has begun is left without an end: so the server closes the
    connection, and nobody takes the part for the whole.
    """

    def __init__(self, inner: App, state: Any) -> None:
        self._inner, self._state = inner, state
        self._readers = Rates(0)

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        path = path_of(scope)
        if path in DOCUMENTS or path.startswith(ASSETS):
            await self._describe(scope, receive, send)
            return
        started = perf_counter()
        desk: Desk = self._state.desk
        call = Call(scope, receive, send, desk.world, desk.proxies)
        REQUEST.set(call.id)
        CALLER.set(str(caller_of(call, desk.callers)))
        route: AnyRoute | None = None
        try:
            if path not in PROBES:
                desk.rates.note(call, desk.callers, started)
            route, parameters = desk.table.find(call.method, call.path)
            reply = await answer(desk, call, route, parameters)
        except (Refused, Unavailable) as refusal:
            left = call.started and isinstance(refusal, Disconnected)
            reply = None if left else refused(refusal, call)
        except OUTAGE as error:
            reply = refused(unavailable(error), call)
        except asyncio.CancelledError:  # The process stops and has waited for this long enough.
            words = "The service is stopping. Please ask again under the same key."
            reply = refused(Unavailable("busy", words), call)
        except Exception as error:
            desk.note_unexpected(error)
            reply = refused(error, call)
        if reply is not None and call.started:
            log.warning("the answer broke off with %s%s", reply.status, call.progress)
            call.status = reply.status
        elif reply is not None:
            await _send(desk, call, reply)
        template = route.path if route else "none"
        desk.metrics.note(call.method, template, call.status, started)
        _log_access(call.method, template, call.status, started)

    async def _describe(self, scope: Message, receive: Any, send: Any) -> None:
        """What describes the API, and needs no ledger; so many at once for each address."""
        call = Call(scope, receive, send, RealWorld(), self._state.settings.trusted_proxies)
        try:
            with self._readers.room(call, {}):
                await self._inner(scope, receive, send)
        except TooMuchUnread as refusal:
            await call.reply(refused(refusal, call))


async def answer(desk: Desk, call: Call, route: AnyRoute, parameters: Parameters) -> Reply | None:
    """What the route says; None when it has sent its answer by itself."""
    match route:
        case Route():
            return await answer_command(desk, call, route, parameters)
        case List():
            return await answer_rows(desk, call, route, parameters)
        case One():
            return await answer_one(desk, call, route, parameters)
        case _:
            return await answer_other(desk, call, route, parameters)


async def answer_other(
    desk: Desk, call: Call, route: Other, parameters: Parameters
) -> Reply | None:
    """Admit the caller, read the query and wait for the position that a read asks for; then the
    route answers by itself.

    A route without a right sees itself to who may ask, so what is wrong with the query is told
    only to those whom any of these routes would let in.
    """
    if route.public:
        call.given = read_parameters(call.query, route.query)
        return await route.answer(desk, call, parameters)
    action = "Export" if route.exports else ACTIONS.get(route.method, "Send")
    asked = activity_of(action, route.path, parameters)
    if route.needs:
        rights = await desk.rights(
            call, call.token, route.needs, activity=asked, enter=entry(route)
        )
        if route.exports:
            return await _export(desk, call, route, parameters, (rights, asked))
    try:
        await _read_query(desk, call, route)
    except (Refused, Unavailable):
        if not route.needs:
            await desk.rights(call, call.token, activity=asked, enter=gate.enter_to_enrol)
        raise
    return await route.answer(desk, call, parameters)


async def _read_query(desk: Desk, call: Call, route: Other) -> None:
    """What the answer is to be about and to be written as. Raises Refused, or Unavailable when the
    read tables do not come as far as the caller asks."""
    call.given = read_parameters(call.query, route.query)
    if route.offers:
        call.media_type = preferred(call.headers.get(b"accept"), route.offers)
    if route.method == "GET":
        await desk.wait_for(call)


async def _export(
    desk: Desk, call: Call, route: Other, parameters: Parameters, reader: tuple[Rights, Activity]
) -> Reply | None:
    """What somebody takes along, once the log says so: when the answer begins, or is refused."""
    rights, asked = reader
    if rights.unlogged:
        raise rights.unlogged

    async def note_begun() -> None:
        said = filters_said(desk, call.given, route.query)
        await note(desk, call, rights, replace(asked, details={"filters": said}))

    call.before_start = note_begun
    try:
        await _read_query(desk, call, route)
        reply = await route.answer(desk, call, parameters)
        await call.about_to_start()
    except Refused as refusal:
        if call.before_start is not None:
            await note(desk, call, rights, asked, refusal)
        raise
    finally:
        call.before_start = None
    return reply


def _log_access(method: str, path: str, status: int, started: float) -> None:
    """A line for an answer: the path as routes spell it, so that no id and no query is told."""
    if not accesses.isEnabledFor(logging.INFO):
        return
    milliseconds = round((perf_counter() - started) * 1000, 1)
    fields = {"method": method, "path": path, "status": status, "milliseconds": milliseconds}
    accesses.info("%s %s %s in %s ms", *fields.values(), extra={"fields": fields})


def refused(refusal: Exception, call: Call) -> Reply:
    """A refusal as RFC 9457 wants it."""
    body = problem.problem(refusal, call.path, call.id)
    headers = problem.headers_of(refusal)
    return Reply(body["status"], problem.encoded(body), headers, problem.MEDIA_TYPE)


async def _send(desk: Desk, call: Call, reply: Reply) -> None:
    """Send an answer. Before a large one that only tells something there must be room for it."""
    if len(reply.body) <= PIECE_MAX or call.method != "GET":
        await call.reply(reply)
        return
    try:
        with desk.rates.room(call, desk.callers, len(reply.body)):
            await call.reply(reply)
    except TooMuchUnread as refusal:
        await call.reply(refused(refusal, call))
