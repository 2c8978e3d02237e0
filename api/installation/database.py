"""The database that every process of the service shares: the one that is named, or our own."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from api.installation.settings import Settings
from projections import rebuild
from rim_ledger.admin.bootstrap import bootstrap
from rim_ledger.adopted_secrets import adopt
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.core import Refused
from rim_ledger.erasures import Erasures
from rim_ledger.key_ring import WrongSecret, begin_event_macs, open_ring
from rim_ledger.ledger import Ledger
from rim_ledger.migrate import migrate
from rim_ledger.postgres import EmbeddedPostgres
from rim_ledger.vault import Vault
from rim_ledger.world import RealWorld

VERSION_MIN: Final = 15
CONNECT: Final = 5
"""Seconds to wait for an answer."""


class Unfit(Exception):
    """The command cannot go on, for a reason that people can mend; the message says how."""


@contextlib.contextmanager
def database(settings: Settings) -> Iterator[str]:
    """The URL of the database while in the block.

    Without DATABASE_URL a PostgreSQL of our own is started or joined; the last process to leave
    stops it, so it also ends when the process that started it was killed.
    """
    if settings.database_url is None:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with EmbeddedPostgres(settings.home / "postgres") as url:
            yield url
    else:
        _check(settings.database_url)
        yield settings.database_url


@contextlib.contextmanager
def filled_database(settings: Settings) -> Iterator[str]:
    """The same, for those who need its tables to be there."""
    with database(settings) as url:
        with psycopg.connect(url, connect_timeout=CONNECT) as connection:
            found = connection.execute("SELECT to_regclass('ledger.key_ring')").fetchone()
            if found == (None,):
                raise Unfit("this database holds no ledger of this version: run rim-ledger init")
        # A wrong secret stops us here, before anything is begun.
        if open_vault(settings, url).event_mac is None:
            raise Unfit("the events of this database carry no codes yet: run rim-ledger init")
        yield url


def open_vault(settings: Settings, url: str) -> Vault:
    """What opens personal words and shared secrets. Raises Unfit when the master secret is not the
    one that the ledger was written with."""
    world = RealWorld()
    try:
        return Vault(open_ring(url, settings.secrets, world), world)
    except WrongSecret as error:
        raise Unfit(str(error)) from None


def open_ledger(settings: Settings, url: str) -> Ledger:
    """The ledger in a database, for an `async with`."""
    world = RealWorld()
    erased = Erasures(settings.home, world).note
    return Ledger(url, ENTITY_OF, open_vault(settings, url), world, erased)


def prepare(settings: Settings, url: str, first_login: Callable[[str], None]) -> list[str]:
    """Bring a database up to date, with its first admin and its read tables; what was lacking.

    `first_login` is told the password of the first admin, if one has to be made up, before it
    counts. What that raises leaves no such admin.
    """
    lacking = [f"migration {name}" for name in migrate(url)]
    open_vault(settings, url)  # A wrong secret stops us here.
    if begin_event_macs(url, settings.secrets, RealWorld()):
        lacking.append("codes that authenticate events")
    vault = open_vault(settings, url)
    if asyncio.run(_begin(settings, url, first_login)):
        lacking.append("the first admin")
    if asyncio.run(rebuild.prepare(url, vault)):
        lacking.append("read tables of this version")
    return lacking


async def _begin(settings: Settings, url: str, first_login: Callable[[str], None]) -> bool:
    """Make what a ledger begins with; whether a first admin was made under a password of ours."""
    given = settings.admin_password
    told = list[str]()

    def tell(password: str) -> None:
        first_login(password)
        told.append(password)

    async with open_ledger(settings, url) as ledger:
        await adopt(url, ledger, open_vault(settings, url), RealWorld())
        await Erasures(settings.home, RealWorld()).settle(url, ledger)
        try:
            password = given.get_secret_value() if given else None
            made = await bootstrap(ledger, password, RealWorld(), tell)
        except Refused as refusal:
            raise Unfit(f"RIM_ADMIN_PASSWORD is not right: {refusal.detail}") from refusal
    if told and made is None:
        words = "another process has just made the first admin: take the password that it shows"
        raise Unfit(f"{words}, and start this again")
    return made is not None


def answers(url: str) -> bool:
    """Whether the database takes connections now."""
    ping = pq.PGconn.ping(make_conninfo(url, connect_timeout=2).encode())
    return bool(ping == pq.Ping.OK)


def shown(url: str) -> str:
    """A URL without its password, for people."""
    parts = conninfo_to_dict(url)
    where = f":{parts['port']}" if "port" in parts else ""
    return f"{parts.get('dbname', '')} at {parts.get('host', 'localhost')}{where}"


def first_line(error: BaseException) -> str:
    """What an error says, without its hints and positions."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _check(url: str) -> None:
    try:
        with psycopg.connect(url, connect_timeout=CONNECT) as connection:
            major = connection.info.server_version // 10_000
    except psycopg.OperationalError as error:
        raise Unfit(f"DATABASE_URL cannot be reached: {first_line(error)}") from error
    if major < VERSION_MIN:
        raise Unfit(f"DATABASE_URL is PostgreSQL {major}; this needs {VERSION_MIN} or newer")
