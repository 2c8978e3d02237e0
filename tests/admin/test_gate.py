"""The gate on the real ledger: logging in, limits, sessions that end at once, races."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Self, TypeVar
from uuid import UUID

import psycopg
import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from rim_ledger.admin import authentication
from rim_ledger.admin.admin_commands import AssignRole, ChangePassword, LogOut, SuspendAdmin
from rim_ledger.admin.admin_role import SUPERADMIN, AdminRole, CreateRole, EditRole, builtin_id
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.authentication import LoggedIn, LogIn, enter
from rim_ledger.admin.bootstrap import BUILT_IN, FIRST_ADMIN, bootstrap, create_officer
from rim_ledger.admin.login_throttle import LoginThrottle, TooManyAttempts
from rim_ledger.admin.permissions import permissions
from rim_ledger.admin.security_settings import DEFAULTS
from rim_ledger.admin.session import token_hash
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.aggregate import Actor, Stamp
from rim_ledger.engine.command import perform
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.ledger import Admit, Ledger
from rim_ledger.engine.refusals import Invalid, Refused, Unauthenticated
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.system.config import KNOWN
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault
from tests.admin.staff import PASSWORD, creation
from tests.sample import STAMP

T = TypeVar("T")


class Clock(SystemEnvironment):
    """A world whose time stands, with hours that can be let pass."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead, self._begun = timedelta(0), datetime.now(UTC)

    def now(self) -> datetime:
        return self._begun + self.ahead


class Process(Ledger):
    """What decides in an API process: its ledger, and the attempts that all of them count."""

    def __init__(self, url: str, environment: Clock) -> None:
        vault = Vault(derived(b"a secret of the tests"), environment)
        super().__init__(url, ENTITY_OF, vault, environment)
        self.environment = environment
        self.attempts = LoginThrottle(url, vault, environment, timeout_seconds=60.0)

    def stamp(self) -> Stamp:
        return replace(STAMP, at=self.environment.now())

    async def __aenter__(self) -> Self:
        await self.attempts.__aenter__()
        return await super().__aenter__()

    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        await self.attempts.__aexit__(*error)


@asynccontextmanager
async def a_process(url: str) -> AsyncIterator[tuple[Process, Clock]]:
    """A ledger with a gate before it, and its clock."""
    environment = Clock()
    async with Process(url, environment) as opened:
        yield opened, environment


async def log_in(process: Process, username: str, password: SecretStr = PASSWORD) -> LoggedIn:
    form = LogIn(username=username, password=password)
    return await authentication.log_in(
        process, process.attempts, process.stamp(), form, process.environment
    )


def by(session: LoggedIn) -> Admit:
    return lambda uow: enter(uow, token_hash(session.token))


async def asks(ledger: Process, session: LoggedIn) -> Receipt:
    """A request that changes nothing: the admin looks at their own role."""

    def work(uow: UnitOfWork) -> UUID:
        assert uow.stamp.actor.type == "admin"
        return uow.read(AdminRole, SUPERADMIN).id

    return await ledger.submit(work, ledger.stamp(), admit=by(session))


async def test_the_beginning_makes_the_roles_and_one_superadmin_once(database: str) -> None:
    async with a_process(database) as (ledger, environment):
        password = await bootstrap(ledger, None, environment)
        assert password is not None
        assert len(password) == 24
        assert await bootstrap(ledger, None, environment) is None
        assert await bootstrap(ledger, "another given password", environment) is None
        session = await log_in(ledger, "admin", SecretStr(password))
        assert (session.admin_id, session.role) == (FIRST_ADMIN, "superadmin")
        assert session.expires_at - environment.now() == timedelta(hours=12)
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT name, count(*) FROM ledger.events GROUP BY name")
        assert dict(rows.fetchall()) == {
            "AdminRoleCreated": len(BUILT_IN),
            "AdminRoleGranted": 1,
            "AdminCreated": 1,
            "AdminLoggedIn": 1,
            "SystemConfigSet": len(KNOWN),
            "SecuritySettingsChanged": 1,
            "BackupSettingsChanged": 1,
            "OutboundResumed": 1,
        }


async def test_a_loan_officer_is_made_beside_the_first_admin_and_never_later(database: str) -> None:
    async with a_process(database) as (ledger, environment):
        password = await create_officer(ledger, None, environment)
        assert password is not None
        assert await create_officer(ledger, None, environment) is None
        session = await log_in(ledger, "officer", SecretStr(password))
        assert session.role == "loan_officer"
        assert await bootstrap(ledger, None, environment) is not None
        assert await create_officer(ledger, None, environment) is None


