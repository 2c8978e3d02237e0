"""Counts of sent, failed and unknown messages of a broadcast."""

from collections.abc import Iterable
from uuid import UUID

from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.broadcast import BroadcastProgressed
from rim_ledger.notifications.notification import HandOver, NotificationHistory, NotificationStatus


def tally(uow: UnitOfWork, ids: Iterable[UUID]) -> BroadcastProgressed:
    """Return how many of these messages were accepted, have failed, or are unknown."""
    sent = failed = unknown = 0
    for each in ids:
        known = uow.read(NotificationHistory, each)
        sent += known.status in (NotificationStatus.SENT, NotificationStatus.DELIVERED)
        failed += known.status is NotificationStatus.FAILED
        pending = known.status is NotificationStatus.PENDING
        unknown += pending and known.hand_over is HandOver.UNKNOWN
    return BroadcastProgressed(sent=sent, failed=failed, unknown=unknown)


def difference(
    before: BroadcastProgressed, after: BroadcastProgressed
) -> BroadcastProgressed | None:
    """Return the difference between two tallies of the same messages; None if there is none."""
    changed = BroadcastProgressed(
        sent=after.sent - before.sent,
        failed=after.failed - before.failed,
        unknown=after.unknown - before.unknown,
    )
    return None if changed == BroadcastProgressed() else changed
