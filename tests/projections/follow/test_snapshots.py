"""The follower keeps the states of long streams, and begins with them again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from psycopg import AsyncConnection

from projections.follow import log
from projections.follow.as_of import Moment, folded
from projections.follow.fold import Entry
from projections.follow.follower import Follower
from projections.follow.rebuild import rebuild
from projections.follow.snapshots import LOAD_PAST, MILESTONE, StreamStates, _snapshots
from projections.tables import schema
from rim_ledger.engine.ledger import Work
from rim_ledger.engine.snapshots import EVERY
from rim_ledger.lending.user import CreditScoreSet, User, UserContactChanged, UserErased
from tests.conftest import a_database
from tests.engine.test_event_mac import tamper
from tests.projections.story import (
    ADA,
    BOLA,
    START,
    VAULT,
    erases,
    followed,
    opens,
    rebuilt_equals_live,
    rows,
    told,
    written,
)

T = TypeVar("T")
MAC = VAULT.event_mac
assert MAC
KEPT = "SELECT stream_id, version FROM ledger.snapshots ORDER BY 1"


def scored(user: UUID, times: int) -> tuple[Work, ...]:
    """A user's score is set again and again."""
    return tuple(
        opens(User, user, CreditScoreSet(score=each, reason="why")) for each in range(times)
    )


async def on_connection(url: str, story: Callable[[AsyncConnection[Any]], Awaitable[T]]) -> T:
    async def run() -> T:
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            return await story(connection)

    return await run()


async def both(url: str) -> tuple[dict[UUID, Entry], dict[UUID, Entry]]:
    """All streams at the end of the log: by their snapshots, and by all their events."""

    async def story(connection: AsyncConnection[Any]) -> tuple[Any, Any]:
        assert MAC
        streams = [each for (each,) in rows(url, "SELECT DISTINCT stream_id FROM ledger.events")]
        head = await log.head(connection)
        found = await StreamStates(connection, MAC).load(streams, head)
        by_snapshots = {stream: replace(each, snapshot=0) for stream, each in found.items()}
        return by_snapshots, await folded(connection, streams, Moment(head))

    return await on_connection(url, story)


async def test_a_stream_that_grew_is_kept_once_it_grew_enough(database: str) -> None:
    await told(database, *START, *scored(ADA, EVERY - 3))
    assert rows(database, KEPT) == []
    await told(database, *scored(ADA, 1))
    assert rows(database, KEPT) == [(ADA, EVERY)]
    await told(database, *scored(ADA, EVERY - 1))
    assert rows(database, KEPT) == [(ADA, EVERY)]
    await told(database, *scored(ADA, 1))
    assert rows(database, KEPT) == [(ADA, 2 * EVERY)]
    by_snapshots, whole = await both(database)
    assert by_snapshots == whole
    await rebuilt_equals_live(database)


