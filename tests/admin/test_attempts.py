"""Failed attempts on a real database: who is locked, until when, and what is forgiven."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import psycopg
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from rim_ledger.admin.login_throttle import (
    IP_SHARE,
    KEPT,
    LoginThrottle,
    RecentFailures,
    TooManyAttempts,
)
from rim_ledger.admin.security_settings import DEFAULTS
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.retention import drop_expired
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault
from tests.spec import START, TestWorld

SETTINGS = DEFAULTS.but(max_login_attempts=3)
HERE, THERE = "203.0.113.7", "198.51.100.20"
MINUTE = timedelta(minutes=1)
NAMES, PLACES = ("ada", "bola"), (HERE, THERE)


class Gate:
    """Two processes at one gate."""

    def __init__(self, url: str) -> None:
        self.environment, self.settings = TestWorld(), SETTINGS
        vault = Vault(derived(b"a secret of the tests"), self.environment)
        self.one, self.two = (LoginThrottle(url, vault, self.environment, 60.0) for _ in range(2))

    async def fail(self, name: str = "ada", ip: str | None = HERE, times: int = 1) -> None:
        """Attempts that are not right, now here and now there."""
        for nth in range(times):
            with pytest.raises(Refused, match="wrong"):
                async with (self.one, self.two)[nth % 2].attempt(name, ip, self.settings):
                    raise Refused("wrong", "wrong")

    async def succeed(self, name: str = "ada", ip: str | None = HERE) -> None:
        async with self.one.attempt(name, ip, self.settings) as attempt:
            await attempt.forgive()

    async def locked(self, name: str = "ada", ip: str | None = HERE) -> int:
        """Seconds that one has to wait; 0 when one is let try."""
        waits = set()
        for each in (self.one, self.two):
            try:
                async with each.attempt(name, ip, self.settings):
                    waits.add(0)
            except TooManyAttempts as refusal:
                waits.add(refusal.retry_after)
        (wait,) = waits
        return wait


@pytest.fixture
async def gate(database: str) -> AsyncIterator[Gate]:
    """The gate of two processes on one ledger."""
    opened = Gate(database)
    async with opened.one, opened.two:
        yield opened


def after(minutes: float) -> datetime:
    return START + minutes * MINUTE


@pytest.mark.parametrize(
    ("newest", "until"),
    [
        (RecentFailures(0, None, None), None),
        (RecentFailures(2, after(1), after(0)), None),
        (RecentFailures(3, after(0), after(0)), after(15)),
        (RecentFailures(3, after(14), after(0)), after(29)),
        (RecentFailures(3, after(15), after(0)), None),
    ],
)
def test_a_lockout_begins_with_the_last_of_too_many_failures(
    newest: RecentFailures, until: datetime | None
) -> None:
    assert newest.locked_until(3, 15 * MINUTE) == until


async def test_an_account_is_locked_everywhere_and_from_everywhere(gate: Gate) -> None:
    await gate.fail(times=2)
    assert not await gate.locked()
    await gate.fail()
    assert await gate.locked() == 900
    assert await gate.locked(ip=THERE) == await gate.locked("ADA", ip=None) == 900
    assert not await gate.locked("bola")
    gate.environment.time += 899 * timedelta(seconds=1)
    assert await gate.locked() == 1
    gate.environment.time += timedelta(seconds=1)
    assert not await gate.locked()
    await gate.fail(times=2)
    assert not await gate.locked()


async def test_failures_that_lie_far_apart_lock_nobody(gate: Gate) -> None:
    for _ in range(6):
        await gate.fail()
        gate.environment.time += 8 * MINUTE
    assert not await gate.locked()


async def test_an_address_may_fail_ten_times_as_often_whoever_it_tries(gate: Gate) -> None:
    for nth in range(3 * IP_SHARE):
        assert not await gate.locked("bola")
        await gate.fail(f"guess {nth}")
    assert await gate.locked("bola") == 900
    assert not await gate.locked("bola", THERE)


async def test_an_ipv6_address_counts_with_its_network_of_64_bits(gate: Gate) -> None:
    for nth in range(3 * IP_SHARE):
        await gate.fail(f"guess {nth}", f"2001:db8::{nth:x}")
    assert await gate.locked("bola", "2001:db8::ffff") == 900
    assert not await gate.locked("bola", "2001:db8:0:1::1")


async def test_who_succeeds_is_forgiven_what_failed_at_that_account_from_there_only(
    gate: Gate,
) -> None:
    for _ in range(5):
        await gate.fail(times=2)
        await gate.succeed()
    await gate.fail(ip=THERE, times=2)
    await gate.succeed()
    await gate.fail()
    assert await gate.locked()
    await gate.fail("bola", times=2)
    await gate.succeed("eve")
    await gate.fail("bola")
    assert await gate.locked("bola")


async def test_unlocking_forgets_the_failures_of_one_account(gate: Gate) -> None:
    await gate.fail(times=3)
    await gate.fail("bola", times=3)
    assert await gate.one.forget("Ada") == 3
    assert await gate.one.forget("ada") == 0
    assert not await gate.locked()
    assert await gate.locked("bola")


async def test_an_attempt_that_was_given_up_is_not_counted(gate: Gate) -> None:
    for _ in range(5):
        with pytest.raises(asyncio.CancelledError):
            async with gate.one.attempt("ada", HERE, SETTINGS):
                raise asyncio.CancelledError
    assert not await gate.locked()


async def test_attempts_at_one_account_wait_for_each_other_in_all_processes(gate: Gate) -> None:
    inside, most = 0, 0

    async def guess(nth: int) -> None:
        nonlocal inside, most
        async with (gate.one, gate.two)[nth % 2].attempt("ada", f"192.0.2.{nth}", SETTINGS):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.01)
            inside -= 1
            raise Refused("wrong", "wrong")

    answers = await asyncio.gather(*map(guess, range(20)), return_exceptions=True)
    assert most == 1
    assert sum(isinstance(each, TooManyAttempts) for each in answers) == 17


async def test_names_are_kept_as_hashes_and_failures_for_as_long_as_they_count(
    gate: Gate, database: str
) -> None:
    await gate.fail("a password in the wrong field")
    gate.environment.time += KEPT
    await gate.fail("ada")
    assert await drop_expired(database, gate.environment.now()) == 1
    with psycopg.connect(database) as connection:
        ((account, ip),) = connection.execute("SELECT account, ip FROM ledger.attempts")
    assert (len(account), ip) == (64, HERE)


async def test_without_a_database_nobody_is_let_try(database: str) -> None:
    environment = TestWorld()
    nowhere = database.replace("dbname=", "dbname=no_").replace("/test_", "/no_")
    async with LoginThrottle(
        nowhere, Vault(derived(b"a secret"), environment), environment, timeout_seconds=0.2
    ) as attempts:
        with pytest.raises(Unavailable):
            async with attempts.attempt("ada", HERE, SETTINGS):
                raise AssertionError("the gate is closed")


class Lockout(RuleBasedStateMachine):
    """Any story of failures: the gate agrees with a list of all that ever failed."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        with psycopg.connect(self.url) as connection:
            connection.execute("TRUNCATE ledger.attempts")
        self.runner, self.gate = asyncio.Runner(), Gate(self.url)
        self.failures: list[tuple[datetime, str, str]] = []
        for each in (self.gate.one, self.gate.two):
            self.runner.run(each.__aenter__())

    def teardown(self) -> None:
        for each in (self.gate.one, self.gate.two):
            self.runner.run(each.__aexit__())
        self.runner.close()

    def wait(self, name: str, ip: str) -> int:
        """Seconds to wait, by the list alone."""
        most, lockout = self.gate.settings.max_login_attempts, self.gate.settings.lockout
        ends = [self.gate.environment.time]
        for of, allowed in ((name, most), (ip, most * IP_SHARE)):
            times = [at for at, *whom in self.failures if of in whom][-allowed:]
            if len(times) == allowed and times[-1] - times[0] < lockout:
                ends.append(times[-1] + lockout)
        return int((max(ends) - ends[0]).total_seconds())

    @rule(name=st.sampled_from(NAMES), ip=st.sampled_from(PLACES), times=st.integers(1, 12))
    def fail(self, name: str, ip: str, times: int) -> None:
        for _ in range(times):
            if self.wait(name, ip):
                assert self.runner.run(self.gate.locked(name, ip)) == self.wait(name, ip)
                return
            self.runner.run(self.gate.fail(name, ip))
            self.failures.append((self.gate.environment.time, name, ip))

    @rule(ip=st.sampled_from(PLACES), times=st.integers(10, 40))
    def try_many_names(self, ip: str, times: int) -> None:
        for _ in range(times):
            self.fail(f"guess {len(self.failures)}", ip, 1)

    @rule(name=st.sampled_from(NAMES), ip=st.sampled_from(PLACES))
    def succeed(self, name: str, ip: str) -> None:
        if not self.wait(name, ip):
            self.runner.run(self.gate.succeed(name, ip))
            self.failures = [each for each in self.failures if each[1:] != (name, ip)]

    @rule(name=st.sampled_from(NAMES))
    def unlock(self, name: str) -> None:
        forgotten = self.runner.run(self.gate.two.forget(name))
        rest = [each for each in self.failures if each[1] != name]
        assert forgotten == len(self.failures) - len(rest)
        self.failures = rest

    @rule(minutes=st.sampled_from([1, 4, 15, 59, 60]))
    def time_passes(self, minutes: int) -> None:
        self.gate.environment.time += minutes * MINUTE

    @rule(most=st.integers(3, 5), lockout=st.sampled_from([1, 15, 60]))
    def set_the_limits(self, most: int, lockout: int) -> None:
        changes = {"max_login_attempts": most, "lockout_duration": lockout}
        self.gate.settings = self.gate.settings.but(**changes)

    @invariant()
    def each_waits_as_long_as_the_list_says(self) -> None:
        for name in NAMES:
            for ip in PLACES:
                assert self.runner.run(self.gate.locked(name, ip)) == self.wait(name, ip)


