"""The events of a request, page by page, as their reader may see them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from api.context import Context
from api.http.call import Call
from api.http.ids import missing
from api.http.query import unfit
from api.pipeline.as_of import NUMBER, last_position, position_at
from api.pipeline.disclosure import Look, keys_of, show
from api.pipeline.filters import LIMIT_MAX, all_of
from api.pipeline.readmission import admit_again
from api.pipeline.reads import find_id
from api.pipeline.rights import Rights
from api.pipeline.routes import Parameters
from api.pipeline.visible_rows import seen as partly
from projections.catalogue import TABLES
from projections.cloud_events import Reader, persons_in
from projections.cloud_events import shown as as_json
from projections.follow import log
from projections.follow.log import EventFilter, Line
from projections.tables.table import Row
from rim_ledger.catalogue import ENTITIES, ENTITY_OF, EVENTS
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.unit_of_work import Right
from rim_ledger.near import did_you_mean
from rim_ledger.values import BUSINESS_ID, UUID_TEXT, moment

PAGE: Final = 2_000
"""Events that are read and sent at a time, at most: others are answered in between."""
SCAN: Final = 100_000
"""Positions that are looked through at a time for events that may be rare."""
NUMBER_MAX: Final = 10**18 - 1
KINDS: Final[Mapping[str, type[Aggregate]]] = {kind.__name__: kind for kind in ENTITIES}
KIND_OF: Final = {event.__name__: kind.__name__ for event, kind in ENTITY_OF.items()}
"""The entity that each event is about, by the names of both."""
PARTLY_SEEN: Final = {row.OF.__name__: row for row in TABLES.values() if row.VISIBILITY}
"""The tables of which some readers see some rows only, by entity."""
OF_BUSINESS_ID: Final = (
    "SELECT stream_id FROM ledger.claims WHERE kind = 'business-id' AND name = %s"
)
FIRST: Final = "SELECT name FROM ledger.events WHERE stream_id = %s AND version = 1"


class Question(Struct, frozen=True):
    """The requested events: after a position, up to another, and how many at most."""

    wanted: EventFilter
    after: int
    upto: int
    limit: int | None


async def read_question(context: Context, call: Call, *, live: bool, paged: bool) -> Question:
    """The question in a query string. Raises InvalidFields."""
    given = call.query_params
    once = {name: texts[0] for name, texts in given.items() if name not in ("type", "entity")}
    for name in ("limit", "to"):
        if live and name in once:
            raise unfit(name, "a live stream has no end")
    most = LIMIT_MAX if paged else NUMBER_MAX
    limit = _number("limit", once["limit"], 1, most) if "limit" in once else None
    after = _number("after", once["after"], 0, NUMBER_MAX) if "after" in once else 0
    wanted = EventFilter(
        names=_names(given),
        stream=await _stream(context, once["entityId"]) if "entityId" in once else None,
        actor=_uuid("actorId", once["actorId"]) if "actorId" in once else None,
    )
    upto = await last_position(context)
    if "from" in once:
        time = _time("from", once["from"])
        after = max(after, await position_at(context, time, upto, inclusive=False))
    if "to" in once:
        upto = await position_at(context, _time("to", once["to"]), upto)
    return Question(wanted, after, upto, limit)


async def stream_of(
    context: Context, row: type[Row], parameters: Parameters, rights: Rights
) -> UUID | None:
    """The one stream that a path names; NotFound if there is none, or none that the caller sees."""
    text = parameters.get("id", "")
    if BUSINESS_ID.fullmatch(text) and row.VISIBILITY is None:
        stream: UUID | None = await _stream(context, text)
    else:
        known = UUID_TEXT.fullmatch(text) and row.VISIBILITY is None
        named = UUID(text) if known else await find_id(context, row, parameters, rights)
        stream = row.OF.stream_of(named) if named else None
    first = await context.pool.rows(FIRST, [stream])
    if not first or ENTITY_OF[EVENTS[first[0][0]]] is not row.OF:
        raise missing(row.OF)
    return stream


async def pages(context: Context, question: Question) -> AsyncIterator[tuple[list[Line], int]]:
    """The requested events, a page at a time, and the position up to which that is complete. While
    a page is processed, the database reads the next."""
    after, left = question.after, question.limit
    coming = _begin_page(context, question, after, left)
    try:
        while coming is not None:
            lines, after = await coming
            left = left if left is None else left - len(lines)
            coming = _begin_page(context, question, after, left)
            yield lines, after
    finally:
        if coming is not None:
            coming.cancel()


def _begin_page(
    context: Context, question: Question, after: int, left: int | None
) -> asyncio.Task[tuple[list[Line], int]] | None:
    if after >= question.upto or left == 0:
        return None
    until = min(question.upto, after + SCAN) if question.wanted.is_sparse else question.upto
    count = PAGE if left is None else min(PAGE, left)

    async def read() -> tuple[list[Line], int]:
        async with context.pool.reader() as connection:
            lines = await log.matching(connection, question.wanted, after, until, count)
        return lines, log.complete_up_to(lines, count, until)

    return asyncio.create_task(read())


class EventReader(Struct):
    """A reader of events: their request, and what they may do, as it was looked up last."""

    context: Context
    call: Call
    rights: Rights
    activity: Activity
    """What the log of activities calls the reading."""
    needs: Right = ("events", "read")
    row: type[Row] | None = None
    """Of the one object whose events are read, if the path names one."""

    async def again(self) -> None:
        """Admit the reader again; see `admit_again`. Raises Unauthenticated, Forbidden or NotFound
        when they may read no more."""
        self.rights = await admit_again(self.context, self.call, self.needs, activity=self.activity)
        if self.row:
            await stream_of(self.context, self.row, self.call.path_params, self.rights)

    async def noted(self, lines: list[Line]) -> Rights:
        """The reader's rights to these events, after logging whose personal data they show; without
        the right to it while that cannot be logged."""

        async def note(look: Look) -> Rights:
            ends = {"from": lines[0].position, "to": lines[-1].position}
            look.persons, look.details = persons_in(lines), {"count": len(lines)} | ends
            return look.rights

        if not lines:
            return self.rights
        return await show(self.context, self.call, self.rights, self.activity, note)

    async def shown(self, lines: list[Line]) -> tuple[list[Line], list[bytes]]:
        """Those of the events that are visible, and their JSON, after logging whose personal data
        they show."""
        seen = await self.visible(lines)
        return seen, await shown(self.context, seen, sees=(await self.noted(seen)).sees_persons)

    def narrowed(self, question: Question) -> Question:
        """The same question about the events that may be visible, so that pages are full."""
        wanted = question.wanted
        names = {name for name, kind in KIND_OF.items() if kind in self.rights.reads}
        if wanted.stream is not None or names == KIND_OF.keys():
            return question
        if wanted.names is not None:
            names &= set(wanted.names)
        return replace(question, wanted=replace(wanted, names=tuple(sorted(names))))

    async def visible(self, lines: list[Line]) -> list[Line]:
        """Those of the events that are about an entity which the reader may read, and of which
        they see the row. Raises Unavailable when the tables do not come as far in time."""
        reads, context = self.rights.reads, self.context
        seen = [line for line in lines if KIND_OF[line.name] in reads]
        for kind, row in PARTLY_SEEN.items():
            streams = {line.stream for line in seen if KIND_OF[line.name] == kind}
            if streams and (tests := partly(row, self.rights)):
                await context.tables.require(lines[-1].position)
                where, values = all_of([("t.id = ANY (%s)", [list(streams)]), *tests])
                query = f"SELECT t.id FROM read.{row.TABLE} t WHERE {where}"  # noqa: S608
                hidden = streams - {stream for (stream,) in await context.pool.rows(query, values)}
                seen = [line for line in seen if line.stream not in hidden]
        return seen


async def reader_of(context: Context, lines: list[Line], *, sees: bool) -> Reader:
    """What shows these events to a reader who `sees` persons or not."""
    keys = await keys_of(context, persons_in(lines), sees=sees)
    return Reader(sees, keys, context.settings.public_url)


async def shown(context: Context, lines: list[Line], *, sees: bool) -> list[bytes]:
    """Events as JSON for a reader who `sees` persons or not."""
    reader = await reader_of(context, lines, sees=sees)
    return [as_json(line, reader) for line in lines]


def _names(given: Mapping[str, list[str]]) -> tuple[str, ...] | None:
    """The events of these types and these entities; None without either."""
    names = set(EVENTS)
    for each in given.get("type", ()):
        if each not in EVENTS:
            words = "there is no such event; /v1/events/schemas lists them"
            raise unfit("type", f"{words}{did_you_mean(each, EVENTS)}")
    for each in given.get("entity", ()):
        if each not in KINDS:
            raise unfit("entity", f"this is one of {', '.join(KINDS)}{did_you_mean(each, KINDS)}")
    if "type" in given:
        names &= set(given["type"])
    if "entity" in given:
        kinds = {KINDS[each] for each in given["entity"]}
        names &= {event.__name__ for event, kind in ENTITY_OF.items() if kind in kinds}
    return tuple(sorted(names)) if {"type", "entity"} & given.keys() else None


async def _stream(context: Context, text: str) -> UUID:
    """The stream of either id; one that does not exist for an unknown business id."""
    if not BUSINESS_ID.fullmatch(text):
        return _uuid("entityId", text)
    found = await context.pool.rows(OF_BUSINESS_ID, [text])
    return UUID(str(found[0][0])) if found else UUID(int=0)


def _uuid(name: str, text: str) -> UUID:
    if not UUID_TEXT.fullmatch(text):
        raise unfit(name, "this is a UUID" + (" or a business id" if name == "entityId" else ""))
    return UUID(text)


def _number(name: str, text: str, least: int, most: int) -> int:
    if not NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise unfit(name, f"this is a whole number from {least} to {most}")
    return int(text)


def _time(name: str, text: str) -> Any:
    if (time := moment(text)) is None:
        raise unfit(name, "a time looks like 2026-01-31T08:00:00Z (a + is written %2B)")
    return time
