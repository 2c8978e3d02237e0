"""What a provider of SMS tells us by itself: whether a message that it took has arrived."""

from collections.abc import Iterable
from typing import Literal
from uuid import UUID

from rim_ledger.delivery.callbacks import Callback, NotOurs, ProviderForm
from rim_ledger.delivery.sms import DECLINED
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.broadcast_counts import since, tally
from rim_ledger.notifications.delivery_rules import progress
from rim_ledger.notifications.notification import (
    NotificationContradicted,
    NotificationDelivered,
    NotificationFailed,
    NotificationHistory,
    NotificationSent,
    NotificationStatus,
    mark,
)
from rim_ledger.values import Reference

MessageWord = Literal["message.delivered", "message.failed"]
"""What became of a message at the provider."""


class MessageClaim(ProviderForm):
    """Which message the provider means: the reference that it was handed over with."""

    reference: Reference


class MessageCallback(Callback):
    """An SMS provider's word on a message that it was handed, which is delivered or has failed
    then. What is done already stays as it is; where the word is against it, the notification shows
    that as `providerClaim`. Any other reference is 200 with `known` false, for nothing is to be
    sent again: a notification is recorded before its provider hears of it, and the codes of the
    log-in, which are no notifications, have references of their own."""

    ABOUT = NotificationHistory

    type: MessageWord
    data: MessageClaim

    def work(self, uow: UnitOfWork) -> UUID:
        known = self._find(uow)
        if known is None or known.integration != uow.stamp.actor.id:
            raise NotOurs
        before = tally(uow, [known.id])
        for event in self._events(known):
            mark(uow, known.id, event)
        counted = since(before, tally(uow, [known.id]))
        if counted and known.notice.broadcast_id:
            progress(uow, known.notice.broadcast_id, counted)
        return known.id

    def _find(self, uow: UnitOfWork) -> NotificationHistory | None:
        try:
            return uow.find(NotificationHistory, UUID(self.data.reference))
        except ValueError:
            return None

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
