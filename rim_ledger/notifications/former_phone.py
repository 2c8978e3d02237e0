"""Notice to the borrower's former phone after a change of contact, which others may have made."""

from typing import Final

from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.notifications.notification import (
    Notice,
    NotificationChannel,
    NotificationHistory,
    NotificationQueued,
    NotificationType,
    RecipientType,
)
from rim_ledger.values import derived_id

TITLE: Final = "Your contact was changed"
MESSAGE: Final = (
    "RIM: your phone number or e-mail was changed. If you did not ask for that, tell us at once."
)


def notify_former_phone(uow: UnitOfWork, before: User) -> None:
    """Queue an SMS to the phone that a user has before this decision. It is sealed under the user's
    key, and sent there although the user has another phone by then."""
    if (phone := uow.reveal(before.id, before.phone)) is None:
        return
    notice = Notice(
        type=NotificationType.ALERT,
        channel=NotificationChannel.SMS,
        recipient=before.id,
        recipient_type=RecipientType.USER,
        cause=derived_id("contact-changed", before.id, uow.version(before.id)),
    )
    queued = NotificationQueued(notice=notice, title=TITLE, message=MESSAGE, to=phone)
    uow.open_stream(NotificationHistory, uow.new_id(), [queued])
