"""Why a database cannot be used for now: it is away, its disk is full, or it takes no writes."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from psycopg import AsyncConnection, IntegrityError, InterfaceError, OperationalError
from psycopg.errors import LockNotAvailable, ReadOnlySqlTransaction
from psycopg_pool import PoolTimeout

from rim_ledger.engine.refusals import Unavailable

OUTAGE: Final = (OperationalError, InterfaceError, PoolTimeout, ReadOnlySqlTransaction)
"""What is raised while a database is away, full, read-only or too busy: nothing was committed, or
nobody knows, and waiting may mend it."""

# What must extend a file wherever the temporary tables lie, and then a row of the log as long as
# one may get: neither is kept.
PROBE: Final = """
CREATE TEMPORARY TABLE rim_ledger_probe ON COMMIT DROP AS SELECT generate_series(1, 8000);
INSERT INTO ledger.events (position, stream_id, version, name, body, recorded_at)
SELECT 9223372036854775807, gen_random_uuid(), 0, 'Probe',
       (SELECT string_agg(gen_random_uuid()::text, '') FROM generate_series(1, 2000)), now()"""


class StoresNothing(Unavailable):
    """The database stores nothing for now; what needs no writing goes on."""


def unwritable(error: BaseException) -> StoresNothing | None:
    """The answer to a command whose words the database did not store, where it says that it stores
    nothing at all."""
    match getattr(error, "sqlstate", None):
        case "53100" | "58030":  # disk_full, io_error
            words = "The database's disk is full or fails; reading goes on."
            return StoresNothing("storage-full", words)
        case "25006":  # read_only_sql_transaction
            words = "The database takes no writes for now; reading goes on."
            return StoresNothing("database-read-only", words)
    return None


def unavailable(error: BaseException) -> Unavailable:
    """The answer to a request that one of OUTAGE broke off."""
    if isinstance(error, LockNotAvailable):
        return Unavailable("busy", "Somebody holds a lock of the ledger. Please ask again.")
    away = Unavailable("store-unavailable", "The ledger's database cannot be reached.")
    return unwritable(error) or away


async def probe(connection: AsyncConnection[Any]) -> None:
    """Write, and take it back. Raises what a command would meet, one of OUTAGE."""
    with suppress(IntegrityError):  # It was near enough to an event to be stored.
        async with connection.transaction(force_rollback=True):
            await connection.execute(PROBE)


class Outages:
    """Says when an outage begins or has another reason, and when it is over: a line each."""

    def __init__(self, notice: Callable[[str], None], what: str) -> None:
        """`notice` takes a line; `what` is what stands still meanwhile."""
        self._notice, self._what = notice, what
        self._reason = ""

    def begin(self, error: Exception) -> None:
        """Note an error: one of OUTAGE or what it was answered with, or else a fault."""
        found = unavailable(error) if isinstance(error, OUTAGE) else error
        reason = type(error).__name__
        if isinstance(found, Unavailable):
            state = getattr(error, "sqlstate", None)
            reason = f"{found.code}: {found}{f' (SQLSTATE {state})' if state else ''}"
        if reason != self._reason:
            self._notice(f"{self._what}: waiting, {reason}")
            self._reason = reason

    def end(self) -> None:
        """Note that it went well."""
        if self._reason:
            self._notice(f"{self._what}: going on, the database is back")
            self._reason = ""