async def test_a_ledger_that_has_its_admin_is_given_no_officer(database: str) -> None:
    async with a_process(database) as (ledger, environment):
        await bootstrap(ledger, None, environment)
        assert await create_officer(ledger, None, environment) is None
        with pytest.raises(Unauthenticated):
            await log_in(ledger, "officer")


async def test_builtin_roles_of_before_are_given_rights_and_bounds_unless_an_admin_edited_them(
    database: str,
) -> None:
    async with a_process(database) as (ledger, environment):
        for name in ("loan_officer", "finance", "auditor"):
            before = BUILT_IN[name][1] - {("loans.fees", "write"), ("loans.fees", "read")}
            made = CreateRole(name=name, permissions=permissions(before))
            await ledger.execute(AdminRole, builtin_id(name), made, STAMP)
        edited, itself = EditRole(description="Ours."), Actor(type="admin", id=environment.new_id())
        await ledger.execute(AdminRole, builtin_id("finance"), edited, replace(STAMP, actor=itself))
        await ledger.execute(AdminRole, builtin_id("auditor"), edited, STAMP)
        for _ in range(2):
            await bootstrap(ledger, None, environment)
    with psycopg.connect(database) as connection:
        given = connection.execute(
            "SELECT stream_id, data ->> 'maxAmount', data ->> 'maxLimit' FROM ledger.event_log"
            " WHERE name = 'AdminRoleChanged' AND data -> 'maxAmount' IS NOT NULL"
        )
        assert set(given) == {
            (builtin_id("loan_officer"), "20000.00", "20000.00"),
            (builtin_id("auditor"), "0.00", "0.00"),
        }
        fees = connection.execute(
            "SELECT stream_id FROM ledger.event_log WHERE name = 'AdminRoleChanged'"
            " AND data ->> 'permissions' LIKE '%loans.fees%'"
        )
        assert set(fees) == {(builtin_id("loan_officer"),), (builtin_id("auditor"),)}


async def test_two_processes_that_begin_at_once_tell_one_password(database: str) -> None:
    async def story() -> list[str | None]:
        environment = Clock()
        async with Process(database, environment) as one, Process(database, environment) as two:
            told = await asyncio.gather(
                bootstrap(one, None, environment), bootstrap(two, None, environment)
            )
            (password,) = [each for each in told if each]
            assert await log_in(two, "admin", SecretStr(password))
            return told

    assert (await story()).count(None) == 1


async def test_a_weak_given_password_stops_the_beginning(database: str) -> None:
    async with a_process(database) as (ledger, environment):
        with pytest.raises(Invalid, match="12 to 128 characters"):
            await bootstrap(ledger, "too short", environment)


async def test_a_session_admits_until_it_is_ended(database: str) -> None:
    async with a_process(database) as (ledger, environment):
        await bootstrap(ledger, PASSWORD.get_secret_value(), environment)
        one, two = [await log_in(ledger, "ADMIN") for _ in range(2)]
        assert one.token != two.token
        assert await asks(ledger, one)
        out = LogOut(session=token_hash(one.token))
        await ledger.submit(lambda uow: perform(uow, AdminUser, FIRST_ADMIN, out), ledger.stamp())
        with pytest.raises(Unauthenticated):
            await asks(ledger, one)
        assert await asks(ledger, two)
        environment.ahead = timedelta(hours=12)
        with pytest.raises(Unauthenticated):
            await asks(ledger, two)
    with psycopg.connect(database) as connection:
        ((bodies,),) = connection.execute("SELECT string_agg(body, ' ') FROM ledger.events")
    assert not any(word in bodies for word in (PASSWORD.get_secret_value(), "argon2", "@rim"))


async def test_rights_and_name_come_from_the_role_as_it_is_now(database: str) -> None:
    seen: list[tuple[Actor, bool, bool]] = []
    async with a_process(database) as (ledger, environment):
        await bootstrap(ledger, PASSWORD.get_secret_value(), environment)
        auditor = await creation("eve", builtin_id("auditor")).hashed()
        eve = (await ledger.execute(AdminUser, None, auditor, ledger.stamp())).id
        session = await log_in(ledger, "eve")

        def work(uow: UnitOfWork) -> UUID:
            may = uow.may("loans", "read"), uow.may("loans", "write")
            seen.append((uow.stamp.actor, *may))
            return uow.read(AdminUser, eve).id

        await ledger.submit(work, ledger.stamp(), admit=by(session))
        actor = Actor(type="admin", id=eve, name="eve", role="auditor")
        assert seen[-1] == (actor, True, False)