def test_any_story_of_failures_locks_whom_and_as_long_as_it_should(database: str) -> None:
    machine = type("LockoutHere", (Lockout,), {"url": database})
    few = settings(
        max_examples=12,
        stateful_step_count=15,
    )
    run_state_machine_as_test(machine, settings=few)


async def test_what_may_be_done_so_often_only_is_counted_apart_from_failures(gate: Gate) -> None:
    async def note(name: str = "ada") -> None:
        await gate.one.note("code", name, 2, 15 * MINUTE)

    await note()
    await note()
    with pytest.raises(TooManyAttempts) as refusal:
        await note()
    assert refusal.value.retry_after == 900
    assert not await gate.locked()
    await note("bola")
    gate.environment.time += 15 * MINUTE
    await note()


async def test_refused_entries_are_counted_by_the_hour_for_thirty_days(
    gate: Gate, database: str
) -> None:
    async def first(outcome: str = "wrong", ip: str | None = HERE) -> bool:
        return await gate.one.count_refused("LogIn", outcome, ip)

    assert [await first() for _ in range(3)] == [True, False, False]
    assert not await first(ip=THERE), "once of each kind, from wherever"
    assert not await first(ip=None)
    assert await first("too-many-attempts")
    gate.environment.time += 60 * MINUTE
    assert await gate.two.count_refused("LogIn", "wrong", HERE)
    gate.environment.time += timedelta(days=30)
    assert await first()
    assert await drop_expired(database, gate.environment.now()) == 5
    with psycopg.connect(database) as connection:
        query = "SELECT outcome, ip, count FROM ledger.refused_entries ORDER BY hour, outcome, ip"
        assert connection.execute(query).fetchall() == [("wrong", HERE, 1)]


async def test_each_gate_counts_by_itself(gate: Gate, database: str) -> None:
    vault = Vault(derived(b"a secret of the tests"), gate.environment)
    await gate.fail(times=3)
    async with LoginThrottle(database, vault, gate.environment, scope="other") as other:
        async with other.attempt("ada", HERE, gate.settings):
            pass
        with pytest.raises(Refused, match="wrong"):
            async with other.attempt("bola", HERE, gate.settings):
                raise Refused("wrong", "wrong")
        assert await other.forget("bola") == 1
    assert await gate.locked() == 900
