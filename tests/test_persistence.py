"""The library's own conformance cases, and the losses that those do not catch."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from unittest import TestCase
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import ProgrammingError, StoredEvent
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.tests import persistence as conformance
from psycopg.sql import SQL

from rim_ledger.persistence import LedgerRecorder

INSERT: Final = SQL("""
INSERT INTO ledger.events (position, stream_id, version, name, body)
SELECT h.max + e.ordinality, e.id, e.version, e.name, convert_from(e.body, 'UTF8')
  FROM (SELECT coalesce(max(position), 0) AS max FROM ledger.events) h,
       unnest(%b::uuid[], %b::int8[], %b::text[], %b::bytea[]) WITH ORDINALITY
       AS e (id, version, name, body, ordinality)
 ORDER BY e.ordinality RETURNING position AS notification_id""")


def datastore(url: str, *, enable_db_functions: bool = False) -> PostgresDatastore:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return PostgresDatastore(
        dbname=parts.path.removeprefix("/"),
        host=query["host"][0],
        port=query.get("port", ["5432"])[0],
        user=parts.username or "",
        password=Path(query["passfile"][0]).read_text().rstrip().rpartition(":")[2],
        pool_size=10,
        max_overflow=10,
        connect_timeout=60.0,
        schema="ledger",
        enable_db_functions=enable_db_functions,
    )


class Seeding(LedgerRecorder):
    """Puts events there for the library's cases, as the ledger's own statement would."""

    def _insert_stored_events(
        self, curs: Any, stored_events: Sequence[StoredEvent], **_: Any
    ) -> None:
        self._lock_table(curs)
        self._notify_channel(curs)
        columns = ("originator_id", "originator_version", "topic", "state")
        values = [[getattr(each, column) for each in stored_events] for column in columns]
        curs.execute(INSERT, values)


class OnDatabase(TestCase):
    url: str
    __test__ = False

    @pytest.fixture(autouse=True)
    def give_database(self, database: str) -> None:
        self.url = database

    def create_recorder(self) -> LedgerRecorder:
        store = datastore(self.url)
        self.addCleanup(store.close)
        return Seeding(store)


class TestApplicationRecorder(OnDatabase, conformance.ApplicationRecorderTestCase[LedgerRecorder]):
    __test__ = True


class TestNonInterleaving(OnDatabase, conformance.NonInterleavingNotificationIDsBaseCase):
    __test__ = True


def event(name: str = "Tested") -> StoredEvent:
    return StoredEvent(originator_id=uuid4(), originator_version=1, topic=name, state=b"{}")


def test_the_unsafe_insert_function_is_refused(database: str) -> None:
    with (
        datastore(database, enable_db_functions=True) as store,
        pytest.raises(ProgrammingError, match="lose events"),
    ):
        LedgerRecorder(store)


def test_events_are_added_by_commands_alone(database: str) -> None:
    with (
        datastore(database) as store,
        pytest.raises(ProgrammingError, match="by the ledger's commands alone"),
    ):
        LedgerRecorder(store).insert_events([event()])


def test_a_failed_append_leaves_no_hole(database: str) -> None:
    with datastore(database) as store:
        recorder = Seeding(store)
        first = event()
        assert recorder.insert_events([first]) == [1]
        with pytest.raises(Exception, match="events_version"):
            recorder.insert_events([event(), first])
        assert recorder.insert_events([event(), event()]) == [2, 3]


def test_a_reader_of_the_tail_misses_nothing_while_eight_write(database: str) -> None:
    each, writers = 60, 8
    with datastore(database) as store:
        recorder = Seeding(store)

        def write() -> None:
            for _ in range(each):
                recorder.insert_events([event()])

        threads = [threading.Thread(target=write) for _ in range(writers)]
        for thread in threads:
            thread.start()
        seen: list[int] = []
        while len(seen) < each * writers:
            after = seen[-1] if seen else 0
            page = recorder.select_notifications(after, 50, inclusive_of_start=False)
            seen += [notification.id for notification in page]
            assert seen == list(range(1, len(seen) + 1))
        for thread in threads:
            thread.join()
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM ledger.events").fetchone() == (480,)
