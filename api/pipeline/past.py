"""Rows and lists as they were at a moment: the answers to `?asOf=` and `?effectiveAt=`.

A single row is folded from its own events. A list takes its candidates from the read table, in the
order of creation, which never changes; each is folded as far as the moment, and shown if it met
the filters then. Rows that began later are passed over without a look at the log. A request reads
so many events at most and then answers what it has found, with a cursor to go on from; so it is
quick however long the log is.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID

from msgspec import Struct

from api.context import Context
from api.pipeline.conditions import Test
from api.pipeline.disclosure import keys_of
from api.pipeline.filters import Order, Query, all_of
from projections.follow.as_of import Moment, PastRow, past_rows
from projections.tables.table import Row

READ_MAX: Final = 20_000
"""Events that a list reads at most; one object is always read to its end."""
READ_AT_ONCE: Final = 2_000
"""Events that are folded at a time: others are answered in between."""
WANTED_MAX: Final = 800
"""Candidates that are looked for at a time, at most."""


class Candidate(Struct, frozen=True):
    """A row that was there by then, its place in the order, and how long its stream is now."""

    id: UUID
    place: str
    events: int


class Found(Struct, frozen=True):
    """Rows of a list, and the place after which it goes on, if it does."""

    items: list[PastRow]
    following: tuple[str, UUID] | None


class HistoricTable(Struct, frozen=True):
    """A table as it was at a moment, for a reader who sees persons or not."""

    context: Context
    row: type[Row]
    moment: Moment
    sees: bool

    async def one(self, id: UUID) -> PastRow | None:
        """The row as it was, or None if there was none yet."""
        found = await self._folded([id])
        return found[0] if found else None

    async def page(self, query: Query, owner: list[Test]) -> Found:
        """The next rows of a list as it was; `owner` tests for whose rows they are."""
        lasting = [*owner, *self.lasting(query)]
        passing = [test for test in query.tests if not self._lasts(test)]
        after, left, wanted = query.after, READ_MAX, query.limit + 1
        items, places = list[PastRow](), dict[UUID, str]()
        while left > 0:
            further = [query.order.beyond(*after)] if after else []
            found = await self._candidates(query.order, [*lasting, *further], wanted)
            several = _first(found, READ_AT_ONCE)
            places |= {each.id: each.place for each in several}
            items += await self._folded([each.id for each in several], passing)
            if len(items) > query.limit:
                items = items[: query.limit]
                return Found(items, (places[items[-1].id], items[-1].id))
            if len(several) == len(found) < wanted:
                return Found(items, None)
            after = (several[-1].place, several[-1].id)
            left -= sum(each.events for each in several)
            wanted = min(2 * wanted, WANTED_MAX)
        return Found(items, after)

    def lasting(self, query: Query) -> list[Test]:
        """Those of a list's tests that are about what never changes."""
        return [test for test in query.tests if self._lasts(test)]

    async def _candidates(self, order: Order, tests: list[Test], count: int) -> list[Candidate]:
        """Rows that were there by then, the next in the order of creation."""
        begun: list[Test] = [("t.begun <= %s", [self.moment.position])]
        if self.moment.happened_by:
            begun.append(("t.created_at <= %s", [self.moment.happened_by]))
        where, values = all_of([*tests, *begun])
        query = (
            f"SELECT t.id, t.{order.column.name}::text, t.version"  # noqa: S608 - declared names
            f" FROM read.{self.row.TABLE} t WHERE {where} {order.clause} LIMIT %s"
        )
        found = await self.context.pool.rows(query, [*values, count])
        return [Candidate(*each) for each in found]

    async def _folded(self, ids: Sequence[UUID], tests: Sequence[Test] = ()) -> list[PastRow]:
        keys = partial(keys_of, self.context, sees=True)  # A mask shows a little of them.
        async with self.context.pool.reader() as connection:
            return await past_rows(
                connection,
                self.row,
                ids,
                self.moment,
                self.context.ledger.cache.event_mac,
                masked=not self.sees,
                tests=tests,
                keys_of=keys,
            )

    def _lasts(self, test: Test) -> bool:
        """True if a test is about what never changes, so that it can be applied to today's row."""
        row = self.row
        names = ("id", row.BUSINESS_ID, row.PERSON, row.NEWEST)
        return test[0].split(" ", 1)[0] in {f"t.{name}" for name in names}


def _first(found: list[Candidate], most: int) -> list[Candidate]:
    """The first of them that have so many events together, and at least one."""
    total, several = 0, list[Candidate]()
    for each in found:
        total += each.events
        if several and total > most:
            break
        several.append(each)
    return several
