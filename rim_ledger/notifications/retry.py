"""Retrying failed notifications."""

from collections.abc import Iterable
from uuid import UUID

from msgspec.structs import replace

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Creation
from rim_ledger.engine.refusals import require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.notification import (
    LEGAL,
    NotificationHistory,
    NotificationRetried,
    NotificationStatus,
    in_clear,
    queued,
    repeat_id,
)
from rim_ledger.values import Id


class RetryNotification(Creation[NotificationHistory]):
    """Send a failed notification once more, as a new one that names the failed one. Each is retried
    once; if the retry fails too, retry that one."""

    parent: Id

    @property
    def stream(self) -> UUID:
        return repeat_id(self.parent)

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        failed = uow.read(NotificationHistory, self.parent)
        require_legal(failed.status, "retry", LEGAL)
        arrived = failed.provider_claim is NotificationStatus.DELIVERED
        words = "The provider has said since that it arrived: nothing is sent again."
        require(not arrived, "delivered-since", words)
        words = "It was sent once more already, as retriedAs tells; should that fail, repeat that."
        require(failed.retried_as is None, "already-done", words)
        title, message = in_clear(uow, failed)
        require(title is not None, "erased", "This person was erased; nothing is sent to them.")
        uow.append(NotificationHistory, failed.id, [NotificationRetried(child=id)])
        notice = replace(failed.notice, parent_id=failed.id, cause=failed.id, otherwise=None)
        first, *rest = queued(notice, title, message)
        return [replace(first, to=uow.reveal(failed.person, failed.to)), *rest]
