"""Alerts to super-admins of what an insider could misuse: at once, whatever alerts are set up."""

from collections.abc import Iterable
from functools import partial
from typing import Final
from uuid import UUID

from rim_ledger.book import Book
from rim_ledger.notifications.notification import (
    Notice,
    NotificationChannel,
    NotificationType,
    RecipientType,
    notification_id,
    queue,
)

CHANNELS: Final = (NotificationChannel.EMAIL, NotificationChannel.DASHBOARD)


def alert(book: Book, superadmins: Iterable[UUID], cause: UUID, title: str, message: str) -> None:
    """Queue a message to each of these admins by e-mail and dashboard, once for the same cause.
    Says who acts. What the system itself does alerts nobody."""
    if book.stamp.admin is None:
        return
    notices = [
        Notice(
            type=NotificationType.ALERT,
            channel=channel,
            recipient=admin,
            recipient_type=RecipientType.ADMIN,
            cause=cause,
        )
        for admin in sorted(superadmins)
        for channel in CHANNELS
    ]
    book.look_ahead(partial(book.version, notification_id(each)) for each in notices)
    for notice in notices:
        queue(book, notice, title, f"{book.stamp.actor.name} {message}")