async def test_a_damaged_snapshot_is_noticed_and_made_again(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    await told(database, *START, *scored(ADA, EVERY))
    tamper(database, "UPDATE ledger.snapshots SET state = state || '\\x00'")
    with caplog.at_level(logging.ERROR, "rim_ledger"):
        await told(database, *scored(ADA, 1))
    assert f"the snapshot of stream {ADA} is damaged" in caplog.text
    assert rows(database, KEPT) == [(ADA, EVERY + 3)]
    by_snapshots, whole = await both(database)
    assert by_snapshots == whole
    await rebuilt_equals_live(database)


async def test_a_snapshot_of_another_fold_is_made_again(database: str) -> None:
    await told(database, *START, *scored(ADA, EVERY))
    tamper(database, "UPDATE ledger.snapshots SET fingerprint = 'of another'")
    await told(database, *scored(ADA, 1))
    assert rows(database, KEPT) == [(ADA, EVERY + 3)]
    ((fingerprint,),) = rows(database, "SELECT fingerprint FROM ledger.snapshots")
    assert fingerprint != "of another"


async def test_what_tables_add_to_a_snapshot_is_made_again_by_other_tables(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await told(database, *START, *scored(ADA, EVERY))
    monkeypatch.setattr("projections.follow.snapshots.FOLD", "of other tables")
    await told(database, *scored(ADA, 1))
    assert rows(database, KEPT) == [(ADA, EVERY + 3)]
    await rebuilt_equals_live(database)


async def test_no_snapshot_is_made_of_a_stream_with_a_forged_event(database: str) -> None:
    await written(database, *START, *scored(BOLA, EVERY), *scored(ADA, 1))

    async def forge(connection: AsyncConnection[Any]) -> None:
        await connection.execute(
            "INSERT INTO ledger.events (position, stream_id, version, name, body, recorded_at, mac)"
            ' SELECT head + n, %s, 3 + n, name, regexp_replace(body, \'"id":"[^"]*\','
            ' \'"id":"\' || gen_random_uuid()), recorded_at, mac FROM ledger.events,'
            " generate_series(1, 20) n, (SELECT max(position) AS head FROM ledger.events) h"
            " WHERE stream_id = %s AND version = 3",
            [ADA, ADA],
        )

    await on_connection(database, forge)
    await followed(database, page=7)
    assert [stream for stream, _ in rows(database, KEPT)] == [BOLA]
    assert rows(database, f"SELECT version FROM read.users WHERE id = '{ADA}'") == [(23,)]


async def test_a_page_that_is_not_committed_keeps_nothing(database: str) -> None:
    await told(database, *START)
    await written(database, *scored(ADA, EVERY))

    async def killed(connection: AsyncConnection[Any]) -> None:
        """The session ends as with its process, when the page was written but for its commit."""
        follower = Follower(connection, VAULT)
        async with connection.transaction(force_rollback=True):
            assert await follower.advance() == EVERY
            assert await (await connection.execute(KEPT)).fetchall()
            with psycopg.connect(database) as other:
                pid = connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s)", [pid])

    await on_connection(database, killed)
    assert rows(database, KEPT) == []
    await told(database)
    assert rows(database, KEPT) == [(ADA, EVERY + 2)]
    await rebuilt_equals_live(database)


async def test_two_followers_keep_what_is_true(database: str) -> None:
    await written(database, *START, *scored(ADA, 40), *scored(BOLA, 40))
    async with (
        await AsyncConnection.connect(database, autocommit=True) as one,
        await AsyncConnection.connect(database, autocommit=True) as other,
    ):
        await schema.create(one)
        followers = [Follower(one, VAULT), Follower(other, VAULT)]
        while any(await asyncio.gather(*(each.advance(limit=5) for each in followers))):
            pass
    assert [stream for stream, _ in rows(database, KEPT)] == sorted([ADA, BOLA])
    by_snapshots, whole = await both(database)
    assert by_snapshots == whole
    await rebuilt_equals_live(database)


MILESTONES = "SELECT version FROM ledger.milestones ORDER BY version"
LONG = 3 * MILESTONE + 7


async def past(url: str, stream: UUID = ADA) -> list[int]:
    """Compare a stream as of each position, by milestones and by all events; how many events were
    read for each."""

    async def story(connection: AsyncConnection[Any]) -> list[int]:
        assert MAC
        read = []
        head = await log.head(connection)
        for position in (*range(1, head, 11), head):
            values = [[stream], _snapshots(MAC, "milestones").fingerprints, position]
            read.append((await connection.execute(LOAD_PAST, values)).rowcount)
            found = await StreamStates(connection, MAC).load_past([stream], position)
            shown = {each: replace(entry, snapshot=0) for each, entry in found.items()}
            assert shown == await folded(connection, [stream], Moment(position))
        return read

    return await on_connection(url, story)


@pytest.mark.parametrize("page", [5, 300])
async def test_a_stream_as_of_any_position_is_folded_from_the_milestone_before(
    database: str, page: int
) -> None:
    await told(database, *START, *scored(ADA, LONG), *scored(BOLA, 40), page=page)
    assert max(await past(database)) <= max(page, EVERY) + MILESTONE
    await rebuild(database, VAULT)
    assert rows(database, MILESTONES) == [(MILESTONE,), (2 * MILESTONE,), (3 * MILESTONE,)]
    assert max(await past(database)) <= MILESTONE
    await past(database, BOLA)


async def test_a_damaged_milestone_is_noticed_and_passed_over(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    await told(database, *START, *scored(ADA, MILESTONE))
    tamper(database, "UPDATE ledger.milestones SET state = state || '\\x00'")
    with caplog.at_level(logging.ERROR, "rim_ledger"):
        await past(database)
    assert f"the snapshot of stream {ADA} is damaged" in caplog.text


async def test_a_milestone_is_no_snapshot_that_is_decided_on(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    await told(database, *START, *scored(ADA, MILESTONE))
    tamper(
        database,
        "UPDATE ledger.snapshots s SET (version, state, mac) = (m.version, m.state, m.mac)"
        " FROM ledger.milestones m WHERE m.stream_id = s.stream_id",
    )
    with caplog.at_level(logging.ERROR, "rim_ledger"):
        by_snapshots, whole = await both(database)
    assert f"the snapshot of stream {ADA} is damaged" in caplog.text
    assert by_snapshots == whole


WORKS: dict[str, tuple[Work, ...]] = {
    "a score": scored(ADA, 1),
    "many scores": scored(ADA, 11),
    "another's": scored(BOLA, 9),
    "a contact": (opens(User, BOLA, UserContactChanged(name="Bola Ahmed")),),
    "an erasure": (erases(BOLA, UserErased()),),
}


@settings(max_examples=5)
@given(st.lists(st.sampled_from(sorted(WORKS)), min_size=2, max_size=7), st.integers(1, 30))
def test_streams_by_their_snapshots_are_streams_by_their_events(
    server: str, names: list[str], page: int
) -> None:
    with a_database(server, "template_ledger") as url:
        asyncio.run(told(url, *START, page=page))
        erased = "an erasure" in names
        for name in [each for each in names if each != "an erasure"] + ["an erasure"] * erased:
            asyncio.run(told(url, *WORKS[name], page=page))
            by_snapshots, whole = asyncio.run(both(url))
            assert by_snapshots == whole
        assert asyncio.run(rebuilt_equals_live(url))
