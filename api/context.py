"""What every request finds ready: the ledger, the read tables, and who was let in before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from uuid import UUID

import msgspec
from msgspec import Struct, field

from api.config.backup_files import places
from api.config.database import open_vault
from api.config.delivery import providers
from api.config.settings import Settings
from api.http.call import Networks
from api.http.rate import Rates
from api.pipeline.background import begin
from api.pipeline.health import Metrics
from api.pipeline.position import READ_TIMEOUT_SECONDS, LogPosition, ReadPosition
from api.pipeline.routes import Table
from api.routes.export_store import ExportStore
from rim_ledger.admin.challenge import Challenges
from rim_ledger.admin.login_throttle import LoginThrottle
from rim_ledger.admin.second_factor import SecondFactor
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.customers.phone_code import PhoneCodes
from rim_ledger.delivery.sender import Sender
from rim_ledger.engine.environment import Environment, SystemEnvironment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.postgres.pool import Pool
from rim_ledger.storage import Storage
from rim_ledger.system.backup_worker import BackupLocations
from rim_ledger.vault.erasure_register import ErasureRegister
from rim_ledger.vault.key_ring import Purpose
from rim_ledger.vault.personal_keys import Vault

READERS_MAX: Final = 8


class Context(Struct):
    """The parts of one API process."""

    url: str
    ledger: Ledger
    attempts: LoginThrottle
    vault: Vault
    environment: Environment
    pool: Pool
    tables: ReadPosition
    log: LogPosition
    public_url: str
    late_seconds_max: int
    test_recipients: frozenset[str]
    """Phones and e-mails, case-folded, that test messages may go to beside the caller's own."""
    request_key: bytes
    cursor_key: bytes
    proxies: Networks
    metrics: Metrics
    rates: Rates
    table: Table
    dispatch: Dispatch
    storage: Storage
    sender: Sender
    second_factor: SecondFactor
    places: BackupLocations
    phone_codes: PhoneCodes
    trials: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, 4))
    """Room for messages that are tried: each has a connection of its own."""
    callers: dict[str, UUID] = {}
    notes: set[asyncio.Task[None]] = set()
    """Unexpected errors that are being noted."""
    works: set[asyncio.Task[None]] = set()
    """What is done in the background, and is given up when the process ends."""
    stopping: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    """Set when the process is to end, for answers that would go on for ever."""


@asynccontextmanager
async def open_context(settings: Settings, table: Table) -> AsyncIterator[Context]:
    """Connect to everything, and close it in order."""
    environment = SystemEnvironment()
    url = settings.database_url
    assert url, "whoever opens the desk has found or started a database"
    vault = open_vault(settings, url)
    pool = Pool(
        url, min_size=1, max_size=READERS_MAX, timeout=READ_TIMEOUT_SECONDS, autocommit=True
    )
    async with (
        Ledger(
            url, ENTITY_OF, vault, environment, ErasureRegister(settings.home, environment).note
        ) as ledger,
        LoginThrottle(url, vault, environment) as attempts,
        LoginThrottle(url, vault, environment, gate="borrowers") as at_codes,
        pool,
        ReadPosition(url) as tables,
        LogPosition(url) as log_position,
    ):
        through = providers(settings, url, ledger, environment)
        dispatch, sender = (
            Dispatch(url, ledger, through, environment),
            Sender(through, ledger, environment),
        )
        challenges = Challenges(pool, ledger.known.event_mac)
        phone_codes = PhoneCodes(ledger, at_codes, challenges, sender, environment)
        context = Context(
            url=url,
            ledger=ledger,
            attempts=attempts,
            vault=vault,
            environment=environment,
            pool=pool,
            tables=tables,
            log=log_position,
            public_url=settings.public_url,
            late_seconds_max=settings.late_seconds_max,
            test_recipients=frozenset(each.casefold() for each in settings.test_recipients),
            request_key=vault.key(Purpose.REQUEST),
            cursor_key=vault.key(Purpose.CURSOR),
            proxies=settings.trusted_proxies,
            metrics=Metrics(),
            rates=Rates(settings.rate_limit),
            table=table,
            dispatch=dispatch,
            storage=Storage(settings.storage_url),
            sender=sender,
            second_factor=SecondFactor(ledger, attempts, challenges, sender, environment),
            places=places(settings),
            phone_codes=phone_codes,
        )
        begin(context, ExportStore(context).sweep_for_ever())
        yield context
        for work in [*context.works]:
            work.cancel()
        await asyncio.gather(*context.works, return_exceptions=True)
        await asyncio.gather(dispatch.drain(), phone_codes.drain())
        await asyncio.gather(*context.notes)
