"""Compares the read tables with the log, some streams at a time, while the follower goes on."""

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from psycopg import AsyncConnection

from projections.catalogue import ROW_OF
from projections.follow.fold import Entry, Trace, fold
from projections.tables import schema
from projections.tables.table import BEGUN, Row
from projections.tables.upsert_sql import differences
from projections.tables.writer import Unwritable, encode, persons_of, rows_of
from rim_ledger.engine.store import Line
from rim_ledger.vault.living_keys import ERASED, LIVING_KEYS
from rim_ledger.vault.personal_keys import Vault

OWNERS: Final = {
    "statement_lines": "statement_id",
    "chat_messages": "ticket_id",
    "ticket_history": "ticket_id",
}
"""Tables whose rows have no position, and their column with the stream's id."""


class ReadTables:
    """Reads the tables in the connection's snapshot."""

    def __init__(self, connection: AsyncConnection[Any], vault: Vault) -> None:
        self._connection, self._vault = connection, vault

    async def position(self) -> int:
        """The tables' position; 0 if they are of another version of the program."""
        if await schema.found(self._connection) != schema.fingerprint():
            return 0
        return await schema.position(self._connection)

    async def faults(
        self, lines: Iterable[Line], upto: int, counts: Counter[str]
    ) -> AsyncIterator[str]:
        """Yield the missing and differing rows of whole streams; counts the present ones begun up
        to a position, by table. Raises PoisonEvent."""
        at = await self.position()
        entries, traces, old = _folded([each for each in lines if each.position <= at], upto)
        # The data of persons who were erased after the tables' position may still be shown.
        persons = list(persons_of(entries))
        late = {each for (each,) in await self._rows(f"{ERASED} AND position > %s", [persons, at])}
        entries = [each for each in entries if each.aggregate.person not in late]
        wrapped = await self._rows(LIVING_KEYS, [list(persons_of(entries))])
        keys = {person: self._vault.unwrap(person, key) for person, key in wrapped}
        try:
            rows = rows_of(entries, traces, keys)
        except Unwritable as error:
            yield f"read: {error}"
            return
        counts.update(row.TABLE for row, _ in old)
        for row, page in rows.items():
            for one, columns in await self._differing(row, page):
                if columns is None:
                    counts[row.TABLE] -= (row, one) in old
                    yield f"read.{row.TABLE}: {one} is missing"
                else:
                    yield f"read.{row.TABLE}: {one} differs in {columns}"

    async def surplus(self, row: type[Row], upto: int, count: int) -> str | None:
        """The fault if a table has another number of rows begun up to a position."""
        if (at := await self.position()) == 0:
            return None
        query = f"SELECT count(*) FROM {schema.LIVE}.{row.TABLE} t WHERE NOT ({_begun_later(row)})"
        ((found,),) = await self._rows(query, {"upto": upto, "at": at})
        if found == count:
            return None
        return f"read.{row.TABLE}: {found} rows up to position {upto}, and events of {count}"

    async def _differing(
        self, row: type[Row], page: Sequence[tuple[Any, ...]]
    ) -> list[tuple[UUID, str | None]]:
        """Ids of rows that differ from the page, with the columns' names; None for a missing
        row."""
        if not page:
            return []
        names = row.written()
        body = encode([dict(zip(names, values, strict=True)) for values in page])
        return await self._rows(differences(row, schema.LIVE).decode(), [body.decode()])

    async def _rows(self, query: str, values: Any) -> list[Any]:
        return await (await self._connection.execute(query.encode(), values)).fetchall()


def _folded(
    lines: Sequence[Line], upto: int
) -> tuple[list[Entry], list[Trace], set[tuple[type[Row], UUID]]]:
    """Fold streams: entries, traces, and which rows were begun up to a position."""
    entries, traces = dict[UUID, Entry](), list[Trace]()
    old = set[tuple[type[Row], UUID]]()
    for line in lines:
        entry, left = fold(entries.get(line.stream), line)
        entries[line.stream] = entry
        traces += left
        if line.position <= upto:
            old |= {(ROW_OF[type(trace)], trace.id) for trace in left}
    old |= {(e.row, e.aggregate.id) for e in entries.values() if e.row and e.begun <= upto}
    return list(entries.values()), traces, old


def _begun_later(row: type[Row]) -> str:
    """SQL over alias t: true if a row was begun after a position, up to that of the tables."""
    if owner := OWNERS.get(row.TABLE):
        return (
            f"EXISTS (SELECT FROM {schema.LIVE}.audit_logs a WHERE a.entity_id = t.{owner}"
            " AND a.version = t.version AND a.position > %(upto)s AND a.position <= %(at)s)"
        )
    place = BEGUN if BEGUN in row.kept() else "position"
    return f"t.{place} > %(upto)s AND t.{place} <= %(at)s"
