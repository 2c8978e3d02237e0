"""Why a database cannot be used: it is unavailable, its disk is full, or it is read-only."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from psycopg import AsyncConnection, IntegrityError, InterfaceError, OperationalError
from psycopg.errors import LockNotAvailable, ReadOnlySqlTransaction
from psycopg_pool import PoolTimeout

from rim_ledger.engine.refusals import Unavailable

OUTAGE: Final = (OperationalError, InterfaceError, PoolTimeout, ReadOnlySqlTransaction)
"""Raised while a database is unavailable, full, read-only or too busy: nothing was committed, or
that is unknown, and waiting may help."""

# Extends a file in the temporary tablespace, and then inserts a row of the log of the greatest
# length. Both are rolled back.
PROBE: Final = """
CREATE TEMPORARY TABLE rim_ledger_probe ON COMMIT DROP AS SELECT generate_series(1, 8000);
INSERT INTO ledger.events (position, stream_id, version, name, body, recorded_at)
SELECT 9223372036854775807, gen_random_uuid(), 0, 'Probe',
       (SELECT string_agg(gen_random_uuid()::text, '') FROM generate_series(1, 2000)), now()"""


class StoresNothing(Unavailable):
    """The database accepts no writes for now; reading goes on."""


def unwritable(error: BaseException) -> StoresNothing | None:
    """Return the answer to a command that was not stored; None if other writes may succeed."""
    match getattr(error, "sqlstate", None):
        case "53100" | "58030":  # disk_full, io_error
            words = "The database's disk is full or fails; reading goes on."
            return StoresNothing("storage-full", words)
        case "25006":  # read_only_sql_transaction
            words = "The database takes no writes for now; reading goes on."
            return StoresNothing("database-read-only", words)
    return None


def unavailable(error: BaseException) -> Unavailable:
    """Return the answer to a request that was interrupted by one of OUTAGE."""
    if isinstance(error, LockNotAvailable):
        return Unavailable("busy", "Somebody holds a lock of the ledger. Please ask again.")
    away = Unavailable("store-unavailable", "The ledger's database cannot be reached.")
    return unwritable(error) or away


async def probe(connection: AsyncConnection[Any]) -> None:
    """Write, and roll back. Raises what a command would meet, one of OUTAGE."""
    with suppress(IntegrityError):  # The row reached the constraints, so it could be stored.
        async with connection.transaction(force_rollback=True):
            await connection.execute(PROBE)


class Outages:
    """Reports the beginning and the end of an outage, and changes of its reason: a line each."""

    def __init__(self, notice: Callable[[str], None], what: str) -> None:
        """`notice` takes a line; `what` names the work that waits."""
        self._notice, self._what = notice, what
        self._reason = ""

    def begin(self, error: Exception) -> None:
        """Report an error: one of OUTAGE, an Unavailable, or else a fault."""
        found = unavailable(error) if isinstance(error, OUTAGE) else error
        reason = type(error).__name__
        if isinstance(found, Unavailable):
            state = getattr(error, "sqlstate", None)
            reason = f"{found.code}: {found}{f' (SQLSTATE {state})' if state else ''}"
        if reason != self._reason:
            self._notice(f"{self._what}: waiting, {reason}")
            self._reason = reason

    def end(self) -> None:
        """Report a success."""
        if self._reason:
            self._notice(f"{self._what}: going on, the database is back")
            self._reason = ""
