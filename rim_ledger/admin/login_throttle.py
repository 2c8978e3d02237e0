"""Failed attempts to get in: counted in the database, so that all processes count together."""

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
from rim_ledger.engine.refusals import Refused
from rim_ledger.postgres.outage import OUTAGE, unavailable
from rim_ledger.postgres.pool import Pool
from rim_ledger.vault.personal_keys import Vault

TURN_TIMEOUT_SECONDS: Final = 10.0
"""So long an attempt waits for those before it."""

IP_SHARE: Final = 10
"""How many times as often an address may fail as an account: several people may share one."""

KEPT: Final = timedelta(days=2)
"""How long a failure is remembered: the longest lockout lasts a day, and what began it lies within
the day before."""

EPOCH: Final = datetime.fromtimestamp(0, UTC)

ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('attempt ' || %s, 0))"

TURNS: Final = f"SET LOCAL lock_timeout = '{TURN_TIMEOUT_SECONDS}s'"
"""Who waits longer is told to come back."""

NEWEST: Final = """
SELECT count(*), max(at), min(at) FROM (
    SELECT at FROM ledger.attempts WHERE {} = %s ORDER BY at DESC LIMIT %s) newest"""
OF_ACCOUNT: Final = NEWEST.format("account")
OF_IP: Final = NEWEST.format("ip")

FAILED: Final = """
WITH old AS (DELETE FROM ledger.attempts WHERE at <= %s)
INSERT INTO ledger.attempts (at, account, ip) VALUES (%s, %s, %s)"""


COUNTED: Final = timedelta(days=30)
"""How long the numbers of refused entries are kept."""

REFUSED: Final = """
WITH old AS (DELETE FROM ledger.refused_entries WHERE hour <= %(old)s),
     earlier AS (SELECT FROM ledger.refused_entries
                  WHERE hour = %(hour)s AND action = %(action)s AND outcome = %(outcome)s LIMIT 1)
INSERT INTO ledger.refused_entries AS e (hour, action, outcome, ip)
VALUES (%(hour)s, %(action)s, %(outcome)s, %(ip)s)
ON CONFLICT (hour, action, outcome, ip) DO UPDATE SET count = e.count + 1
RETURNING NOT EXISTS (TABLE earlier)"""


