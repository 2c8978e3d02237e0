"""What one carries does not hold up another: channels and broadcasts each go their own way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from uuid import UUID

import pytest
from msgspec import structs

from rim_ledger.delivery.port import Channel, Lane, Message, Outcome
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.notification import (
    Notice,
    NotificationChannel,
    NotificationType,
    RecipientType,
    queue,
)
from rim_ledger.postgres.pool import lease
from tests.api.conftest import WORLD, Client, running
from tests.api.routes.test_broadcasts import Listening, courier, drafted, sent
from tests.notifications.desk import Through

PATIENCE = 60.0
"""Seconds after which something that should come does not come any more."""


class Held(Listening):
    """A provider that keeps SMS waiting for ever, and takes e-mails at once."""

    def __init__(self) -> None:
        super().__init__()
        self.holds, self.mails = asyncio.Event(), asyncio.Semaphore(0)

    async def send(self, order: Message) -> Outcome:
        if order.channel is Channel.SMS:
            self.holds.set()
            await asyncio.get_running_loop().create_future()
        self.mails.release()
        return await super().send(order)


@asynccontextmanager
async def carrying(admin: Client, provider: Listening) -> AsyncIterator[None]:
    task = asyncio.create_task(courier(admin, provider).run())
    try:
        async with asyncio.timeout(PATIENCE):
            yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def one_by_one(admin: Client, user: UUID, channel: str, count: int = 1) -> None:
    """Messages that are no part of a broadcast."""

    def work(uow: UnitOfWork) -> UUID:
        for number in range(count):
            notice = Notice(
                type=NotificationType.SCHEDULED,
                channel=NotificationChannel(channel),
                recipient=user,
                recipient_type=RecipientType.USER,
                cause=UUID(int=number + 1),
            )
            queue(uow, notice, "Title", "Message")
        return user

    await admin.app.state.context.ledger.submit(work, Stamp(at=WORLD.now(), actor=SYSTEM))


@pytest.mark.parametrize("slow", ["broadcast", "single"])
async def test_a_slow_message_holds_up_no_other_channel_and_no_other_broadcast(
    admin: Client, slow: str
) -> None:
    user, held = UUID((await admin.user())["id"]), Held()
    async with carrying(admin, held):
        if slow == "broadcast":
            await sent(admin, await drafted(admin))
        else:
            await one_by_one(admin, user, "sms")
        await held.holds.wait()
        await one_by_one(admin, user, "email")
        await held.mails.acquire()
        await sent(admin, await drafted(admin, type="email"))
        await held.mails.acquire()
    assert [channel for channel, *_ in held.sent] == ["email", "email"]


async def test_a_courier_outlives_a_database_that_is_away_and_a_broadcast_that_fails(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, held = UUID((await admin.user())["id"]), Held()
    monkeypatch.setattr("rim_ledger.notifications.delivery_worker.INTERVAL_SECONDS", 0.01)
    carrier, away, fails = courier(admin, held), asyncio.Event(), asyncio.Event()
    errands, broadcast = carrier._tasks, carrier._broadcast

    async def is_away() -> object:
        carrier._tasks = errands  # type: ignore[method-assign]
        away.set()
        raise OSError

    async def fail(*_: object) -> int:
        carrier._broadcast = broadcast  # type: ignore[method-assign]
        fails.set()
        raise OSError

    carrier._tasks = is_away  # type: ignore[method-assign, assignment]
    carrier._broadcast = fail  # type: ignore[method-assign]
    monkeypatch.setattr("tests.api.routes.test_courier.courier", lambda *_: carrier)
    async with carrying(admin, held):
        await away.wait()
        await sent(admin, await drafted(admin, type="email"))
        await fails.wait()
        await held.mails.acquire()
        await one_by_one(admin, user, "email")
        await held.mails.acquire()
    assert [channel for channel, *_ in held.sent] == ["email", "email"]


class NoSms(Through):
    """SMS are not to be had now; e-mails are."""

    def former(self, channel: Channel, integration: UUID | None, uow: UnitOfWork) -> Lane:
        lane = super().former(channel, integration, uow)
        away = Unavailable("sender-out-of-use", "The provider of sms messages is out of use.")
        return structs.replace(lane, closed=away) if channel is Channel.SMS else lane


@pytest.mark.parametrize("standing", [2, 3, 4])
async def test_broadcasts_that_stand_still_hide_none_that_may_go(
    database: str, monkeypatch: pytest.MonkeyPatch, standing: int
) -> None:
    monkeypatch.setattr("rim_ledger.notifications.delivery_worker.BROADCASTS", 2)
    monkeypatch.setattr("rim_ledger.notifications.delivery_worker.INTERVAL_SECONDS", 0.01)
    async with running(database) as admin:
        await admin.user()
        held = Held()
        carrier = courier(admin, held)
        carrier._lanes = NoSms(held)
        for _ in range(standing):
            await sent(admin, await drafted(admin))
        await sent(admin, await drafted(admin, type="email"))
        assert await carrier.deliver_due() > 0
        assert [channel for channel, *_ in held.sent] == ["email"]

        monkeypatch.setattr("tests.api.routes.test_courier.courier", lambda *_: carrier)
        await held.mails.acquire()
        async with carrying(admin, held):
            for _ in range(2):
                await sent(admin, await drafted(admin, type="email"))
                await held.mails.acquire()
        assert [channel for channel, *_ in held.sent] == ["email"] * 3


async def test_however_many_broadcasts_are_due_they_leave_others_their_connections(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rim_ledger.notifications.delivery_worker.BROADCASTS", 2)
    monkeypatch.setattr("rim_ledger.notifications.delivery_worker.INTERVAL_SECONDS", 0.01)
    open_, most, leases = 0, 0, list[str]()
    async with running(database) as admin:
        await admin.user()
        carrier = courier(admin, Held())
        carrier._lanes = NoSms(Held())
        look, looks = carrier._tasks, 0
        enough, all_had = asyncio.Event(), asyncio.Event()

        async def looked(at: datetime | None = None) -> object:
            nonlocal looks
            looks += 1
            if looks > 5:  # Each has been seen, twice two of them and then the fifth.
                enough.set()
            return await look(at)

        @asynccontextmanager
        async def counted(url: str, what: str) -> AsyncIterator[bool]:
            nonlocal open_, most
            open_ += 1
            most = max(most, open_)
            leases.append(what)
            if len(set(leases)) == 5:
                all_had.set()
            async with lease(url, what) as free:
                await enough.wait()
                yield free
            open_ -= 1

        monkeypatch.setattr(carrier, "_tasks", looked)
        monkeypatch.setattr("rim_ledger.notifications.delivery_worker.lease", counted)
        monkeypatch.setattr("tests.api.routes.test_courier.courier", lambda *_: carrier)
        for _ in range(5):
            await sent(admin, await drafted(admin))
        async with carrying(admin, Held()):
            await all_had.wait()
    assert most == 2
