"""The library's own conformance cases, and the losses that those do not catch."""

import threading
from unittest import TestCase
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import ProgrammingError, StoredEvent
from eventsourcing.postgres import PostgresDatastore
from eventsourcing.tests import persistence as conformance

from rim_ledger.recorder import LedgerRecorder


def datastore(url: str, *, enable_db_functions: bool = False) -> PostgresDatastore:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return PostgresDatastore(
        dbname=parts.path.removeprefix("/"),
        host=query["host"][0],
        port=query.get("port", ["5432"])[0],
        user=parts.username or "",
        password="",
        pool_size=10,
        max_overflow=10,
        connect_timeout=60.0,
        schema="ledger",
        enable_db_functions=enable_db_functions,
    )


class OnDatabase(TestCase):
    url: str
    __test__ = False

    @pytest.fixture(autouse=True)
    def give_database(self, database: str) -> None:
        self.url = database

    def create_recorder(self) -> LedgerRecorder:
        store = datastore(self.url)
        self.addCleanup(store.close)
        return LedgerRecorder(store)


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


def test_a_failed_append_leaves_no_hole(database: str) -> None:
    with datastore(database) as store:
        recorder = LedgerRecorder(store)
        first = event()
        assert recorder.insert_events([first]) == [1]
        with pytest.raises(Exception, match="events_version"):
            recorder.insert_events([event(), first])
        assert recorder.insert_events([event(), event()]) == [2, 3]


def test_a_reader_of_the_tail_misses_nothing_while_eight_write(database: str) -> None:
    each, writers = 60, 8
    with datastore(database) as store:
        recorder = LedgerRecorder(store)

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
