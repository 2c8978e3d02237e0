"""Callbacks of SMS providers: whether a message was delivered."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Literal
from uuid import UUID

from rim_ledger.delivery.callbacks import Callback, NotOurs, ProviderForm
from rim_ledger.delivery.http import DECLINED
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.delivery_rules import progress, record
from rim_ledger.notifications.notification import (
    NotificationContradicted,
    NotificationDelivered,
    NotificationFailed,
    NotificationHistory,
    NotificationSent,
    NotificationStatus,
)
from rim_ledger.values import Reference

MessageWord = Literal["message.delivered", "message.failed"]
"""The provider's outcome of a message."""


class MessageClaim(ProviderForm):
    """The message, by the reference under which it was sent."""

    reference: Reference


class MessageCallback(Callback):
    """An SMS provider's report on a message: delivered or failed. A final outcome stays as it is; a
    report against it is shown as `providerClaim` of the notification. Any other reference is 200
    with `known` false, and need not be sent again: a notification is recorded before its provider
    is called, and log-in codes, which are no notifications, have references of their own."""

    ABOUT = NotificationHistory

    type: MessageWord
    data: MessageClaim

    def work(self, uow: UnitOfWork) -> UUID:
        known = None
        with suppress(ValueError):
            known = uow.find(NotificationHistory, UUID(self.data.reference))
        if known is None or known.integration != uow.stamp.actor.id:
            raise NotOurs
        counted = record(uow, {known.id: self._events(known)})
        if counted and known.notice.broadcast_id:
            progress(uow, known.notice.broadcast_id, counted)
        return known.id

    def _events(self, known: NotificationHistory) -> Iterable[Event]:
        delivered = self.type == "message.delivered"
        said = NotificationStatus.DELIVERED if delivered else NotificationStatus.FAILED
        if known.status in (NotificationStatus.DELIVERED, NotificationStatus.FAILED):
            if said not in (known.status, known.provider_claim):
                yield NotificationContradicted(status=said)
        elif delivered:
            if known.status is NotificationStatus.PENDING:
                yield NotificationSent()
            yield NotificationDelivered()
        else:
            yield NotificationFailed(reason=DECLINED)
