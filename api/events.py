"""The routes of the log: in pages, as a stream to its end, and live; of all, or of one object."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from api.event_log import SCAN, Question, Sight, about, pages, read_question
from api.event_schemas import answer_async_api, answer_schema, answer_schemas
from api.live import SSE, Live, resumed
from api.road.again import streaming
from api.road.filters import LIMIT
from api.road.routes import AnyRoute, List, One, Other, Parameters, activity_of
from api.wire.call import JSON, Call, Headers, Reply
from projections import log
from projections.tables import Row
from rim_ledger.book import Right
from rim_ledger.catalogue import ENTITIES

if TYPE_CHECKING:
    from api.road.desk import Desk

READ: Final = ("events", "read")
NDJSON: Final = b"application/x-ndjson"
OFFERS: Final = (JSON, NDJSON, SSE)


async def answer_events(
    desk: "Desk",
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
    activity = activity_of("List" if paged else "Export", call.path, parameters)
    sight = await Sight.of(desk, call, needs, activity)
    question = await read_question(desk, call, live=live, paged=paged)
    look = partial(about, desk, question, row, parameters) if row else None
    if look:
        question = await look(sight.rights)
    question = resumed(call, question) if live else sight.narrowed(question)
    if paged:
        return await _page(desk, question, sight)
    if call.method == "HEAD":
        return Reply(200)
    async with streaming(desk, call) as stream:
        await _begin(call, media_type, question.upto)
        if live:
            await Live(desk, call, stream, needs, sight, look=look).run(question)
        else:
            async for lines, _ in pages(desk, question):
                sight = await sight.again(desk, call, needs)
                if look:
                    await look(sight.rights)
                seen = await sight.visible(desk, lines)
                await stream.send(b"\n".join([*await sight.shown(desk, seen), b""]))
        await stream.end()
    return None


async def _page(desk: "Desk", question: Question, sight: Sight) -> Reply:
    limit, until = question.limit or LIMIT, question.upto
    if question.wanted.is_sparse:
        until = min(until, question.after + SCAN)
    async with desk.reader() as connection:
        lines = await log.matching(connection, question.wanted, question.after, until, limit)
    until = log.done_by(lines, limit, until)
    items = b",".join(await sight.shown(desk, await sight.visible(desk, lines)))
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
    "items": {"type": "array", "items": {"type": "object"}},
    "nextAfter": {"type": ["integer", "null"]},
}

ROUTES: list[AnyRoute] = [
    Other(
        "GET", "/v1/events", answer_events, "The log", READ, gives=GIVES, query=QUERY, offers=OFFERS
    ),
    Other("GET", "/v1/events/schemas", answer_schemas, "Every event's schema", READ),
    Other(
        "GET",
        "/v1/events/schemas/{type}",
        answer_schema,
        "One event's schema",
        READ,
        query=VERSION,
    ),
    Other("GET", "/asyncapi.json", answer_async_api, "The log as AsyncAPI tells it", public=True),
]


def of_each(routes: Iterable[AnyRoute]) -> Iterator[AnyRoute]:
    """The events of one object, for every resource whose objects are streams."""
    for route in routes:
        match route:
            case One(row=row) | List(of=(_, row), with_owner=True) if row.OF in ENTITIES:
                pass
            case _:
                continue
        answer = partial(answer_events, needs=route.needs, row=row)
        answer.__doc__ = answer_events.__doc__
        words = f"Its events: {route.summary.lower()}"
        path = f"{route.path}/events"
        yield Other(
            "GET", path, answer, words, route.needs, gives=GIVES, query=QUERY, offers=OFFERS
        )
