"""The routes of the log: in pages, as a stream to its end, and live; of all, or of one object."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from msgspec.structs import replace

from api.context import Context
from api.description.components import (
    COUNT,
    ID,
    NUMBER,
    TEXT,
    TEXTS,
    TIME,
    or_null,
    ref,
    several,
    shape,
)
from api.description.event_schemas import get_async_api, get_event_schema, list_event_schemas
from api.http.call import JSON, NDJSON, Call, Headers, Reply, at_position
from api.pipeline.disclosure import Look, logged_filters, show
from api.pipeline.filters import LIMIT
from api.pipeline.readmission import streaming
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, List, One, Other, activity_of
from api.routes.event_log import SCAN, EventReader, Question, pages, read_question, shown, stream_of
from api.routes.live import SSE, Live, resumed
from projections.cloud_events import persons_in
from projections.follow import log
from projections.tables.table import Row
from rim_ledger.catalogue import ENTITIES
from rim_ledger.engine.unit_of_work import Right

READ: Final = ("events", "read")
OFFERS: Final = (JSON, NDJSON, SSE)
ACTIONS: Final = {JSON: "List", NDJSON: "Export", SSE: "Follow"}
"""What the log of activities calls each way of reading."""


async def list_events(
    context: Context,
    call: Call,
    rights: Rights,
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
    activity = activity_of(ACTIONS[media_type], call.path, call.path_params)
    reader = EventReader(context, call, rights, activity, needs, row)

    async def answer(look: Look) -> Reply | Question:
        question = await read_question(context, call, live=live, paged=paged)
        if row:
            stream = await stream_of(context, row, call.path_params, look.rights)
            question = replace(question, wanted=replace(question.wanted, stream=stream))
        reader.rights = look.rights
        question = resumed(call, question) if live else reader.narrowed(question)
        if paged:
            return await _page(reader, question, look)
        look.noted = True  # By page, each before it is sent.
        return question

    begun = await show(context, call, rights, activity, answer)
    if isinstance(begun, Reply):
        return begun
    if call.method == "HEAD":
        return Reply(200)
    headers: Headers = [
        (b"content-type", media_type),
        at_position(begun.upto),
        (b"x-accel-buffering", b"no"),  # or a proxy would gather events instead of passing them on
    ]
    async with streaming(context, call) as stream:
        await call.start(200, headers)
        if live:
            await Live(reader, stream).run(begun)
        else:
            async for lines, _ in pages(context, begun):
                await reader.again()
                _, texts = await reader.shown(lines)
                await stream.send(b"\n".join([*texts, b""]))
        await stream.end()
    return None


async def _page(reader: EventReader, question: Question, look: Look) -> Reply:
    context, limit, until = reader.context, question.limit or LIMIT, question.upto
    if question.wanted.is_sparse:
        until = min(until, question.after + SCAN)
    async with context.pool.reader() as connection:
        lines = await log.matching(connection, question.wanted, question.after, until, limit)
    until = log.complete_up_to(lines, limit, until)
    seen = await reader.visible(lines)
    look.persons = persons_in(seen)
    filters = logged_filters(context, reader.call.query_params, QUERY)
    look.details = {"count": len(seen), "filters": filters}
    items = b",".join(await shown(context, seen, sees=reader.rights.sees_persons))
    following = b"%d" % until if until < question.upto else b"null"
    body = b'{"items":[%b],"nextAfter":%b}' % (items, following)
    return Reply(200, body, [at_position(question.upto)])


QUERY: Final = {
    "after": COUNT,
    "limit": NUMBER | {"minimum": 1},
    "type": TEXTS,
    "entity": TEXTS,
    "entityId": TEXT,
    "actorId": ID,
    "from": TIME,
    "to": TIME,
}
PAGE: Final = shape(
    "EventPage",
    {"items": several(ref("CloudEvent")), "nextAfter": or_null(NUMBER)},
)
EVENT_SCHEMA: Final = shape(
    "EventSchema",
    {
        "type": TEXT,
        "version": NUMBER,
        "entity": TEXT,
        "description": TEXT,
        "dataschema": TEXT,
        "schema": {"type": "object"},
    },
)
Events = partial(Other, gives=PAGE, query=QUERY, offers=OFFERS)


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
            gives={"items": several(EVENT_SCHEMA)},
            former=former,
        ),
        Other(
            "GET",
            path + "/{type}",
            get_event_schema,
            "One event's schema",
            READ,
            answers="application/schema+json",
            query={"version": NUMBER | {"minimum": 1}},
            former=former,
        ),
    ]


ROUTES: list[AnyRoute] = [
    Events("GET", "/v1/events", list_events, "The log", READ),
    *_schemas("/v1/event-schemas"),
    *_schemas("/v1/events/schemas", former=True),
    Other(
        "GET",
        "/asyncapi.json",
        get_async_api,
        "The log as AsyncAPI tells it",
        public=True,
        gives={"asyncapi": TEXT},
    ),
]


def of_each(routes: Iterable[AnyRoute]) -> Iterator[AnyRoute]:
    """The events of one object, for every resource whose objects are streams."""
    for route in routes:
        match route:
            case One(row=row) | List(of=(_, row), with_owner=True) if row.OF in ENTITIES:
                answer = partial(list_events, needs=route.needs, row=row)
                answer.__doc__ = list_events.__doc__
                words = f"Its events: {route.summary.lower()}"
                yield Events("GET", f"{route.path}/events", answer, words, route.needs)
