"""The log behind the library's recorder contract, for its tools that read."""

from collections.abc import Sequence
from typing import Any, Final

from eventsourcing.persistence import (
    InterfaceError,
    Notification,
    OperationalError,
    ProgrammingError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresFactory
from eventsourcing.utils import retry
from psycopg.sql import SQL, Identifier

COLUMNS: Final = SQL(
    "SELECT position AS notification_id, stream_id AS originator_id,"
    " version AS originator_version, name AS topic, convert_to(body, 'UTF8') AS state"
)


class LedgerRecorder(PostgresApplicationRecorder):
    """Reads `events` for the library's synchronous tools. Adding is refused: only the ledger's
    own commands have decided an event, and only with its code is it believed.
    """

    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "events") -> None:
        if datastore.enable_db_functions:
            raise ProgrammingError(
                "POSTGRES_ENABLE_DB_FUNCTIONS must stay off: that function appends without a lock"
                " and readers of the tail lose events"
            )
        super().__init__(datastore, events_table_name=events_table_name)
        self.sql_create_statements = []  # the table belongs to the migrations
        place = {
            "table": SQL("{}.{}").format(
                Identifier(datastore.schema), Identifier(events_table_name)
            ),
            "columns": COLUMNS,
        }
        self._head = SQL("SELECT coalesce(max(position), 0) AS max FROM {table}").format(**place)
        self.max_notification_id_statement = SQL("SELECT max(position) AS max FROM {table}").format(
            **place
        )
        self.select_events_statement = SQL(
            "SELECT * FROM ({columns} FROM {table}) e WHERE originator_id = %s"
        ).format(**place)
        self._select_notifications = SQL(
            "SELECT * FROM ({columns} FROM {table}) e WHERE notification_id >= %s"
            " AND notification_id <= coalesce(%s, notification_id)"
            " AND (%s::text[] = '{{}}' OR topic = ANY (%s)) ORDER BY notification_id LIMIT %s"
        ).format(**place)

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
            cursor.execute(self._select_notifications, [first, stop, named, named, limit])
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


class LedgerFactory(PostgresFactory):
    """Plugs the recorder into the library: PERSISTENCE_MODULE=rim_ledger.recorder."""

    application_recorder_class = LedgerRecorder
