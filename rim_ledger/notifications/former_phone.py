"""Telling the phone that a borrower had before a change of contact, which others may have made."""

from typing import Final

from rim_ledger.book import Book
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


def tell_former_phone(book: Book, before: User) -> None:
    """Queue an SMS to the phone that a user has before a change of this decision. It is sealed
    under the user's key, and sent there though the user has another one by then."""
    if (phone := book.reveal(before.id, before.phone)) is None:
        return
    notice = Notice(
        type=NotificationType.ALERT,
        channel=NotificationChannel.SMS,
        recipient=before.id,
        recipient_type=RecipientType.USER,
        cause=derived_id("contact-changed", before.id, book.version(before.id)),
    )
    queued = NotificationQueued(notice=notice, title=TITLE, message=MESSAGE, to=phone)
    book.open_stream(NotificationHistory, book.new_id(), [queued])
