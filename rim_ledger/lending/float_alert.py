"""Tells those who buy airtime that a float is low: a notification on their dashboard."""

from decimal import Decimal
from functools import partial
from typing import Final
from uuid import UUID

from rim_ledger.admin.right_holders import right_holders
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.notification import (
    Notice,
    NotificationChannel,
    NotificationType,
    RecipientType,
    notification_id,
    queue,
)
from rim_ledger.values import Network

BUYERS: Final = ("float", "write")


def notify_low(
    uow: UnitOfWork, network: Network, balance: Decimal, mark: Decimal, cause: UUID
) -> None:
    """Notify each admin with the right to top up, once per cause."""
    notices = [
        Notice(
            type=NotificationType.ALERT,
            channel=NotificationChannel.DASHBOARD,
            recipient=admin,
            recipient_type=RecipientType.ADMIN,
            cause=cause,
        )
        for admin in right_holders(uow, BUYERS)
    ]
    uow.look_ahead(partial(uow.version, notification_id(each)) for each in notices)
    uow.look_ahead(partial(uow.reveal, each.recipient, None) for each in notices)  # Loads keys.
    words = f"The airtime float of {network} has {balance:,.2f} naira; its low mark is {mark:,.2f}."
    for notice in notices:
        queue(uow, notice, f"Airtime float of {network} is low", words)
