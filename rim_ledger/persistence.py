"""Persistence module of the eventsourcing library: its applications and projections read our log.

Used live with `PERSISTENCE_MODULE=rim_ledger.persistence`.
"""

from collections.abc import Sequence
from typing import Any, Final

from eventsourcing import postgres
from eventsourcing.persistence import (
    InterfaceError,
    Notification,
    OperationalError,
    ProgrammingError,
    StoredEvent,
)
from eventsourcing.utils import retry
from psycopg.sql import SQL

from rim_ledger.catalogue import EVENTS
from rim_ledger.engine.codec import Codec
from rim_ledger.engine.store import CHANNEL

NOTIFICATIONS: Final = SQL(
    "SELECT * FROM (SELECT position AS notification_id, stream_id AS originator_id,"
    " version AS originator_version, name AS topic, convert_to(body, 'UTF8') AS state"
    " FROM ledger.events) e"
).format()
HEAD: Final = SQL("SELECT max(position) AS max FROM ledger.events").format()
PAGE: Final = (
    NOTIFICATIONS
    + SQL(
        " WHERE notification_id >= %s AND notification_id <= coalesce(%s, notification_id)"
        " AND (%s::text[] = '{{}}' OR topic = ANY (%s)) ORDER BY notification_id LIMIT %s"
    ).format()
)


class LedgerRecorder(postgres.PostgresApplicationRecorder):
    """Reads `ledger.events`: streams, pages and, by LISTEN, new events. Appending is refused,
    because an event must be decided by a command of the ledger and carry its MAC.

    Raises ProgrammingError for an append, and if POSTGRES_ENABLE_DB_FUNCTIONS is on.
    """

    def __init__(self, datastore: postgres.PostgresDatastore, **_: Any) -> None:
        if datastore.enable_db_functions:
            raise ProgrammingError(
                "POSTGRES_ENABLE_DB_FUNCTIONS must stay off: that function appends without a lock"
                " and readers of the tail lose events"
            )
        super().__init__(datastore, events_table_name="events")
        self.sql_create_statements = []  # the table belongs to the migrations
        self.channel_name = CHANNEL
        self.max_notification_id_statement = HEAD
        self.select_events_statement = NOTIFICATIONS + SQL(" WHERE originator_id = %s")

    def _insert_stored_events(
        self, curs: Any, stored_events: Sequence[StoredEvent], **_: Any
    ) -> None:
        raise ProgrammingError("events are added by the ledger's commands alone")

    @retry((InterfaceError, OperationalError), max_attempts=10, wait=0.2)
    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        first = 1 if start is None else start if inclusive_of_start else start + 1
        named = list(topics)
        with self.datastore.get_connection() as connection, connection.cursor() as cursor:
            cursor.execute(PAGE, [first, stop, named, named, limit])
            return [
                Notification(
                    id=row["notification_id"],
                    originator_id=row["originator_id"],
                    originator_version=row["originator_version"],
                    topic=row["topic"],
                    state=bytes(row["state"]),
                )
                for row in cursor
            ]


class Factory(postgres.PostgresFactory):
    """The factory of this module. Events come as `rim_ledger.engine.codec.Recorded`, in which
    personal data stays sealed."""

    application_recorder_class = LedgerRecorder

    def mapper(self, *_: Any, **__: Any) -> Any:
        return Codec(EVENTS)
