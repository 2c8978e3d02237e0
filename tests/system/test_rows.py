"""Rows in the order of their keys: what changed is told, and changes come to the rows again."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rim_ledger.system.backup_rows import Group, Layout, RowsOutOfOrder, difference, merged

KEYED = Layout(["value", "id"], ["id"])
ALIKE = Layout(["value", "id"], ["value", "id"])
"""A table without a primary key: rows may be there twice."""

NAMES = st.sampled_from(
    [b"a", b"b", b"ab", b"B", b"\xc3\xa9", rb"\N", rb"a\\", rb"a\n", b"a b", b""]
)
STATES = st.lists(st.dictionaries(NAMES, NAMES, max_size=8), min_size=1, max_size=5)
BAGS = st.lists(st.lists(st.tuples(NAMES, NAMES), max_size=8), min_size=1, max_size=4)


async def given_as(lines: Sequence[bytes]) -> AsyncIterator[bytes]:
    for line in lines:
        yield line


async def ordered(layout: Layout, rows: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
    """These rows as lines in the order of their keys."""
    lines = [b"%b\t%b\n" % (value, key) for key, value in rows]
    keys = [[each.key async for each in layout.groups(given_as([line]))] for line in lines]
    return [line for _, line in sorted(zip(keys, lines, strict=True))]


async def chained(layout: Layout, states: Sequence[Sequence[tuple[bytes, bytes]]]) -> list[bytes]:
    """The last of some states, from the first one and what changed after each; and no change is
    told where there is none."""
    whole = await ordered(layout, states[0])
    changes = list[list[bytes]]()

    def layers() -> list[AsyncIterator[Group]]:
        return [
            layout.groups(given_as(whole)),
            *(layout.groups(given_as(each), marked=True) for each in changes),
        ]

    for state in states[1:]:
        now = await ordered(layout, state)
        told = difference(merged(layers()), layout.groups(given_as(now)))
        changes.append([line async for line in told])
        again = difference(merged(layers()), layout.groups(given_as(now)))
        assert [line async for line in again] == []
    return [line async for group in merged(layers()) for line in group.lines]


@given(STATES)
async def test_a_chain_of_changes_comes_to_the_rows_that_there_are(
    states: list[dict[bytes, bytes]],
) -> None:
    rows = [list(each.items()) for each in states]
    assert await chained(KEYED, rows) == await ordered(KEYED, rows[-1])


@given(BAGS)
async def test_rows_that_are_alike_are_counted(states: list[list[tuple[bytes, bytes]]]) -> None:
    found = await chained(ALIKE, states)
    assert Counter(found) == Counter(await ordered(ALIKE, states[-1]))


async def test_only_what_changed_is_told() -> None:
    async def story() -> list[bytes]:
        before = await ordered(KEYED, [(b"a", b"1"), (b"b", b"2"), (b"c", b"3"), (b"d", b"4")])
        now = await ordered(KEYED, [(b"a", b"1"), (b"b", b"5"), (b"d", b"4"), (b"e", b"6")])
        told = difference(KEYED.groups(given_as(before)), KEYED.groups(given_as(now)))
        return [line async for line in told]

    assert await story() == [b"+5\tb\n", b"-c\n", b"+6\te\n"]


async def test_lines_in_disorder_are_refused() -> None:
    async def story() -> list[Group]:
        return [each async for each in KEYED.groups(given_as([b"1\tb\n", b"1\ta\n"]))]

    with pytest.raises(RowsOutOfOrder):
        await story()
