"""What every request finds ready: the ledger, the read tables, and the tokens admitted before."""

import asyncio
from functools import partial
from uuid import UUID

from msgspec import Struct, field

from api.config.settings import Settings
from api.http.rate import Rates
from api.pipeline.metrics import Metrics
from api.pipeline.position import LogPosition, ReadPosition
from api.pipeline.route_index import Table
from rim_ledger.admin.login_throttle import LoginThrottle
from rim_ledger.admin.second_factor import SecondFactor
from rim_ledger.customers.phone_code import PhoneCodes
from rim_ledger.delivery.providers import Sender
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.postgres.pool import Pool
from rim_ledger.storage import Storage
from rim_ledger.system.backup_worker import BackupLocations
from rim_ledger.vault.personal_keys import Vault


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
    settings: Settings
    request_key: bytes
    cursor_key: bytes
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
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the process is to end, for answers that would go on for ever."""
