"""A whole list as CSV, in one snapshot, row by row as the database gives them."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from api.road.again import admit_again
from api.road.filters import all_of, read_query
from api.wire.call import Call
from projections.tables import Row
from rim_ledger.activity import Activity
from rim_ledger.book import Right

if TYPE_CHECKING:
    from api.road.desk import Desk

CSV: Final = b"text/csv; charset=utf-8"
BATCH: Final = 2_000
"""Rows that are sent together."""
ONE_SNAPSHOT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
SHOWN: Final = "SELECT position FROM read.tracking WHERE name = 'read'"


class Export(Struct, frozen=True):
    """What is written: the rows that a statement finds, in which {where} are the filters of a
    list, under these heads. `name` is that of the file, without its end."""

    name: str
    row: type[Row]
    statement: str
    heads: list[str]
    needs: Right


async def stream_csv(desk: "Desk", call: Call, export: Export) -> None:
    """Send the export. The caller is admitted again for each batch."""
    query = read_query(export.row, call.query, desk.cursor_key, "", sees=False)
    where, values = all_of(query.tests)
    asked = Activity(action="Export", resource=f"{export.name}.csv")
    async with (
        desk.reader() as connection,
        connection.transaction(),
        connection.cursor(name="export") as cursor,
    ):
        await connection.execute(ONE_SNAPSHOT)
        position = await (await connection.execute(SHOWN.encode())).fetchone()
        await cursor.execute(export.statement.format(where=where).encode(), values)
        reflected = (b"ledger-position", b"%d" % (position or (0,)))
        await call.start(200, [reflected, (b"content-type", CSV), attached(export.name)])
        batch: list[Iterable[Any]] = [export.heads]
        while batch:
            await admit_again(desk, call, export.needs, activity=asked)
            part = {"type": "http.response.body", "body": csv_text(batch), "more_body": True}
            await call.send(part)
            batch = list(await cursor.fetchmany(BATCH))
    await call.send({"type": "http.response.body", "body": b""})


def csv_text(rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows as CSV (RFC 4180), times in RFC 3339."""
    target = io.StringIO()
    csv.writer(target, lineterminator="\r\n").writerows(
        [rfc3339(each) if isinstance(each, datetime) else each for each in row] for row in rows
    )
    return target.getvalue().encode()


def rfc3339(at: datetime) -> str:
    """A time in UTC with microseconds."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def attached(name: str) -> tuple[bytes, bytes]:
    """The header that has a browser save the answer under a name."""
    return b"content-disposition", f'attachment; filename="{name}.csv"'.encode()
