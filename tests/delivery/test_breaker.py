"""The circuit breaker on the real ledger: many calls at once, few statements, and five in a row."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from rim_ledger import schedule
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.delivery import breaker as module
from rim_ledger.delivery.breaker import Breaker
from rim_ledger.delivery.endpoint import Endpoint, endpoint_of
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationTested,
    IntegrationType,
    TestResult,
)
from rim_ledger.system.integration_commands import (
    FIRST_PROBE,
    ActivateIntegration,
    CreateIntegration,
    TestIntegration,
)
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault
from tests.delivery.mailbox import Mailbox, a_mail_server
from tests.delivery.telco import LaterWorld, simulated


class Switchboard:
    """An SMS integration that is active, and who counts its calls."""

    def __init__(self, database: str, ledger: Ledger, environment: LaterWorld) -> None:
        self.database, self.ledger, self.environment = database, ledger, environment
        self.breaker = Breaker(database, ledger, environment)
        self.id = UUID(int=0)

    def stamp(self) -> Stamp:
        return Stamp(at=self.environment.now(), actor=SYSTEM)

    async def connect(self, **more: Any) -> None:
        usual = {"type": IntegrationType.SMS, "base_url": "https://a.example"}
        wish = CreateIntegration(name="A", provider="a", **(usual | more))
        self.id = (await self.ledger.execute(ApiIntegration, None, wish, self.stamp())).id
        line, _ = await self.look()
        tested = TestIntegration().after(line, IntegrationTested(result=TestResult.SUCCESS))
        for command in (tested, ActivateIntegration()):
            await self.ledger.execute(ApiIntegration, self.id, command, self.stamp())

    async def look(self) -> tuple[Endpoint, str]:
        found: list[tuple[Endpoint, str]] = []

        def work(uow: Any) -> UUID:
            known = uow.read(ApiIntegration, self.id)
            found.append((endpoint_of(uow, known), known.status))
            return self.id

        await self.ledger.submit(work, self.stamp())
        return found[-1]

    async def one_by_one(self, calls: str, at: Breaker | None = None) -> str:
        """Note calls one after the other, each `x` one that failed; the status after that."""
        for each in calls:
            await (at or self.breaker).note(self.id, failed=each == "x")
        return (await self.look())[1]

    async def at_once(self, calls: str) -> str:
        """Note calls together, in this order; the status after that."""
        await asyncio.gather(*(self.breaker.note(self.id, failed=each == "x") for each in calls))
        return (await self.look())[1]


@pytest.fixture
async def board(database: str) -> AsyncIterator[Switchboard]:
    environment = LaterWorld()
    vault = Vault(derived(b"a secret of the tests"), environment)
    async with Ledger(database, ENTITY_OF, vault, environment) as ledger:
        connected = Switchboard(database, ledger, environment)
        await connected.connect()
        yield connected


async def test_calls_that_end_together_are_noted_together(
    board: Switchboard, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections, connect = 0, psycopg.AsyncConnection.connect

    async def counting(*values: Any, **more: Any) -> Any:
        nonlocal connections
        connections += 1
        return await connect(*values, **more)

    monkeypatch.setattr(module.AsyncConnection, "connect", counting)
    await board.at_once("." * 300)
    assert connections == 2, "the first goes alone, and all others gather meanwhile"
    with psycopg.connect(database) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM ledger.calls").fetchall()
    assert count == 300


async def test_five_failures_in_a_row_open_it_however_they_come(board: Switchboard) -> None:
    assert await board.one_by_one("xxxx.") == "active"
    assert await board.at_once("xxxx") == "active"
    assert await board.one_by_one("x") == "error"


@pytest.mark.parametrize(
    ("calls", "status"),
    [
        ("xxxxx", "error"),
        (".xxxxx", "error"),
        ("xxxxxxxxx.", "active"),
        ("xxxx.xxxx", "active"),
        ("xx." + "x" * 200, "error"),
    ],
)
async def test_calls_at_once_count_in_the_order_in_which_they_ended(
    board: Switchboard, calls: str, status: str
) -> None:
    assert await board.at_once(calls) == status


async def test_failures_that_lie_far_apart_or_before_the_last_success_are_forgiven(
    board: Switchboard,
) -> None:
    assert await board.at_once("xxxx") == "active"
    board.environment.ahead += module.WITHIN
    assert await board.at_once("xxxx") == "active"
    assert await board.one_by_one("x") == "error"


async def test_several_processes_count_together(board: Switchboard) -> None:
    other = Breaker(board.database, board.ledger, board.environment)
    assert await board.one_by_one("xxx") == "active"
    assert await board.one_by_one("xx", at=other) == "error"


async def test_the_clock_knocks_at_a_mail_server_in_error_until_it_opens(
    board: Switchboard, database: str
) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        sender = {"from": "ledger@rim.example"}
        await board.connect(type=IntegrationType.EMAIL, base_url=url, config=sender)
        assert await board.at_once("xxxxx") == "error"
        through = simulated(database, board.ledger, board.environment)
        dispatch = Dispatch(database, board.ledger, through, board.environment)
        assert await schedule.tick(dispatch) == 0
        board.environment.ahead += FIRST_PROBE
        assert await schedule.tick(dispatch) == 1
        assert await board.one_by_one("xxxx") == "active", "it is five in a row again"
        assert await board.one_by_one("x") == "error"
    assert (box.left, box.got) == (1, [])


async def test_trouble_of_our_own_does_not_change_what_became_of_a_call(
    board: Switchboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def busy(*_: Any) -> None:
        raise Unavailable("busy", "The ledger could not commit in time.")

    with monkeypatch.context() as away:
        away.setattr(board.ledger, "run", busy)
        for _ in range(5):
            await board.breaker.note(board.id, failed=True)
    assert (await board.look())[1] == "active"
    assert await board.one_by_one("x") == "error", "they were counted all the same"
