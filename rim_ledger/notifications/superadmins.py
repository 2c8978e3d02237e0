"""Alerts to super-admins about what an insider could misuse: always on, sent at once."""

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
    """Queue a message to each of these admins by e-mail and dashboard, once per `cause` if one is
    given. It names who acts: the caller or, outside the ledger, `by`. Actions of the system alert
    no one."""
    if uow.stamp.admin is None and by is None:
        return
    admins = sorted(superadmins)
    uow.look_ahead(partial(uow.reveal, each, None) for each in admins)  # Loads their keys.
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
        for notice in notices:  # The id is new, so no stream is looked up.
            uow.open_stream(NotificationHistory, uow.new_id(), queued(notice, title, words))
        return
    uow.look_ahead(partial(uow.version, notification_id(each)) for each in notices)
    for notice in notices:
        queue(uow, notice, title, words)
