"""The rows of a table in a backup: COPY lines in the order of their keys, or changes.

A table in full has a COPY line per row. Changes are, in the order of keys, "+" and a line for each
row that is new or different, or "-" and the key if no row is left. A key identifies one row or, in
a table without primary key, all equal rows.
"""

import heapq
import re
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

HAS, GONE = b"+", b"-"
NULL: Final = rb"\N"
LAST: Final = b"\xff"
"""Sorts after every UTF-8 text, as PostgreSQL sorts nulls."""
ESCAPED: Final = re.compile(rb"\\(.)", re.DOTALL)
UNESCAPED: Final = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}

Key = tuple[bytes, ...]
"""The texts of a key's columns; they sort as PostgreSQL sorts them under COLLATE "C"."""


PIECE_MAX: Final = 4 * 1024 * 1024
"""Bytes of a table or file per piece, give or take a line."""


class Group(NamedTuple):
    """The lines of one key; none if it was deleted."""

    key: Key
    named: bytes
    """The key as text of COPY."""
    lines: list[bytes]


class RowsOutOfOrder(Exception):
    """Lines are not in the order of their keys."""


class Layout(Struct, frozen=True):
    """How the lines of a table are read: its columns, and those of its key."""

    columns: Sequence[str]
    key: Sequence[str]

    async def groups(
        self, lines: AsyncIterable[bytes], *, marked: bool = False
    ) -> AsyncIterator[Group]:
        """Yield COPY lines, or those of `difference` if `marked`, by key. Raises RowsOutOfOrder."""
        places = [self.columns.index(name) for name in self.key]
        group: Group | None = None
        async for line in lines:
            gone = marked and line.startswith(GONE)
            content = line[1:] if marked else line
            fields = content.rstrip(b"\n").split(b"\t")
            named = fields if gone else [fields[place] for place in places]
            key = tuple([_value(field) for field in named])
            if group and group.key == key:
                group.lines.append(content)
                continue
            if group:
                if key < group.key:
                    raise RowsOutOfOrder
                yield group
            group = Group(key, b"\t".join(named), [] if gone else [content])
        if group:
            yield group


def _value(field: bytes) -> bytes:
    if b"\\" not in field:
        return field
    if field == NULL:
        return LAST
    return ESCAPED.sub(lambda found: UNESCAPED.get(found[1], found[1]), field)


async def difference(
    before: AsyncIterator[Group], now: AsyncIterator[Group]
) -> AsyncIterator[bytes]:
    """Yield the changes from the rows `before` to those of `now`, as marked lines."""
    old = await anext(before, None)
    async for new in now:
        while old and old.key < new.key:
            yield GONE + old.named + b"\n"
            old = await anext(before, None)
        if old and old.key == new.key:
            same = sorted(old.lines) == sorted(new.lines)
            old = await anext(before, None)
            if same:
                continue
        for line in new.lines:
            yield HAS + line
    while old:
        yield GONE + old.named + b"\n"
        old = await anext(before, None)


async def merged(layers: Sequence[AsyncIterator[Group]]) -> AsyncIterator[Group]:
    """Yield the rows that result from layers: the first is full, the others are changes."""
    heads = list[tuple[Key, int, Group]]()
    for number, layer in enumerate(layers):
        if head := await anext(layer, None):
            heads.append((head.key, -number, head))
    heapq.heapify(heads)
    last: Key | None = None
    while heads:
        key, turn, group = heads[0]
        if key != last and group.lines:
            yield group
        last = key
        if following := await anext(layers[-turn], None):
            heapq.heapreplace(heads, (following.key, turn, following))
        else:
            heapq.heappop(heads)


async def packed(lines: AsyncIterable[bytes]) -> AsyncIterator[tuple[bytes, int]]:
    """Yield chunks of lines, and the number of lines of each."""
    pack, size = list[bytes](), 0
    async for line in lines:
        pack.append(line)
        size += len(line)
        if size >= PIECE_MAX:
            yield b"".join(pack), len(pack)
            pack, size = [], 0
    if pack:
        yield b"".join(pack), len(pack)
