"""Watches over the alerts: measures, decides, and tells people."""

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Final, Protocol
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.book import Book
from rim_ledger.core import SYSTEM, Refused, Stamp, Unavailable
from rim_ledger.ledger import Ledger
from rim_ledger.notifications.alert import (
    UNTOLD,
    WATCHED,
    AlertMessage,
    AlertMessageFailed,
    AlertMessageTaken,
    AlertType,
    SystemAlert,
)
from rim_ledger.notifications.alerting import OTHER, observe, way_to
from rim_ledger.sending import Channel, Message, Sender
from rim_ledger.store import Store
from rim_ledger.world import World

INTERVAL: Final = 15.0
"""Seconds between two looks."""
ALERTS_MAX: Final = 10_000

WORDS: Final = {
    AlertType.OVERDUE_LOANS: "Overdue loans",
    AlertType.API_FAILURE: "Failed calls to providers in five minutes",
    AlertType.PAYMENT_GATEWAY: "Repayments that failed or hang",
    AlertType.USER_ISSUE: "Urgent or escalated tickets",
    AlertType.SYSTEM_ERROR: "Unexpected errors in five minutes",
}

log = logging.getLogger(__name__)


class Measures(Protocol):
    """Where the values come from."""

    async def value(self, type: AlertType, at: datetime) -> Decimal | None:
        """What is watched, at a time; None when nobody can tell."""

    async def failing(self, at: datetime) -> Collection[Channel]:
        """The channels whose own provider fails."""


class _Letter(Struct):
    """A message with its words, and the address if there still is one."""

    message: AlertMessage
    to: str | None
    subject: str
    body: str
    reference: str


class Alarm:
    """Evaluates each alert and hands its messages over. Several at once do nothing twice: both
    the firing of an alert and the taking of a message are decisions at the head of the log."""

    def __init__(
        self, url: str, ledger: Ledger, measures: Measures, sender: Sender, world: World
    ) -> None:
        self._url, self._ledger, self._world = url, ledger, world
        self._measures, self._sender = measures, sender

    async def look(self, at: datetime | None = None) -> None:
        """Evaluate every alert once, at a business time (UTC, now when left out), and tell."""
        moment = at or self._world.now()
        watched, _ = await self._lists()
        types = {AlertType(name.partition(" ")[0]) for name in watched}
        values = {each: await self._measures.value(each, moment) for each in types}
        failing = await self._measures.failing(moment) if watched else ()
        stamp = Stamp(at=moment, actor=SYSTEM)
        for name, id_ in watched.items():
            value = values[AlertType(name.partition(" ")[0])]
            await self._ledger.submit(observe(id_, value, failing), stamp)
        _, untold = await self._lists()
        for id_ in untold.values():
            while letter := await self._take(id_, stamp):
                await self._send(id_, letter, failing, stamp)

    async def _lists(self) -> tuple[dict[str, UUID], dict[str, UUID]]:
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            lists = await Store(connection).listed({WATCHED: ALERTS_MAX, UNTOLD: ALERTS_MAX})
        return lists[WATCHED][1], lists[UNTOLD][1]

    async def _take(self, id: UUID, stamp: Stamp) -> _Letter | None:
        """The next message, which nobody else takes from now on; None when all are taken."""
        letter: _Letter | None = None

        def work(book: Book) -> UUID:
            nonlocal letter
            alert, letter = book.read(SystemAlert, id), None
            if alert.untold:
                message = alert.untold[0]
                letter = _letter(alert, message, book)
                book.append(SystemAlert, id, [AlertMessageTaken(message=message)])
            return id

        await self._ledger.submit(work, stamp)
        return letter

    async def _send(
        self, id: UUID, letter: _Letter, failing: Collection[Channel], stamp: Stamp
    ) -> None:
        message = letter.message
        if await self._is_sent(letter):
            return

        def failed(book: Book) -> UUID:
            alert = book.read(SystemAlert, id)
            instead = _instead(alert, message, {*failing, message.channel}, book)
            book.append(SystemAlert, id, [AlertMessageFailed(message=message, instead=instead)])
            return id

        await self._ledger.submit(failed, stamp)

    async def _is_sent(self, letter: _Letter) -> bool:
        """Hand a message over; False when it certainly did not go."""
        channel = letter.message.channel
        if letter.to is None:
            return False
        subject = letter.subject if channel is Channel.EMAIL else None
        try:
            message = Message(channel, letter.to, subject, letter.body, letter.reference)
            await self._sender.send(message)
        except (Refused, Unavailable) as error:
            log.warning("an alert could not be told by %s: %s", channel, error.code)
            return False
        return True


async def run(alarm: Alarm) -> None:
    """Look for ever. What fails, such as a database that is away, is tried again."""
    while True:
        try:
            await alarm.look()
        except Exception as error:
            log.warning("the alerts could not be looked at: %s", type(error).__name__)
        await asyncio.sleep(INTERVAL)


def _letter(alert: SystemAlert, message: AlertMessage, book: Book) -> _Letter:
    admin = book.find(AdminUser, message.admin_id)
    sealed = None
    if admin and admin.status is AdminStatus.ACTIVE:
        sealed = admin.email if message.channel is Channel.EMAIL else admin.phone
    to = book.reveal(message.admin_id, sealed) if sealed else None
    body = (
        f"{WORDS[alert.type]}: {_plain(alert.last_value)}, and the alert's threshold is"
        f" {_plain(alert.threshold)}."
    )
    number = f"{alert.id}-{alert.trigger_count}"
    reference = f"ALERT-{number}-{message.admin_id}-{message.channel}"
    return _Letter(message, to, f"Alert: {alert.name}", body, reference)


def _plain(value: Decimal | None) -> str:
    return "unknown" if value is None else f"{value.normalize():f}"


def _instead(
    alert: SystemAlert, message: AlertMessage, failing: Collection[Channel], book: Book
) -> Channel | None:
    """Another way to tell the same admin, unless it is taken already."""
    admin = book.find(AdminUser, message.admin_id)
    if admin is None or admin.status is not AdminStatus.ACTIVE:
        return None
    way = way_to(admin, OTHER[message.channel], failing)
    known = AlertMessage(admin_id=message.admin_id, channel=way) if way else message
    fresh = known not in (*alert.untold, *alert.tried) and known.channel not in failing
    return known.channel if fresh else None
