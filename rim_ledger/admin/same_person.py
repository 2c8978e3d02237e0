"""Whether two accounts are one person: that is asked wherever two people are needed."""

from uuid import UUID

from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.book import Book


def is_caller(book: Book, admin_id: UUID | None) -> bool:
    """Whether the caller of this decision and this admin are one person: the same account, by
    whatever session or key, or two accounts that share a phone or an e-mail, or once did.
    """
    if admin_id is None or book.stamp.actor.type != "admin":
        return False
    if admin_id == book.stamp.actor.id:
        return True
    admin = book.find(AdminUser, admin_id)
    return admin is not None and not book.contacts.isdisjoint(admin.contacts)
