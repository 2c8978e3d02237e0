"""Alerts on the real ledger: several processes look at once, and nobody is told twice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from pydantic import SecretStr

from rim_ledger.admin.admin_commands import CreateAdmin
from rim_ledger.admin.admin_role import SUPERADMIN
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.bootstrap import bootstrap
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.delivery.kill_switch import SwitchOutbound
from rim_ledger.delivery.port import UNKNOWN, Channel, Message, Outcome, Verdict
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.alert import AlertType, SystemAlert
from rim_ledger.notifications.alert_commands import CreateAlert
from rim_ledger.notifications.alert_monitor import AlertMonitor
from rim_ledger.notifications.broadcast import Target
from rim_ledger.notifications.broadcast_commands import Frozen
from rim_ledger.notifications.delivery_worker import DeliveryWorker
from rim_ledger.notifications.notification import NotificationChannel
from rim_ledger.values import LAGOS
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault
from tests.notifications.desk import Through

WORLD = SystemEnvironment()
VAULT = Vault(derived(b"a secret of the tests"), WORLD)
PASSWORD = "a horse that reads slowly"


class Values:
    """Values that a test sets."""

    def __init__(self) -> None:
        self.of: dict[AlertType, Decimal | None] = {}
        self.fails: set[Channel] = set()

    async def value(self, type: AlertType, at: datetime) -> Decimal | None:
        return self.of.get(type)

    async def failing(self, at: datetime) -> Collection[Channel]:
        return self.fails


class Post:
    """A provider that keeps what it was given, and is out of order on some channels."""

    def __init__(self) -> None:
        self.sent: list[tuple[Channel, str, str | None, str, str]] = []
        self.broken: dict[Channel, Outcome] = {}

    async def send(self, order: Message) -> Outcome:
        if order.channel in self.broken:
            return self.broken[order.channel]
        await asyncio.sleep(0)
        words = order.subject, order.body, order.reference
        self.sent.append((order.channel, order.to, *words))
        return Outcome(Verdict.ACCEPTED)

    async def query(self, reference: str) -> Outcome:
        return UNKNOWN


async def nobody(target: Target) -> Frozen:
    """There is no broadcast here, and so no audience."""
    raise AssertionError(target)


class Office:
    """A ledger with two admins, an alert for both, and processes that look."""

    def __init__(self, database: str, ledger: Ledger) -> None:
        self.database, self.ledger, self.values, self.post = database, ledger, Values(), Post()
        self.now = WORLD.now()

    def alarm(self, ledger: Ledger | None = None) -> AlertMonitor:
        return AlertMonitor(self.database, ledger or self.ledger, self.values, WORLD)

    def courier(self, ledger: Ledger | None = None) -> DeliveryWorker:
        through = Through(self.post)
        return DeliveryWorker(self.database, ledger or self.ledger, through, WORLD, nobody)

    async def add(self, *channels: str) -> UUID:
        wish = CreateAlert(
            name="Too many overdue",
            type=AlertType.OVERDUE_LOANS,
            threshold=10,  # type: ignore[arg-type]
            channel=[NotificationChannel(each) for each in channels],
            recipients=["superadmin"],
        )
        return (await self.ledger.execute(SystemAlert, None, wish, self.stamp)).id

    @property
    def stamp(self) -> Stamp:
        return Stamp(at=self.now, actor=SYSTEM)

    async def see(self, value: int | None, *alarms: AlertMonitor, minutes: float = 1) -> None:
        """Look at a value, and say nothing yet."""
        self.now += timedelta(minutes=minutes)
        exact = None if value is None else Decimal(value)
        self.values.of[AlertType.OVERDUE_LOANS] = exact
        await asyncio.gather(*(each.evaluate(self.now) for each in alarms or [self.alarm()]))

    async def carry(self, *couriers: DeliveryWorker) -> int:
        """Hand over until nothing waits; how many messages that were."""
        carried = 0
        while rounds := sum(
            await asyncio.gather(*(each.deliver_due() for each in couriers or [self.courier()]))
        ):
            carried += rounds
        return carried

    async def alert(self, id: UUID) -> SystemAlert:
        found: list[SystemAlert] = []

        def look(uow: UnitOfWork) -> UUID:
            found.append(uow.read(SystemAlert, id))
            return id

        await self.ledger.submit(look, self.stamp)
        return found[-1]


@asynccontextmanager
async def an_office(database: str) -> AsyncIterator[Office]:
    async with Ledger(database, ENTITY_OF, VAULT, WORLD) as ledger:
        await bootstrap(ledger, PASSWORD, WORLD)
        office = Office(database, ledger)
        ada = CreateAdmin(
            username="ada",
            email="ada@example.com",
            phone="08031234567",
            role_id=SUPERADMIN,
            password=SecretStr(PASSWORD),
        )
        await ledger.execute(AdminUser, None, await ada.hashed(), office.stamp)
        yield office


async def test_many_who_look_and_carry_at_once_tell_each_recipient_once_an_episode(
    database: str,
) -> None:
    async with (
        an_office(database) as office,
        Ledger(database, ENTITY_OF, VAULT, WORLD) as other,
    ):
        alert = await office.add("email", "dashboard")
        ledgers = (office.ledger, other) * 3
        alarms = [office.alarm(each) for each in ledgers]
        couriers = [office.courier(each) for each in ledgers]
        await office.see(5, *alarms)
        assert await office.carry(*couriers) == 0
        for _ in range(3):
            await office.see(12, *alarms)
            await office.carry(*couriers)
        told = Counter((channel, to) for channel, to, *_ in office.post.sent)
        assert told == {("email", "ada@example.com"): 1, ("email", "admin@rim.example"): 1}
        assert (await office.alert(alert)).trigger_count == 1
        await office.see(0, *alarms)
        await office.see(0, *alarms, minutes=10)
        await office.see(12, *alarms, minutes=15)
        await office.carry(*couriers)
        assert len(office.post.sent) == 4
        assert len({reference for *_, reference in office.post.sent}) == 4


async def test_a_message_says_what_was_seen_and_names_nobody(database: str) -> None:
    async with an_office(database) as office:
        await office.add("email", "sms")
        await office.see(12)
        await office.carry()
        words = {each[:4] for each in office.post.sent}
        there = office.now.astimezone(LAGOS)
        body = f"Overdue loans: 12 at {there:%H:%M on %Y-%m-%d}; the alert's threshold is 10."
        assert words == {
            (Channel.EMAIL, "ada@example.com", "Alert: Too many overdue", body),
            (Channel.EMAIL, "admin@rim.example", "Alert: Too many overdue", body),
            (Channel.SMS, "+2348031234567", None, body),
        }


async def test_who_cannot_be_told_one_way_is_told_the_other(database: str) -> None:
    async with an_office(database) as office:
        await office.add("email")
        office.post.broken[Channel.EMAIL] = Outcome(Verdict.FAILED, "It is down.")
        await office.see(12)
        assert await office.carry() == 3
        assert [each[:2] for each in office.post.sent] == [(Channel.SMS, "+2348031234567")]


async def test_what_may_have_gone_is_told_no_second_time_on_any_way(database: str) -> None:
    async with an_office(database) as office:
        await office.add("email")
        office.post.broken[Channel.EMAIL] = UNKNOWN
        await office.see(12)
        assert await office.carry() == 2
        office.post.broken.clear()
        await office.see(12)
        assert await office.carry() == 0
        assert office.post.sent == []


async def test_while_nothing_may_leave_an_alert_fires_and_is_told_when_something_may(
    database: str,
) -> None:
    async with an_office(database) as office:
        alert = await office.add("email")
        await office.ledger.submit(SwitchOutbound(enabled=False).work, office.stamp)
        await office.see(12)
        assert await office.carry() == 0
        assert (await office.alert(alert)).state == "firing"
        await office.see(11, minutes=600)
        await office.ledger.submit(SwitchOutbound(enabled=True).work, office.stamp)
        assert await office.carry() == 2
        told = sorted(to for _, to, *_ in office.post.sent)
        assert told == ["ada@example.com", "admin@rim.example"]


async def test_what_was_over_before_something_might_leave_is_not_told(database: str) -> None:
    async with an_office(database) as office:
        await office.add("email", "sms")
        await office.ledger.submit(SwitchOutbound(enabled=False).work, office.stamp)
        await office.see(12)
        await office.see(0)
        await office.see(0, minutes=10)
        await office.ledger.submit(SwitchOutbound(enabled=True).work, office.stamp)
        await office.carry()
        assert office.post.sent == []


async def test_no_data_is_unknown(database: str) -> None:
    async with an_office(database) as office:
        alert = await office.add("email")
        await office.see(5)
        assert (await office.alert(alert)).state == "normal"
        await office.see(None)
        assert (await office.alert(alert)).state == "unknown"
        assert await office.carry() == 0
