"""Throttle for failed log-ins, counted in the database for all processes together."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final, Self

from msgspec import Struct
from psycopg import AsyncConnection

from rim_ledger.admin.security_settings import SecuritySettings
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.postgres.pool import Pool
from rim_ledger.vault.personal_keys import Vault

TURN_TIMEOUT_SECONDS: Final = 10.0
"""How long an attempt waits for earlier ones."""

IP_SHARE: Final = 10
"""Failures allowed per address, as a multiple of those per account: people share addresses."""

KEPT: Final = timedelta(days=2)
"""Retention of failures: a lockout lasts a day at most, and so does the span that causes one."""

EPOCH: Final = datetime.fromtimestamp(0, UTC)

ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('attempt ' || %s, 0))"

TURNS: Final = f"SET LOCAL lock_timeout = '{TURN_TIMEOUT_SECONDS}s'"
"""A longer wait is answered with Unavailable."""

NEWEST: Final = """
SELECT count(*), max(at), min(at) FROM (
    SELECT at FROM ledger.attempts WHERE {} = %s ORDER BY at DESC LIMIT %s) newest"""
OF_ACCOUNT: Final = NEWEST.format("account")
OF_IP: Final = NEWEST.format("ip")

FAILED: Final = "INSERT INTO ledger.attempts (at, account, ip) VALUES (%s, %s, %s)"

COUNTED: Final = timedelta(days=30)
"""Retention of the counts of refused entries."""

REFUSED: Final = """
WITH earlier AS (SELECT FROM ledger.refused_entries
                  WHERE hour = %(hour)s AND action = %(action)s AND outcome = %(outcome)s LIMIT 1)
