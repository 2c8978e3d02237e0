"""Failed attempts to get in: counted in the database, so that all processes count together."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final, Self

from msgspec import Struct
from psycopg import AsyncConnection, InterfaceError, OperationalError
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from rim_ledger.admin.security_settings import SecuritySettings
from rim_ledger.core import Refused, Unavailable
from rim_ledger.vault import Vault
from rim_ledger.world import World

PATIENCE: Final = 10.0
"""Seconds that an attempt waits for those before it."""

IP_SHARE: Final = 10
"""How many times as often an address may fail as an account: several people may share one."""

KEPT: Final = timedelta(days=2)
"""How long a failure is remembered: the longest lockout lasts a day, and what began it lies within
the day before."""

EPOCH: Final = datetime.fromtimestamp(0, UTC)

ONE_AT_A_TIME: Final = "SELECT pg_advisory_xact_lock(hashtextextended('attempt ' || %s, 0))"

NEWEST: Final = """
SELECT count(*), max(at), min(at) FROM (
    SELECT at FROM ledger.attempts WHERE {} = %s ORDER BY at DESC LIMIT %s) newest"""
OF_ACCOUNT: Final = NEWEST.format("account")
OF_IP: Final = NEWEST.format("ip")

FAILED: Final = """
WITH old AS (DELETE FROM ledger.attempts WHERE at <= %s)
INSERT INTO ledger.attempts (at, account, ip) VALUES (%s, %s, %s)"""


class TooManyAttempts(Refused):
    """Somebody failed too often of late. `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        minutes = math.ceil(retry_after / 60)
        super().__init__(
            "too-many-attempts",
            f"Too many failed attempts. Please try again in {minutes} min.",
            retryAfter=retry_after,
        )
        self.retry_after = retry_after


class Newest(Struct, frozen=True):
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
        self._connection, self.account, self.ip = connection, account, ip

    async def forgive(self) -> None:
        """Forget what failed for this account from this very address. What others tried from
        elsewhere stays counted, and so does what was tried here at other accounts."""
        await self._connection.execute(
            "DELETE FROM ledger.attempts WHERE account = %s AND ip = %s", [self.account, self.ip]
        )


class Attempts:
    """The gate's memory. Names are kept as keyed hashes, whether somebody has them or not.

    Attempts at one account, or from one address, are made one after the other in all processes
    together. So guesses made all at once learn no more than guesses made one by one, and nobody
    who is right is refused because of another who is right as well.
    """

    def __init__(self, url: str, vault: Vault, world: World, patience: float = PATIENCE) -> None:
        self._vault, self._world = vault, world
        # One connection, because one password is verified at a time.
        self._pool = AsyncConnectionPool[AsyncConnection[Any]](
            url,
            min_size=0,
            max_size=1,
            timeout=patience,
            check=AsyncConnectionPool.check_connection,
            open=False,
        )

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
        account, place = self._account(name), _place(ip)
        try:
            async with self._pool.connection() as connection:
                await self._require_free(connection, account, place, settings)
                try:
                    yield Attempt(connection, account, place)
                except Refused:
                    now = self._world.now()
                    await connection.execute(FAILED, [now - KEPT, now, account, place])
                    await connection.commit()
                    raise
        except (OperationalError, InterfaceError, PoolTimeout):
            words = "Too many are at the gate, or the database is away. Please ask again."
            raise Unavailable("store-unavailable", words) from None

    async def forget(self, name: str) -> int:
        """Forget every failure of an account, whoever failed; how many there were."""
        query = "DELETE FROM ledger.attempts WHERE account = %s"
        async with self._pool.connection() as connection:
            return (await connection.execute(query, [self._account(name)])).rowcount

    def _account(self, name: str) -> str:
        return self._vault.fingerprint("attempts", name.lower())

    async def _require_free(
        self,
        connection: AsyncConnection[Any],
        account: str,
        place: str,
        settings: SecuritySettings,
    ) -> None:
        """Raise TooManyAttempts for a locked account or address; else both are ours until the
        transaction ends."""
        looks = [(OF_ACCOUNT, account, settings.max_login_attempts)]
        if place:
            looks.append((OF_IP, place, settings.max_login_attempts * IP_SHARE))
        ends = [EPOCH]
        for query, key, most in looks:
            await connection.execute(ONE_AT_A_TIME, [key])
            row = await (await connection.execute(query, [key, most])).fetchone()
            assert row is not None, "a count is always answered"
            ends.append(Newest(*row).locked_until(most, settings.lockout) or EPOCH)
        wait = max(ends) - self._world.now()
        if wait > timedelta(0):
            raise TooManyAttempts(math.ceil(wait.total_seconds()))


def _place(ip: str | None) -> str:
    """What of an address is counted: who has one IPv6 address has the 64 bits below it as well."""
    if not ip or ":" not in ip:
        return ip or ""
    return str(ip_network((ip.partition("%")[0], 64), strict=False))
