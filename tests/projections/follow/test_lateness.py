"""Who works behind the log is late when it is silent or behind, and an alert counts it."""

from datetime import UTC, datetime
from decimal import Decimal

import psycopg
import pytest
from psycopg import AsyncConnection

from projections.follow.lag import LATE, ProcessLag, found
from projections.measures import TableMeasures
from projections.tables import schema
from rim_ledger.notifications.alert import AlertType
from rim_ledger.postgres.heartbeat import BEAT


def a_process(behind: float = 0.0, silent: float | None = 0.5) -> ProcessLag:
    return ProcessLag("seal", position=7, lag=3, behind_seconds=behind, silent_seconds=silent)


@pytest.mark.parametrize(
    ("late", "trouble"),
    [
        (a_process(), None),
        (a_process(behind=10.0), None),
        (a_process(behind=10.6), "seal is 11 s behind"),
        (a_process(silent=25.2), "seal is dead: no sign of life for 25 s"),
        (a_process(silent=None), "seal has never run"),
    ],
)
def test_what_is_wrong_is_named(late: ProcessLag, trouble: str | None) -> None:
    assert late.trouble(10) == trouble


async def test_behind_is_how_long_the_next_event_has_waited(database: str) -> None:
    async with await AsyncConnection.connect(database, autocommit=True) as connection:
        await schema.create(connection)
    event = (
        "INSERT INTO ledger.events (position, stream_id, version, name, body, recorded_at)"
        " VALUES (%s, gen_random_uuid(), 1, 'X', '{}', now() - %s * interval '1 s')"
    )
    with psycopg.connect(database, autocommit=True) as connection:
        for name, age in (("follow", 0), ("seal", 0), ("clock", 90)):
            connection.execute(BEAT, [name])
            old = "UPDATE ledger.heartbeats SET at = at - %s * interval '1 s' WHERE name = %s"
            connection.execute(old, [age, name])
        for position, age in ((1, 500), (2, 300), (3, 100)):
            connection.execute(event, [position, age])
        connection.execute("UPDATE read.tracking SET position = 2")
        clock, follow, seal = found(connection.execute(LATE.encode()).fetchall())
        assert (clock.position, clock.lag, clock.behind_seconds) == (None, 0, 0)
        assert clock.silent_seconds == pytest.approx(90, abs=60)
        assert (follow.position, follow.lag) == (2, 1)
        assert follow.behind_seconds == pytest.approx(100, abs=60)
        assert (seal.position, seal.lag) == (0, 3)
        assert seal.behind_seconds == pytest.approx(490, abs=60), "ten seconds are for gathering"
    value = TableMeasures(database).value(AlertType.SYSTEM_ERROR, datetime.now(UTC))
    assert await value == Decimal(3)
