"""A whole list as CSV, a page at a time: nothing is held while its reader takes one."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from api.http.call import Call
from api.http.csv_text import CSV_UTF8, attached, csv_text
from api.pipeline.conditions import Test
from api.pipeline.filters import all_of, read_query
from api.pipeline.readmission import admit_again, streaming
from projections.tables.table import Row
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.unit_of_work import Right

if TYPE_CHECKING:
    from api.context import Context

PAGE: Final = 700
"""Rows of the list that are read and sent at a time; each may make several lines."""


class Export(Struct, frozen=True):
    """What is written: the rows of a list whose rows never change, and under which heads.

    `name` is that of the file, without its end. `keys` are the columns that the rows are ordered
    by: together they are unique, and higher in a row that was added later. `statement` makes the
    lines of a {page} of rows, in that order; the keys are among its heads.
    """

    name: str
    row: type[Row]
    keys: tuple[str, ...]
    statement: str
    heads: list[str]
    needs: Right

    @property
    def last(self) -> str:
        """The statement for the position of the read tables, and the keys of the last row there,
        which are null in an empty table."""
        newest_first = ", ".join(f"{key} DESC" for key in self.keys)
        return (
            f"SELECT k.position, {_columns(self.keys)} FROM read.tracking k LEFT JOIN LATERAL"  # noqa: S608 - declared names
            f" (SELECT * FROM read.{self.row.TABLE} ORDER BY {newest_first} LIMIT 1) t ON true"
            " WHERE k.name = 'read'"
        )

    def lines(self, tests: Iterable[Test], after: list[Any] | None, last: list[Any]) -> Test:
        """The statement for the lines of the next page: from the first row that passes the tests
        and is behind the keys `after`, up to the keys `last`."""
        keys = _columns(self.keys)
        marks = ", ".join(["%s"] * len(self.keys))
        tests = [*tests, (f"({keys}) <= ({marks})", last)]
        if after:
            tests = [*tests, (f"({keys}) > ({marks})", after)]
        where, values = all_of(tests)
        page = f"(SELECT * FROM read.{self.row.TABLE} t WHERE {where} ORDER BY {keys} LIMIT {PAGE})"  # noqa: S608 - declared names
        return self.statement.format(page=page), values


async def stream_csv(context: "Context", call: Call, export: Export) -> None:
    """Send the export; the caller is admitted again for each page.

    As no row is ever changed, those up to the last one at the beginning are one picture, though
    each page of them is read by itself.
    """
    query = read_query(export.row, call.query, context.cursor_key, "", sees=False)
    asked = Activity(action="Export", resource=f"{export.name}.csv")
    places = [export.heads.index(key) for key in export.keys]
    ((position, *last),) = await context.rows(export.last)
    page = await context.rows(*export.lines(query.tests, None, last))
    async with streaming(context, call) as stream:
        reflected = (b"ledger-position", b"%d" % position)
        await call.start(200, [reflected, (b"content-type", CSV_UTF8), attached(export.name)])
        await stream.send(csv_text([export.heads]))
        while page:
            await admit_again(context, call, export.needs, activity=asked)
            await stream.send(csv_text(page))
            after = [page[-1][place] for place in places]
            page = await context.rows(*export.lines(query.tests, after, last))
        await stream.end()


def _columns(names: Iterable[str]) -> str:
    return ", ".join(f"t.{name}" for name in names)
