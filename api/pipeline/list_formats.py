"""A list in the media type that its reader wants: JSON in pages, or lines of NDJSON or CSV.

Lines are the pages of the list one after the other, so that rights, filters, masks and what is
logged are those of the pages. Nothing is held while a reader takes one.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from msgspec import Raw, Struct

from api.context import Context
from api.http.accept import preferred
from api.http.call import JSON, NDJSON, Call, Headers, Reply
from api.http.csv_text import CSV, CSV_UTF8, attached, csv_text
from api.http.query import parameters_in
from api.pipeline.filters import LIMIT_MAX, UNBOUND
from api.pipeline.readmission import admit_again, streaming
from api.pipeline.reads import answer_list
from api.pipeline.rights import Rights
from api.pipeline.routes import List
from rim_ledger.engine.activity import Activity

OFFERS: Final = (JSON, NDJSON, CSV)
MEDIA_TYPES: Final = {NDJSON: NDJSON, CSV: CSV_UTF8}


class _Page(Struct, rename="camel"):
    """The body of a page of a list."""

    items: list[Raw]
    next_cursor: str | None


async def answer_rows(
    context: Context, call: Call, route: List, rights: Rights, asked: Activity
) -> Reply | None:
    """The list in the requested media type; None when it was sent as lines. With a limit there is
    one page, with a link to the next; without one, lines go on to the end."""
    call.media_type = preferred(call.headers.get(b"accept"), OFFERS)
    first = await answer_list(context, call, route, rights, asked)
    if call.media_type == JSON:
        return first
    columns = route.row.COLUMNS.values()
    heads = [each.wire for each in columns if not (rights.own and each.internal)]
    given, page = parameters_in(call.query), _read(first)
    headers, name = first.raw_headers, call.path.rsplit("/", 1)[1]
    if call.media_type == CSV:
        headers = [*headers, attached(name)]
    if "limit" in given:
        if page.next_cursor:
            following = call.path.encode(), _query(given, page.next_cursor, given["limit"])
            headers = [*headers, (b"link", b'<%s?%s>; rel="next"' % following)]  # RFC 8288.
        body = _head(call, heads) + _lines(call, heads, page.items)
        return Reply(200, body, headers, MEDIA_TYPES[call.media_type])
    await _stream(context, call, route, asked, (heads, page, headers))
    return None


async def _stream(
    context: Context,
    call: Call,
    route: List,
    asked: Activity,
    begun: tuple[Sequence[str], _Page, Headers],
) -> None:
    """Send a list to its end, a page at a time: its first page and the headers are there. Its
    reader is admitted again for each other page."""
    (heads, page, headers), given = begun, parameters_in(call.query)
    async with streaming(context, call) as stream:
        await call.start(200, [*headers, (b"content-type", MEDIA_TYPES[call.media_type])])
        await stream.send(_head(call, heads) + _lines(call, heads, page.items))
        while page.next_cursor and call.method != "HEAD":
            call.query = _query(given, page.next_cursor, [str(LIMIT_MAX)])
            rights = await admit_again(context, call, route.needs, activity=asked)
            page = _read(await answer_list(context, call, route, rights, asked))
            await stream.send(_lines(call, heads, page.items))
        await stream.end()


def _read(reply: Reply) -> _Page:
    return msgspec.json.decode(reply.body, type=_Page)


def _query(given: Mapping[str, list[str]], cursor: str, limit: Sequence[str]) -> bytes:
    """The query of the page after a cursor."""
    same = {name: texts for name, texts in given.items() if name not in UNBOUND}
    return urlencode(same | {"limit": limit, "cursor": cursor}, doseq=True).encode()


def _head(call: Call, heads: Sequence[str]) -> bytes:
    return csv_text([heads]) if call.media_type == CSV else b""


def _lines(call: Call, heads: Sequence[str], items: Sequence[Raw]) -> bytes:
    """The rows of a page."""
    if call.media_type == NDJSON:
        return b"".join(bytes(item).replace(b"\n", b" ") + b"\n" for item in items)
    rows = (msgspec.json.decode(item, type=dict[str, Raw]) for item in items)
    return csv_text([_cell(bytes(row[head])) for head in heads] for row in rows)


def _cell(text: bytes) -> Any:
    """A value of JSON as a cell: a text by itself, null as nothing, what has parts as JSON."""
    if text.startswith(b'"'):
        return msgspec.json.decode(text)
    if text == b"null":
        return None
    return Decimal(text.decode()) if text[:1] in b"-0123456789" else text.decode()