INSERT INTO ledger.refused_entries AS e (hour, action, outcome, ip)
VALUES (%(hour)s, %(action)s, %(outcome)s, %(ip)s)
ON CONFLICT (hour, action, outcome, ip) DO UPDATE SET count = e.count + 1
RETURNING NOT EXISTS (TABLE earlier)"""


class TooManyAttempts(Refused):
    """Too many recent failures. `retry_after` is in seconds."""

    def __init__(self, retry_after: int) -> None:
        minutes = math.ceil(retry_after / 60)
        super().__init__(
            "too-many-attempts",
            f"Too many attempts. Please try again in {minutes} min.",
            retryAfter=retry_after,
        )
        self.retry_after = retry_after


class RecentFailures(Struct, frozen=True):
    """The newest failures of an account or address: their number (up to the limit), and the times
    of the last and the first."""

    count: int
    last: datetime | None
    first: datetime | None

    def locked_until(self, most: int, lockout: timedelta) -> datetime | None:
        """Return the end of the lockout, or None: `most` failures within the time of a lockout
        begin one, at the last of them."""
        if self.count < most or self.last is None or self.first is None:
            return None
        return self.last + lockout if self.last - self.first < lockout else None


class Attempt:
    """An attempt in progress, for an account and from an address."""

    def __init__(self, connection: AsyncConnection[Any], account: str, ip: str) -> None:
        self.connection, self.account, self.ip = connection, account, ip

    async def forgive(self) -> None:
        """Delete the failures of this account from this address. Those of the account from other
        addresses, or of other accounts from here, stay counted."""
        await self.connection.execute(
            "DELETE FROM ledger.attempts WHERE account = %s AND ip = %s", [self.account, self.ip]
        )


class LoginThrottle:
    """Counts failures per account and address. Names are stored as keyed hashes, known or not.

    Attempts for one account, or from one address, run one after the other in all processes
    together. So concurrent guesses are limited as sequential ones are, and a valid log-in is never
    refused because another is running.
    """

    def __init__(
        self,
        url: str,
        vault: Vault,
        environment: Environment,
        timeout_seconds: float | None = None,
        scope: str = "",
    ) -> None:
        self._vault, self._environment = vault, environment
        self._scope = scope
        """Counts are separate per scope: borrowers behind a telco's address lock out no admin."""
        # One connection, because passwords are verified one at a time.
        timeout = TURN_TIMEOUT_SECONDS if timeout_seconds is None else timeout_seconds
        self._pool = Pool(url, min_size=0, max_size=1, timeout=timeout)

    async def __aenter__(self) -> Self:
        await self._pool.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.close()

    @asynccontextmanager
    async def attempt(
        self, name: str, ip: str | None, settings: SecuritySettings
    ) -> AsyncIterator[Attempt]:
        """Run an attempt for an account. It fails if the block raises Refused, and is counted
        before that is passed on.

        Raises TooManyAttempts before the block if the account or address is locked; Unavailable if
        the database cannot be reached, or the wait is too long.
        """
        most, within = settings.max_login_attempts, settings.lockout
        async with self._turn(self._scope, name, ip, most, within) as attempt:
            try:
                yield attempt
            except Refused:
                await self._count(attempt)
                raise

    async def note(self, what: str, whose: str, most: int, within: timedelta) -> None:
        """Count an action of an account or address, whatever its outcome: at most `most` times
        within a time span.

        Raises TooManyAttempts, or Unavailable, as `attempt` does.
        """
        async with self._turn(f"{self._scope} {what}", whose, None, most, within) as attempt:
            await self._count(attempt)

    async def count_refused(self, action: str, outcome: str, ip: str | None) -> bool:
        """Count an entry that was refused with a code; return whether it is the first of its kind
        in this hour. False as well if the database cannot be reached."""
        hour = self._environment.now().replace(minute=0, second=0, microsecond=0)
        values = {"action": action, "outcome": outcome, "ip": address_block(ip), "hour": hour}
        try:
            return await self._pool.rows(REFUSED, values) == [(True,)]
        except Unavailable:
            return False

    async def forget(self, name: str) -> int:
        """Delete all failures of an account, and return their number."""
        query = "DELETE FROM ledger.attempts WHERE account = %s"
        async with self._pool.connection() as connection:
            return (await connection.execute(query, [self._account(self._scope, name)])).rowcount

    def _account(self, scope: str, name: str) -> str:
        return self._vault.fingerprint("attempts", f"{scope} {name}".strip().lower())

    @asynccontextmanager
    async def _turn(
        self, scope: str, name: str, ip: str | None, most: int, within: timedelta
    ) -> AsyncIterator[Attempt]:
        """Lock an account and an address of a scope for the time of the block."""
        account, place = self._account(scope, name), address_block(ip)
        place = place and f"{scope} {place}".strip()
        async with self._pool.reader() as connection:
            await self._require_free(connection, account, place, most, within)
            yield Attempt(connection, account, place)

    async def _count(self, attempt: Attempt) -> None:
        now = self._environment.now()
        await attempt.connection.execute(FAILED, [now, attempt.account, attempt.ip])
        await attempt.connection.commit()

    async def _require_free(
        self,
        connection: AsyncConnection[Any],
        account: str,
        place: str,
        most: int,
        within: timedelta,
    ) -> None:
        """Lock account and address until the transaction ends. Raises TooManyAttempts if either is
        locked out."""
        checks = [(OF_ACCOUNT, account, most)]
        if place:
            checks.append((OF_IP, place, most * IP_SHARE))
        ends = [EPOCH]
        await connection.execute(TURNS)
        for query, key, limit in checks:
            await connection.execute(ONE_AT_A_TIME, [key])
            ((*newest,),) = await (await connection.execute(query, [key, limit])).fetchall()
            ends.append(RecentFailures(*newest).locked_until(limit, within) or EPOCH)
        wait = max(ends) - self._environment.now()
        if wait > timedelta(0):
            raise TooManyAttempts(math.ceil(wait.total_seconds()))


def address_block(ip: str | None) -> str:
    """Return the counted part of an address, empty for none: for IPv6 its /64 network, since the
    holder of one address has the others too."""
    if not ip or ":" not in ip:
        return ip or ""
    return str(ip_network((ip.partition("%")[0], 64), strict=False))
