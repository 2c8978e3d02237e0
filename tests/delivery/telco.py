"""A telco over real HTTP with moods: it fails, is late, hangs up, and counts what it delivered."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from rim_ledger import schedule
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.delivery.egress import Egress
from rim_ledger.delivery.endpoint import endpoint_of
from rim_ledger.delivery.providers import Providers
from rim_ledger.delivery.simulated import SimulatedTelco
from rim_ledger.engine.aggregate import SYSTEM, A, Stamp
from rim_ledger.engine.environment import Environment, SystemEnvironment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RequestLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationTested,
    IntegrationType,
    TestResult,
)
from rim_ledger.system.integration_commands import (
    ActivateIntegration,
    CreateIntegration,
    TestIntegration,
)
from rim_ledger.values import Network
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault
from tests.delivery.http_server import Request, a_provider, answer

SECRET, KEY = "a-secret-of-the-telco", "a-key-of-the-telco"


class Mood(StrEnum):
    """What becomes of a top-up, and what is said of it at once."""

    DELIVERS = "delivers"
    DECLINES = "declines"
    PENDING = "delivers and says that it will"
    HANGS_UP = "delivers and hangs up"
    BREAKS = "delivers and answers 500"
    BABBLES = "delivers and answers with a page"
    LATE = "delivers when we have long stopped waiting"
    AFTERWARDS = "hangs up, and delivers afterwards"
    LOSES = "hangs up and delivers nothing"
    REFUSES = "answers 503 and delivers nothing"
    ANOTHER = "delivers nothing and speaks of another reference"


UNKNOWN = [each for each in Mood if each not in (Mood.DELIVERS, Mood.DECLINES)]
LOST = (Mood.LOSES, Mood.REFUSES, Mood.ANOTHER)


class MoodyTelco:
    """Its book counts deliveries by reference: two of one reference are what must never be."""

    def __init__(self, mood: Callable[[str], Mood]) -> None:
        """The mood follows from the reference."""
        self.mood = mood
        self.delivered, self.heard = Counter[str](), Counter[str]()
        self.requests: list[Request] = []
        self.away = False
        """Whether every answer is a 503."""
        self._on_the_way, self._arrive = list[asyncio.Event](), asyncio.Event()
        self._afterwards: list[str] = []

    async def all_arrive(self) -> None:
        """What was late is delivered now."""
        self._arrive.set()
        await asyncio.gather(*(each.wait() for each in self._on_the_way))
        self.delivered.update(self._afterwards)
        self._afterwards.clear()
        self._arrive.clear()

    async def answer(self, request: Request) -> bytes | None:
        self.requests.append(request)
        if self.away:
            return answer(503)
        if request.method == "POST":
            return await self._top_up(json.loads(request.body))
        return self._query(request.path.rpartition("/")[2])

    async def _top_up(self, order: dict[str, Any]) -> bytes | None:
        reference = order["reference"]
        mood, landed = self.mood(reference), asyncio.Event()
        self.heard[reference] += 1
        if mood is Mood.LATE:
            self._on_the_way.append(landed)
            await self._arrive.wait()
        if mood is Mood.AFTERWARDS:
            self._afterwards.append(reference)
        elif mood not in (*LOST, Mood.DECLINES):
            self.delivered[reference] += 1
        landed.set()
        return self._answer(mood, reference)

    def _answer(self, mood: Mood, reference: str) -> bytes | None:
        match mood:
            case Mood.DECLINES:
                return self.says(reference, "failed", reason="no-such-line")
            case Mood.PENDING:
                return self.says(reference, "pending")
            case Mood.BREAKS:
                return answer(500, b'{"status": "failed"}')
            case Mood.REFUSES:
                return answer(503)
            case Mood.BABBLES:
                return answer(200, b"<html>failed</html>")
            case Mood.ANOTHER:
                return self.says("DSB-OTHER-1", "failed")
            case Mood.HANGS_UP | Mood.AFTERWARDS | Mood.LOSES:
                return None
        return self.says(reference, "delivered", telcoReference=f"T-{reference}")

    def _query(self, reference: str) -> bytes:
        if self.delivered[reference]:
            return self.says(reference, "delivered", telcoReference=f"T-{reference}")
        return self.says(reference, "absent")

    @staticmethod
    def says(reference: str, status: str, **more: str) -> bytes:
        body = {"reference": reference, "status": status, **more}
        return answer(200, json.dumps(body).encode())


class LaterWorld(SystemEnvironment):
    """The real world, `ahead` of its time."""

    ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class Lender:
    """A ledger whose MTN airtime goes through one integration."""

    def __init__(self, ledger: Ledger, dispatch: Dispatch, environment: LaterWorld) -> None:
        self.ledger, self.dispatch, self.environment = ledger, dispatch, environment
        self.integration = UUID(int=0)

    def stamp(self) -> Stamp:
        return Stamp(at=self.environment.now(), actor=SYSTEM)

    async def connect(self, url: str) -> None:
        wish = CreateIntegration(
            name="VTU",
            type=IntegrationType.TELECOM,
            provider="vtu",
            base_url=url,
            config={"networks": ["MTN"]},
            api_key=SecretStr(KEY),
            api_secret=SecretStr(SECRET),
        )
        made = await self.ledger.execute(ApiIntegration, None, wish, self.stamp())
        self.integration = made.id
        await self.test(TestResult.SUCCESS)
        await self.wish(ActivateIntegration())

    async def test(self, result: TestResult) -> None:
        lines = []

        def look(uow: Any) -> UUID:
            lines.append(endpoint_of(uow, uow.read(ApiIntegration, self.integration)))
            return self.integration

        await self.ledger.submit(look, self.stamp())
        await self.wish(TestIntegration().after(lines[-1], IntegrationTested(result=result)))

    async def wish(self, command: Any) -> None:
        await self.ledger.execute(ApiIntegration, self.integration, command, self.stamp())

    async def approved(self, number: int, network: Network = Network.MTN) -> UUID:
        """A loan of a borrower of its own, whose phone ends in a number."""
        stamp = self.stamp()
        borrower = RegisterUser(
            phone=f"0803{number:07}", email=f"u{number}@example.com", name="Ada", credit_limit=1000
        )
        user = await self.ledger.execute(User, None, borrower, stamp)
        wish = RequestLoan(user_id=user.id, amount=100, network=network)
        loan = await self.ledger.execute(Loan, None, wish, stamp)
        await self.ledger.execute(Loan, loan.id, ApproveLoan(), stamp)
        return loan.id

    async def disburse(self, loan: UUID) -> Loan:
        request = self.ledger.execute(Loan, loan, DisburseLoan(), self.stamp())
        await self.dispatch.disburse(await request)
        await self.dispatch.drain()
        return await self.loan(loan)

    async def loan(self, id: UUID) -> Loan:
        return await self._read(Loan, id)

    async def provider(self) -> ApiIntegration:
        return await self._read(ApiIntegration, self.integration)

    async def _read(self, kind: type[A], id: UUID) -> A:
        found: list[A] = []

        def look(uow: UnitOfWork) -> UUID:
            found.append(uow.read(kind, id))
            return id

        await self.ledger.submit(look, self.stamp())
        return found[-1]

    async def later(self, **time: float) -> int:
        """Let time pass, and the clock do what is due."""
        self.environment.ahead += timedelta(**time)
        return await schedule.tick(self.dispatch)


def simulated(database: str, ledger: Ledger, environment: Environment) -> Providers:
    """Providers of which the telco is simulated, on a machine that they may call."""
    egress, telco = Egress(development=True), SimulatedTelco(database)
    return Providers(database, ledger, environment, egress, telco=telco)


@asynccontextmanager
async def lending(database: str, telco: MoodyTelco) -> AsyncIterator[Lender]:
    """A lender, connected to a telco."""
    environment = LaterWorld()
    vault = Vault(derived(b"a secret of the tests"), environment)
    async with (
        Ledger(database, ENTITY_OF, vault, environment) as ledger,
        a_provider(telco.answer) as url,
    ):
        through = simulated(database, ledger, environment)
        lender = Lender(ledger, Dispatch(database, ledger, through, environment), environment)
        await lender.connect(url)
        yield lender


async def flood(database: str, count: int, *, unknown: float, seed: int) -> int:
    """Disburse many loans at once until each is delivered, asking about what is unknown, and
    compare both books; how many top-ups were of unknown outcome at first."""

    def mood(reference: str) -> Mood:
        chance = random.Random(f"{seed} {reference}")
        return chance.choice(UNKNOWN) if chance.random() < unknown else Mood.DELIVERS

    telco, open_ = MoodyTelco(mood), 0
    async with lending(database, telco) as lender:
        waiting = []
        for first in range(0, count, 500):
            numbers = range(first, min(first + 500, count))
            waiting += await asyncio.gather(*(lender.approved(n) for n in numbers))
        loans = list(waiting)
        while waiting:
            for first in range(0, len(waiting), 500):
                some = waiting[first : first + 500]
                while (await lender.provider()).status != "active":
                    # The breaker has opened; the clock closes it, when all has arrived.
                    await telco.all_arrive()
                    await lender.later(minutes=3)
                lent = await asyncio.gather(*(lender.disburse(each) for each in some))
                open_ += sum(each.disbursement == "unknown" for each in lent)
            await telco.all_arrive()
            while await lender.later(minutes=3):
                pass
            standing = await asyncio.gather(*(lender.loan(each) for each in waiting))
            waiting = [each.id for each in standing if each.disbursement == "failed"]
        lent = await asyncio.gather(*(lender.loan(each) for each in loans))
        told = Counter(each.telco_reference for each in lent)
    assert set(telco.heard.values()) == set(telco.delivered.values()) == {1}
    assert told == {f"T-{reference}": 1 for reference in telco.delivered}
    assert len(loans) == count == telco.delivered.total()
    return open_
