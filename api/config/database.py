"""The database that all processes share: that of DATABASE_URL, or an embedded PostgreSQL."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import InsufficientPrivilege
from pydantic import SecretStr

from api.config.settings import Settings, variable
from projections.follow import rebuild
from projections.tables import schema
from rim_ledger.admin.bootstrap import OFFICER, USERNAME, bootstrap, create_officer
from rim_ledger.approvals.proposal import Proposal
from rim_ledger.approvals.proposal_commands import erase_ended
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.adopted_secrets import adopt, adopt_names
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork, Work
from rim_ledger.lending.user_commands import erase_again
from rim_ledger.operator_error import OperatorError
from rim_ledger.postgres.migrations import migrate
from rim_ledger.postgres.server import OWNER, SERVICE, EmbeddedPostgres
from rim_ledger.vault.erasure_register import ErasureRegister
from rim_ledger.vault.key_ring import begin_event_macs, open_ring
from rim_ledger.vault.personal_keys import Vault

VERSION_MIN: Final = 15
NO_LEDGER: Final = "this database holds no ledger of this version: run rim-ledger init"
NO_MACS: Final = "the events of this database carry no codes yet: run rim-ledger init"
CONNECT_TIMEOUT_SECONDS: Final = 5

LOG: Final = """
SELECT to_regclass('ledger.key_ring'),
       has_table_privilege(to_regclass('ledger.events'), 'SELECT')"""
"""The ledger, null if there is none, and whether its log may be read, null if there is no log."""


@contextlib.contextmanager
def database(settings: Settings, *, owner: bool = False) -> Iterator[str]:
    """Give the database's URL while in the block: for the service's login, which can append to the
    log but never change it, or for the owner of the tables.

    Without DATABASE_URL an embedded PostgreSQL is started or joined; the last process to leave
    stops it, even if the one that started it was killed.
    """
    if settings.database_url is None:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        role = OWNER if owner else SERVICE
        with EmbeddedPostgres(settings.home / "postgres", role=role) as url:
            yield url
    else:
        url = (owner and settings.database_owner_url) or settings.database_url
        _check(url)
        yield url


@contextlib.contextmanager
def log_database(settings: Settings) -> Iterator[str]:
    """The same for readers of the log: needs no master secret and only the rights of rim_reader,
    and writes nothing to RIM_HOME."""
    place = settings.home / "postgres"
    if settings.database_url is None and not place.is_dir():
        raise OperatorError(f"there is no ledger in {settings.home}: set RIM_HOME, or DATABASE_URL")
    with contextlib.ExitStack() as stack:
        url = None if os.access(place, os.W_OK) else EmbeddedPostgres.running(place)
        if settings.database_url or url is None:
            url = stack.enter_context(database(settings))
        try:
            with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
                ((found, readable),) = connection.execute(LOG).fetchall()
        except InsufficientPrivilege:
            found, readable = "ledger", False
        if found is None:
            raise OperatorError(NO_LEDGER)
        if readable is False:
            words = "this login may not read the log: as the owner of the database, grant it"
            raise OperatorError(f"{words} the role rim_reader (docs/how-to/export.md)")
        yield url


@contextlib.contextmanager
def filled_database(settings: Settings, *, owner: bool = False) -> Iterator[str]:
    """The same, for commands that need its tables to exist."""
    with database(settings, owner=owner) as url:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
            found = connection.execute("SELECT to_regclass('ledger.key_ring')").fetchone()
            if found == (None,):
                raise OperatorError(NO_LEDGER)
        # A wrong secret fails here, before anything is written.
        if open_vault(settings, url).event_mac is None:
            raise OperatorError(NO_MACS)
        yield url


@contextlib.contextmanager
def fitting_database(settings: Settings, *, owner: bool = False) -> Iterator[str]:
    """The same, for processes of the service: the tables must be of this program version.

    Raises Outdated.
    """
    with filled_database(settings, owner=owner) as url:
        asyncio.run(_require_schema(url, schema.require))
        yield url


async def _require_schema(url: str, require: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    seconds = CONNECT_TIMEOUT_SECONDS
    async with await AsyncConnection.connect(url, connect_timeout=seconds) as connection:
        await require(connection)


def open_vault(settings: Settings, url: str) -> Vault:
    """Open the vault of personal data and secrets. Raises WrongSecret."""
    environment = SystemEnvironment()
    return Vault(open_ring(url, settings.secrets, environment), environment)


def open_ledger(settings: Settings, url: str) -> Ledger:
    """The ledger in a database, for `async with`."""
    environment = SystemEnvironment()
    erased = ErasureRegister(settings.home, environment).note
    return Ledger(url, ENTITY_OF, open_vault(settings, url), environment, erased)


def update_ledger(url: str) -> list[str]:
    """Apply missing migrations to an existing ledger; gives their names.

    A database without a ledger is left alone. Raises Outdated if another version of the program has
    taken over.
    """
    asyncio.run(_require_schema(url, schema.require_not_replaced))
    with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
        found = connection.execute("SELECT to_regclass('ledger.checkpoints')").fetchone()
    return [f"migration {name}" for name in migrate(url)] if found and found[0] else []


def prepare(settings: Settings, url: str, first_login: Callable[[str, str], None]) -> list[str]:
    """Create or migrate a ledger, with its first admin and read tables; gives what was missing.

    `first_login` gets username and password of each admin with a generated password (the first, and
    in development a loan officer) before they are committed; if it raises, none is created. Raises
    Outdated if another version of the program has taken over.
    """
    close_directories(settings.home)
    asyncio.run(_require_schema(url, schema.require_not_replaced))
    lacking = [f"migration {name}" for name in migrate(url)]
    open_vault(settings, url)  # A wrong secret fails here.
    if begin_event_macs(url, settings.secrets, SystemEnvironment()):
        lacking.append("codes that authenticate events")
    vault = open_vault(settings, url)
    lacking += asyncio.run(_begin(settings, url, first_login))
    if asyncio.run(rebuild.prepare(url, vault)):
        lacking.append("read tables of this version")
    return lacking


def close_directories(home: Path) -> None:
    """Restrict directories that earlier versions left readable by all: attachments and backups."""
    for place in (home / "attachments", home / "backups"):
        if place.is_dir() and place.stat().st_mode & 0o077:
            for file in place.iterdir():
                file.chmod(0o600)
            place.chmod(0o700)


async def _begin(
    settings: Settings, url: str, first_login: Callable[[str, str], None]
) -> list[str]:
    """Make the first records of a ledger; gives the admins whose passwords were generated."""
    people = [("the first admin", USERNAME, "admin_password", bootstrap)]
    if not settings.production:
        people.insert(0, ("a loan officer", OFFICER, "officer_password", create_officer))
    made = list[str]()
    async with open_ledger(settings, url) as ledger:
        for take_over in (adopt, adopt_names):
            await take_over(url, ledger)
        await ErasureRegister(settings.home, SystemEnvironment()).settle(url, ledger, _erase_again)
        for what, username, setting, take_on in people:
            given: SecretStr | None = getattr(settings, setting)
            passwords = list[str]()

            def report(password: str, username: str = username, to: list[str] = passwords) -> None:
                first_login(username, password)
                to.append(password)

            try:
                password = given.get_secret_value() if given else None
                made_up = await take_on(ledger, password, SystemEnvironment(), report)
            except Refused as refusal:
                raise OperatorError(
                    f"{variable(setting)} is not right: {refusal.detail}"
                ) from refusal
            if passwords and made_up is None:
                words = f"another process has just made {what}: take the password that it shows"
                raise OperatorError(f"{words}, and start this again")
            made += [what] if made_up else []
    return made


def _erase_again(id: UUID) -> Work:
    """The decision that destroys the key of a person, or of an ended proposal, again."""

    def work(uow: UnitOfWork) -> UUID:
        again = erase_ended if uow.find(Proposal, id) else erase_again
        return again(id)(uow)

    return work


def accepts_connections(url: str) -> bool:
    """True if the database accepts connections."""
    ping = pq.PGconn.ping(make_conninfo(url, connect_timeout=2).encode())
    return bool(ping == pq.Ping.OK)


def without_password(url: str) -> str:
    """A URL without its password."""
    parts = conninfo_to_dict(url)
    where = f":{parts['port']}" if "port" in parts else ""
    return f"{parts.get('dbname', '')} at {parts.get('host', 'localhost')}{where}"


def first_line(error: BaseException) -> str:
    """The first line of an error, without hints and positions."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _check(url: str) -> None:
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
            major = connection.info.server_version // 10_000
    except psycopg.OperationalError as error:
        raise OperatorError(f"DATABASE_URL cannot be reached: {first_line(error)}") from error
    if major < VERSION_MIN:
        raise OperatorError(
            f"DATABASE_URL is PostgreSQL {major}; this needs {VERSION_MIN} or newer"
        )
