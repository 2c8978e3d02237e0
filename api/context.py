"""What every request finds ready: the ledger, the read tables, and who was let in before."""

import asyncio
import logging
import re
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct, field
from psycopg import AsyncConnection
from psycopg.errors import UndefinedTable

from api.config.backup_files import places
from api.config.database import open_vault
from api.config.delivery import providers
from api.config.settings import Settings
from api.http.call import Call, Networks
from api.http.rate import Rates
from api.pipeline import reads
from api.pipeline.command_request import Wish
from api.pipeline.disclosure import show
from api.pipeline.health import Metrics
from api.pipeline.position import READ_TIMEOUT_SECONDS, LogPosition, ReadPosition
from api.pipeline.rights import Rights
from api.pipeline.routes import Table, activity_of
from api.routes.export_store import ExportStore
from projections.catalogue import ROW_OF
from rim_ledger.admin import authentication
from rim_ledger.admin.challenge import Challenges
from rim_ledger.admin.login_throttle import LoginThrottle
from rim_ledger.admin.second_factor import SecondFactor
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.customers.phone_code import PhoneCodes
from rim_ledger.delivery.sender import Sender
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.environment import Environment, SystemEnvironment
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Invalid
from rim_ledger.engine.unit_of_work import Right, UnitOfWork
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.postgres.faults import note_fault
from rim_ledger.postgres.outage import OUTAGE, unavailable
from rim_ledger.postgres.pool import Pool
from rim_ledger.storage import Storage
from rim_ledger.system.backup_worker import BackupLocations
from rim_ledger.vault.erasure_register import ErasureRegister
from rim_ledger.vault.key_ring import Purpose
from rim_ledger.vault.living_keys import LIVING_KEYS
from rim_ledger.vault.personal_keys import Keys, Vault

TOKENS_MAX: Final = 10_000
READERS_MAX: Final = 8
POSITION: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
log = logging.getLogger("rim_ledger.api")


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

    async def caller(
        self,
        call: Call,
        token: str,
        asked: Activity,
        enter: Callable[[UnitOfWork, str], None] = authentication.enter,
    ) -> UUID:
        """Whose token this is, as far as was known lately; the decision asks again.

        Raises Unauthenticated for a token nobody has.
        """
        if caller := self.callers.get(token):
            return caller
        await self.rights(call, token, activity=asked, enter=enter)
        return self.callers[token]

    async def rights(
        self,
        call: Call,
        token: str,
        *needs: Right,
        activity: Activity,
        enter: Callable[[UnitOfWork, str], None] = authentication.enter,
    ) -> Rights:
        """Admit a caller without a command, exactly: Unauthenticated, or Forbidden.

        A denial of the activity is logged, if the store takes writes.
        """

        def look(uow: UnitOfWork) -> tuple[UUID, Rights]:
            uow.activities.append(activity)
            enter(uow, token)
            for need in needs:
                uow.need(*need)
            found = Rights(uow.stamp.actor, uow.rights or (), self.table.entities, uow.outage)
            uow.activities.clear()
            assert uow.stamp.actor.id is not None, "a session has a holder"
            return uow.stamp.actor.id, found

        self.callers[token], found = await self.ledger.read(
            look, call.stamp(self.environment), in_outage=True
        )
        while len(self.callers) > TOKENS_MAX:
            del self.callers[next(iter(self.callers))]
        return found

    async def wait_for(self, call: Call) -> None:
        """Let the read tables come as far as the request's Ledger-Position says, and note it."""
        if (text := call.header(b"ledger-position")) is None:
            return
        if not POSITION.fullmatch(text):
            words = "A position is a whole number."
            raise Invalid("invalid-position", words, "Ledger-Position")
        if (position := int(text)) > self.ledger.head and position > await self.last_position():
            words = "The ledger has not come that far."
            raise Invalid("invalid-position", words, "Ledger-Position")
        await self.tables.require(position)
        call.position = position

    async def last_position(self) -> int:
        """The last position in the store, whoever wrote it."""
        ((position,),) = await self.rows("SELECT coalesce(max(position), 0) FROM ledger.events")
        return int(position)

    async def rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """What a query finds, in one snapshot. Raises Unavailable without a database."""
        async with self.reader() as connection:
            return await (await connection.execute(query.encode(), values)).fetchall()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection to read with. Raises Unavailable without a database."""
        try:
            async with self.pool.connection() as connection:
                yield connection
        except (*OUTAGE, UndefinedTable) as error:
            raise unavailable(error) from None

    async def keys_of(self, persons: Iterable[UUID], *, sees: bool) -> Keys:
        """The keys of these persons for a reader who may see them, and None for whoever was
        erased; for others only the latter."""
        if not (wanted := list(persons)):
            return {}
        wrapped = await self.rows(LIVING_KEYS, [wanted])
        return {
            person: self.vault.unwrap(person, key) for person, key in wrapped if sees or key is None
        }

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something in the background."""
        task = asyncio.create_task(work)
        self.works.add(task)
        task.add_done_callback(self.works.discard)

    def note_unexpected(self, error: BaseException) -> None:
        """Count and log an error that is no refusal: where it was, and not what was asked."""
        self.metrics.errors.inc()
        place = "".join(traceback.format_tb(error.__traceback__))
        kind = type(error).__name__
        log.error("unexpected %s at\n%s", kind, place)
        note = asyncio.create_task(note_fault(self.dispatch.url, self.environment, f"api: {kind}"))
        self.notes.add(note)
        note.add_done_callback(self.notes.discard)

    async def row_after(self, call: Call, wish: Wish, receipt: Receipt) -> bytes | None:
        """The row as this command left it; None when that takes long, or is not the caller's.
        Whoever is shown persons in the clear leaves a line in the log, also at a replay, and
        though the command has ended their session."""
        row = ROW_OF.get(wish.route.kind)
        if row is None or self.table.reading.get(row) not in wish.given:
            return None
        if not await self.tables.wait(receipt.position):
            return None
        rights = Rights(wish.actor, wish.given, self.table.entities)
        named = {"id": str(receipt.id)}
        asked = activity_of("Read", wish.route.path, named)
        answer = partial(reads.shown, self, row, named)
        text = await show(self, call, rights, asked, answer, shows=row.SHOWS_PERSONS)
        return text.encode() if text else None


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
        context.begin(ExportStore(context).sweep_for_ever())
        yield context
        for work in [*context.works]:
            work.cancel()
        await asyncio.gather(*context.works, return_exceptions=True)
        await asyncio.gather(dispatch.drain(), phone_codes.drain())
        await asyncio.gather(*context.notes)