async def test_a_suspended_admin_is_out_at_once_and_in_another_process_too(database: str) -> None:
    environment = Clock()
    async with Process(database, environment) as one, Process(database, environment) as two:
        await bootstrap(one, PASSWORD.get_secret_value(), environment)
        form = await creation("ada", SUPERADMIN).hashed()
        ada = (await one.execute(AdminUser, None, form, one.stamp())).id
        session = await log_in(two, "ada")
        assert await asks(one, session)
        assert await asks(two, session)
        await one.execute(AdminUser, ada, SuspendAdmin(reason="lost a laptop"), one.stamp())
        for each in (one, two):
            with pytest.raises(Unauthenticated):
                await asks(each, session)
            with pytest.raises(Unauthenticated) as refusal:
                await log_in(each, "ada")
            assert refusal.value.code == "invalid-credentials"


async def test_unknown_names_and_wrong_passwords_look_alike_and_are_limited(database: str) -> None:
    wrong = SecretStr("a guess")
    async with a_process(database) as (ledger, environment):
        await bootstrap(ledger, PASSWORD.get_secret_value(), environment)
        for name in ("admin", "nobody"):
            details = set()
            for _ in range(DEFAULTS.max_login_attempts):
                with pytest.raises(Unauthenticated) as refusal:
                    await log_in(ledger, name, wrong)
                details.add((refusal.value.code, refusal.value.detail))
            with pytest.raises(TooManyAttempts) as limit:
                await log_in(ledger, name)
            assert details == {("invalid-credentials", "The user name or the password is wrong.")}
            assert limit.value.retry_after == 900
        environment.ahead = timedelta(minutes=15)
        assert await log_in(ledger, "admin")


async def test_guesses_made_all_at_once_are_limited_too(database: str) -> None:
    async with a_process(database) as (ledger, environment):
        await bootstrap(ledger, PASSWORD.get_secret_value(), environment)
        guesses = [SecretStr(f"guess {n}") for n in range(8)] + [PASSWORD]
        tries = (log_in(ledger, "admin", each) for each in guesses)
        answer = await asyncio.gather(*tries, return_exceptions=True)
    kinds = [type(each) for each in answer]
    assert kinds == [Unauthenticated] * DEFAULTS.max_login_attempts + [TooManyAttempts] * 4


async def test_changing_the_password_needs_the_present_one_and_ends_all_sessions(
    database: str,
) -> None:
    new = SecretStr("a horse that writes")
    async with a_process(database) as (ledger, environment):
        await bootstrap(ledger, PASSWORD.get_secret_value(), environment)
        session = await log_in(ledger, "admin")

        async def change(current: SecretStr) -> Receipt:
            form = ChangePassword(current_password=current, password=new)
            admit = by(session)
            return await authentication.change_password(
                ledger, ledger.attempts, ledger.stamp(), FIRST_ADMIN, form, admit=admit
            )

        with pytest.raises(Invalid, match="not your present password"):
            await change(SecretStr("a guess"))
        await change(PASSWORD)
        with pytest.raises(Unauthenticated):
            await asks(ledger, session)
        with pytest.raises(Unauthenticated):
            await log_in(ledger, "admin")
        assert await log_in(ledger, "admin", new)


@pytest.mark.parametrize("how", ["suspend", "demote"])
async def test_two_superadmins_who_demote_each_other_at_once_leave_one(
    database: str, how: str
) -> None:
    async def story() -> list[Receipt | BaseException]:
        environment = Clock()
        async with Process(database, environment) as one, Process(database, environment) as two:
            await bootstrap(one, PASSWORD.get_secret_value(), environment)
            form = await creation("ada", SUPERADMIN).hashed()
            ada = (await one.execute(AdminUser, None, form, one.stamp())).id
            demote = AssignRole(role_id=builtin_id("auditor"))
            command = SuspendAdmin(reason="a quarrel") if how == "suspend" else demote
            return await asyncio.gather(
                one.execute(AdminUser, ada, command, one.stamp()),
                two.execute(AdminUser, FIRST_ADMIN, command, two.stamp()),
                return_exceptions=True,
            )

    answers = await story()
    assert sum(isinstance(each, Receipt) for each in answers) == 1
    assert [each.code for each in answers if isinstance(each, Refused)] == ["last-superadmin"]
