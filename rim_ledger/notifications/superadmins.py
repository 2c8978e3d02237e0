"""Alerts to super-admins of what an insider could misuse: at once, whatever alerts are set up."""

from collections.abc import Iterable
from functools import partial
from typing import Final
from uuid import UUID

from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.notification import (
    Notice,
    NotificationChannel,
    NotificationHistory,
    NotificationType,
    RecipientType,
    notification_id,
    queue,
    queued,
)

CHANNELS: Final = (NotificationChannel.EMAIL, NotificationChannel.DASHBOARD)


def alert(
    uow: UnitOfWork,
    superadmins: Iterable[UUID],
    title: str,
    message: str,
    cause: UUID | None = None,
    *,
    by: str | None = None,
) -> None:
    """Queue a message to each of these admins by e-mail and dashboard: once for the same cause, if
    one is given. Says who acts: the caller, or `by`, somebody outside of the ledger. What the
    system itself does alerts nobody."""
    if uow.stamp.admin is None and by is None:
        return
    admins = sorted(superadmins)
    uow.look_ahead(partial(uow.reveal, each, None) for each in admins)  # Their keys.
    notices = [
        Notice(
            type=NotificationType.ALERT,
            channel=channel,
            recipient=admin,
            recipient_type=RecipientType.ADMIN,
            cause=cause or uow.new_id(),
        )
        for admin in admins
        for channel in CHANNELS
    ]
    words = f"{by or uow.stamp.actor.name} {message}"
    if cause is None:
        for notice in notices:  # Under an id that need not be looked for.
            uow.open_stream(NotificationHistory, uow.new_id(), queued(notice, title, words))
        return
    uow.look_ahead(partial(uow.version, notification_id(each)) for each in notices)
    for notice in notices:
        queue(uow, notice, title, words)
