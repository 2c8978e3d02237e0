"""A route of the table as a route of FastAPI: FastAPI describes it, one handler answers it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.context import Context
from api.description.openapi import route_arguments, signature
from api.http import problem
from api.http.accept import preferred
from api.http.body import Disconnected
from api.http.call import Call, Reply
from api.http.query import read_parameters
from api.http.stream import PIECE_MAX
from api.pipeline.as_of import wait_for
from api.pipeline.background import note_unexpected
from api.pipeline.commands import answer_command
from api.pipeline.disclosure import filters_said, note
from api.pipeline.list_formats import answer_rows
from api.pipeline.pipeline import admitted
from api.pipeline.reads import answer_one
from api.pipeline.rights import NOBODY, Rights
from api.pipeline.routes import AnyRoute, List, One, Other, Route, action_of, activity_of, entry
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.postgres.outage import OUTAGE, unavailable

log = logging.getLogger("rim_ledger.api")


class Unexpected(Exception):
    """An unexpected error, which was noted; its answer reveals nothing about it."""


class Endpoint(APIRoute):
    """What FastAPI knows of a route, and the application that answers it. Nothing is injected: our
    handler reads the request itself, within its limits."""

    def __init__(self, route: AnyRoute) -> None:
        self.route = route

        def declared() -> None:  # FastAPI looks at its signature, and never calls it.
            pass

        declared.__signature__ = signature(route)  # type: ignore[attr-defined]
        super().__init__(route.path, declared, methods=[route.method], **route_arguments(route))

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return partial(handle, self.route)


def router_of(routes: Iterable[AnyRoute]) -> APIRouter:
    """FastAPI's router of a slice."""
    return APIRouter(routes=[Endpoint(route) for route in routes])


class _Sent(Response):
    """The response of an answer that was already sent, or has no reader any more."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        pass


SENT: Final = _Sent()


async def handle(route: AnyRoute, request: Request) -> Response:
    """Answer a request. Raises Refused, Unavailable or Unexpected, which become problems.

    An answer that breaks off is left unterminated, so that the server closes the connection and the
    client notices.
    """
    context: Context = request.app.state.context
    call: Call = request.scope["call"]
    try:
        reply = await _answer(context, call, route)
        if reply is None or len(reply.body) <= PIECE_MAX or call.method != "GET":
            return reply or SENT
        # A large answer to a read must find room.
        with context.rates.room(call, context.callers, len(reply.body)):
            await call.reply(reply)
            return SENT
    except (Refused, Unavailable) as refusal:
        error: Exception = refusal
    except OUTAGE as outage:
        error = unavailable(outage)
    except asyncio.CancelledError:  # The process stops and has waited for this long enough.
        words = "The service is stopping. Please ask again under the same key."
        error = Unavailable("busy", words)
    except Exception as unexpected:
        note_unexpected(context, unexpected)
        error = Unexpected()
    if not call.started:
        raise error
    if not isinstance(error, Disconnected):
        call.status = problem.status_of(error)
        log.warning("the answer broke off with %s%s", call.status, call.progress)
    return SENT


async def as_problem(request: Request, error: Exception) -> Response:
    """The exception handler for whatever `handle` raises."""
    return refused(error, request.scope["call"])


def refused(refusal: Exception, call: Call) -> Reply:
    """A refusal as RFC 9457 wants it."""
    body = problem.problem(refusal, call.path, call.id)
    headers = problem.headers_of(refusal)
    return Reply(body["status"], problem.encoded(body), headers, problem.MEDIA_TYPE)


async def _answer(context: Context, call: Call, route: AnyRoute) -> Reply | None:
    """The answer to a request; None when it was sent already. The caller of a command is admitted
    with its decision, any other before the query is read and the handler called."""
    if isinstance(route, Route):
        return await answer_command(context, call, route)
    if isinstance(route, Other) and route.public:
        call.query_params = read_parameters(call.query, route.query)
        return await route.answer(context, call, NOBODY)
    asked = activity_of(action_of(route), route.path, call.path_params)
    also = route.needs_also if isinstance(route, Other) else None
    needs = filter(None, (route.needs, also))
    rights = await admitted(context, call, *needs, activity=asked, enter=entry(route))
    if isinstance(route, List):
        return await answer_rows(context, call, route, rights, asked)
    if isinstance(route, One):
        return await answer_one(context, call, route, rights, asked)
    if route.exports:
        return await _export(context, call, route, rights, asked)
    await _read_query(context, call, route)
    return await route.answer(context, call, rights)


async def _read_query(context: Context, call: Call, route: Other) -> None:
    """Read query parameters and media type, and wait for the position that a read requests. Raises
    Refused, or Unavailable on timeout."""
    call.query_params = read_parameters(call.query, route.query)
    if route.offers:
        call.media_type = preferred(call.headers.get(b"accept"), route.offers)
    if route.method == "GET":
        await wait_for(context, call)


async def _export(
    context: Context, call: Call, route: Other, rights: Rights, asked: Activity
) -> Reply | None:
    """Answer with data that is taken along, and log that when the answer starts or is refused."""
    if rights.unlogged:
        raise rights.unlogged

    async def note_begun() -> None:
        said = filters_said(context, call.query_params, route.query)
        await note(context, call, rights, replace(asked, details={"filters": said}))

    call.before_start = note_begun
    try:
        await _read_query(context, call, route)
        reply = await route.answer(context, call, rights)
        await call.about_to_start()
    except Refused as refusal:
        if call.before_start is not None:
            await note(context, call, rights, asked, refusal)
        raise
    finally:
        call.before_start = None
    return reply