class TooManyAttempts(Refused):
    """Somebody failed too often of late. `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        minutes = math.ceil(retry_after / 60)
        super().__init__(
            "too-many-attempts",
            f"Too many attempts. Please try again in {minutes} min.",
            retryAfter=retry_after,
        )
        self.retry_after = retry_after


class RecentFailures(Struct, frozen=True):
    """The newest failures of an account or an address: how many were found of those that are
    allowed, and between which times."""

    count: int
    last: datetime | None
    first: datetime | None

    def locked_until(self, most: int, lockout: timedelta) -> datetime | None:
        """Until when nobody is let try: that many failures within the time of a lockout begin
        one, at the last of them."""
        if self.count < most or self.last is None or self.first is None:
            return None
        return self.last + lockout if self.last - self.first < lockout else None


class Attempt:
    """One attempt under way, at an account and from an address."""

    def __init__(self, connection: AsyncConnection[Any], account: str, ip: str) -> None:
        self.connection, self.account, self.ip = connection, account, ip

    async def forgive(self) -> None:
        """Forget what failed for this account from this very address. What others tried from
        elsewhere stays counted, and so does what was tried here at other accounts."""
        await self.connection.execute(
            "DELETE FROM ledger.attempts WHERE account = %s AND ip = %s", [self.account, self.ip]
        )


class LoginThrottle:
    """The gate's memory. Names are kept as keyed hashes, whether somebody has them or not.

    Attempts at one account, or from one address, are made one after the other in all processes
    together. So guesses made all at once learn no more than guesses made one by one, and nobody
    who is right is refused because of another who is right as well.
    """

    def __init__(
        self,
        url: str,
        vault: Vault,
        environment: Environment,
        timeout_seconds: float | None = None,
        gate: str = "",
    ) -> None:
        self._vault, self._environment = vault, environment
        self._gate = gate
        """What is counted at one gate counts nowhere else: borrowers behind the address of a
        telco keep no admin out."""
        # One connection, because one password is verified at a time.
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
        """An attempt at an account. It has failed when the block ends with Refused, and is counted
        before anybody hears of that.

        Raises TooManyAttempts, and does not begin the block, when too many have failed already;
        Unavailable when the database cannot be reached, or others take too long.
        """
        most, within = settings.max_login_attempts, settings.lockout
        async with self._turn(self._gate, name, ip, most, within) as attempt:
            try:
                yield attempt
            except Refused:
                await self._count(attempt)
                raise

    async def note(self, what: str, whose: str, most: int, within: timedelta) -> None:
        """Count something that is done for an account or from a place, whatever comes of it: at
        most so often within a time.

        Raises TooManyAttempts, or Unavailable, as `attempt` does.
        """
        async with self._turn(f"{self._gate} {what}", whose, None, most, within) as attempt:
            await self._count(attempt)

    async def count_refused(self, action: str, outcome: str, ip: str | None) -> bool:
        """Count an entry that was refused with a code; whether it is the first of its kind in this
        hour. False as well when the database cannot be reached."""
        now = self._environment.now()
        hour = now.replace(minute=0, second=0, microsecond=0)
        values = {"action": action, "outcome": outcome, "ip": place_of(ip), "hour": hour}
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(REFUSED, values | {"old": now - COUNTED})
                row = await cursor.fetchone()
        except OUTAGE:
            return False
        return row == (True,)

    async def forget(self, name: str) -> int:
        """Forget every failure of an account, whoever failed; how many there were."""
        query = "DELETE FROM ledger.attempts WHERE account = %s"
        async with self._pool.connection() as connection:
            return (await connection.execute(query, [self._account(self._gate, name)])).rowcount

    def _account(self, gate: str, name: str) -> str:
        return self._vault.fingerprint("attempts", f"{gate} {name}".strip().lower())

    @asynccontextmanager
    async def _turn(
        self, gate: str, name: str, ip: str | None, most: int, within: timedelta
    ) -> AsyncIterator[Attempt]:
        """One's turn at an account and an address of a gate."""
        account, place = self._account(gate, name), place_of(ip)
        place = place and f"{gate} {place}".strip()
        try:
            async with self._pool.connection() as connection:
                await self._require_free(connection, account, place, most, within)
                yield Attempt(connection, account, place)
        except OUTAGE as error:
            raise unavailable(error) from None

    async def _count(self, attempt: Attempt) -> None:
        now = self._environment.now()
        await attempt.connection.execute(FAILED, [now - KEPT, now, attempt.account, attempt.ip])
        await attempt.connection.commit()

    async def _require_free(
        self,
        connection: AsyncConnection[Any],
        account: str,
        place: str,
        most: int,
        within: timedelta,
    ) -> None:
        """Raise TooManyAttempts for a locked account or address; else both are ours until the
        transaction ends."""
        looks = [(OF_ACCOUNT, account, most)]
        if place:
            looks.append((OF_IP, place, most * IP_SHARE))
        ends = [EPOCH]
        await connection.execute(TURNS)
        for query, key, so_many in looks:
            await connection.execute(ONE_AT_A_TIME, [key])
            row = await (await connection.execute(query, [key, so_many])).fetchone()
            assert row is not None, "a count is always answered"
            ends.append(RecentFailures(*row).locked_until(so_many, within) or EPOCH)
        wait = max(ends) - self._environment.now()
        if wait > timedelta(0):
            raise TooManyAttempts(math.ceil(wait.total_seconds()))


def place_of(ip: str | None) -> str:
    """What of an address is counted; empty for none. Who has one IPv6 address has the 64 bits below
    it as well."""
    if not ip or ":" not in ip:
        return ip or ""
    return str(ip_network((ip.partition("%")[0], 64), strict=False))
