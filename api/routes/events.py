"""The routes of the log: in pages, as a stream to its end, and live; of all, or of one object."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from api.description.components import ref, shape
from api.description.event_schemas import get_async_api, get_event_schema, list_event_schemas
from api.http.call import JSON, NDJSON, Call, Headers, Reply
from api.pipeline.disclosure import Look, filters_said, show
from api.pipeline.filters import LIMIT
from api.pipeline.readmission import streaming
from api.pipeline.routes import AnyRoute, List, One, Other, Parameters, activity_of
from api.routes.event_log import SCAN, Question, ReaderView, about, pages, read_question
from api.routes.live import SSE, Following, Live, resumed
from projections.cloud_events import persons_in
from projections.follow import log
from projections.tables.table import Row
from rim_ledger.catalogue import ENTITIES
from rim_ledger.engine.unit_of_work import Right

if TYPE_CHECKING:
    from api.context import Context
    from api.pipeline.rights import Rights

    Find = Callable[[Rights], Awaitable[Question]]

READ: Final = ("events", "read")
OFFERS: Final = (JSON, NDJSON, SSE)
ACTIONS: Final = {JSON: "List", NDJSON: "Export", SSE: "Follow"}
"""What the log of activities calls each way of reading."""


async def list_events(
    context: "Context",
    call: Call,
    parameters: Parameters,
    *,
    needs: Right = READ,
    row: type[Row] | None = None,
) -> Reply | None:
    """Events in the order of their positions, as CloudEvents 1.0.

    As JSON in pages, as NDJSON to the end of the log, or live as server-sent events, as `Accept`
    says. Events about what the caller may not read are left out, and positions go on past them.
    Personal words are hidden from readers without users.pii, and null once erased.
    """
    media_type = call.media_type
    live, paged = media_type == SSE, media_type == JSON
    activity = activity_of(ACTIONS[media_type], call.path, parameters)
    sight = await ReaderView.of(context, call, needs, activity)

    async def answer(shown: Look) -> Reply | tuple[Question, "Find | None"]:
        question = await read_question(context, call, live=live, paged=paged)
        find = partial(about, context, question, row, parameters) if row else None
        if find:
            question = await find(shown.rights)
        question = resumed(call, question) if live else ReaderView(shown.rights).narrowed(question)
        if paged:
            return await _page(context, call, question, shown)
        shown.noted = True  # By page, each before it is sent.
        return question, find

    begun = await show(context, call, sight.rights, activity, answer)
    if isinstance(begun, Reply):
        return begun
    question, find = begun
    if call.method == "HEAD":
        return Reply(200)
    async with streaming(context, call) as stream:
        await _begin(call, media_type, question.upto)
        if live:
            await Live(context, call, stream, Following(needs, activity, find), sight).run(question)
        else:
            async for lines, _ in pages(context, question):
                sight = await sight.again(context, call, needs, activity)
                if find:
                    await find(sight.rights)
                seen = await sight.visible(context, lines)
                sight = await sight.noted(context, call, activity, seen)
                await stream.send(b"\n".join([*await sight.shown(context, seen), b""]))
        await stream.end()
    return None


async def _page(context: "Context", call: Call, question: Question, shown: Look) -> Reply:
    sight, limit, until = ReaderView(shown.rights), question.limit or LIMIT, question.upto
    if question.wanted.is_sparse:
        until = min(until, question.after + SCAN)
    async with context.pool.reader() as connection:
        lines = await log.matching(connection, question.wanted, question.after, until, limit)
    until = log.complete_up_to(lines, limit, until)
    seen = await sight.visible(context, lines)
    shown.persons = persons_in(seen)
    shown.details = {"count": len(seen), "filters": filters_said(context, call.given, QUERY)}
    items = b",".join(await sight.shown(context, seen))
    following = b"%d" % until if until < question.upto else b"null"
    body = b'{"items":[%b],"nextAfter":%b}' % (items, following)
    return Reply(200, body, [(b"ledger-position", b"%d" % question.upto)])


async def _begin(call: Call, media_type: bytes, position: int) -> None:
    headers: Headers = [
        (b"content-type", media_type),
        (b"ledger-position", b"%d" % position),
        (b"x-accel-buffering", b"no"),  # or a proxy would gather events instead of passing them on
    ]
    await call.start(200, headers)


STRING: Final = {"type": "string"}
NUMBER: Final = {"type": "integer", "minimum": 0}
TIME: Final = {"type": "string", "format": "date-time"}
SEVERAL: Final = {"type": "array", "items": STRING}
WITHIN: Final = {"after": NUMBER, "limit": {"type": "integer", "minimum": 1}, "type": SEVERAL}
QUERY: Final = WITHIN | {
    "entity": SEVERAL,
    "entityId": STRING,
    "actorId": {"type": "string", "format": "uuid"},
    "from": TIME,
    "to": TIME,
}
VERSION: Final = {"version": {"type": "integer", "minimum": 1}}
GIVES: Final[dict[str, Any]] = {
    "items": {"type": "array", "items": ref("CloudEvent")},
    "nextAfter": {"type": ["integer", "null"]},
}

EVENT_SCHEMA: Final = shape(
    "EventSchema",
    {
        "type": {"type": "string"},
        "version": {"type": "integer"},
        "entity": {"type": "string"},
        "description": {"type": "string"},
        "dataschema": {"type": "string"},
        "schema": {"type": "object"},
    },
)


def _schemas(path: str, *, former: bool = False) -> list[AnyRoute]:
    """Where the schemas of events are read. The former path is the one that events name, and has
    room for two readings beside `/v1/events/{position}/proof`."""
    return [
        Other(
            "GET",
            path,
            list_event_schemas,
            "Every event's schema",
            READ,
            gives={"items": {"type": "array", "items": EVENT_SCHEMA}},
            former=former,
        ),
        Other(
            "GET",
            path + "/{type}",
            get_event_schema,
            "One event's schema",
            READ,
            answers="application/schema+json",
            query=VERSION,
            former=former,
        ),
    ]


ROUTES: list[AnyRoute] = [
    Other(
        "GET",
        "/v1/events",
        list_events,
        "The log",
        READ,
        gives=GIVES,
        gives_name="EventPage",
        query=QUERY,
        offers=OFFERS,
    ),
    *_schemas("/v1/event-schemas"),
    *_schemas("/v1/events/schemas", former=True),
    Other(
        "GET",
        "/asyncapi.json",
        get_async_api,
        "The log as AsyncAPI tells it",
        public=True,
        gives={"asyncapi": {"type": "string"}},
    ),
]


def of_each(routes: Iterable[AnyRoute]) -> Iterator[AnyRoute]:
    """The events of one object, for every resource whose objects are streams."""
    for route in routes:
        match route:
            case One(row=row) | List(of=(_, row), with_owner=True) if row.OF in ENTITIES:
                pass
            case _:
                continue
        answer = partial(list_events, needs=route.needs, row=row)
        answer.__doc__ = list_events.__doc__
        words = f"Its events: {route.summary.lower()}"
        path = f"{route.path}/events"
        yield Other(
            "GET",
            path,
            answer,
            words,
            route.needs,
            gives=GIVES,
            gives_name="EventPage",
            query=QUERY,
            offers=OFFERS,
        )
