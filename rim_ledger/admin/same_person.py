"""Whether two accounts are one person: that is asked wherever two people are needed."""

from uuid import UUID

from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.book import Book
from rim_ledger.core import Forbidden


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


def require_second_person(book: Book, words: str, *earlier: UUID | None) -> None:
    """Raise Forbidden (`separation-of-duties`, with these words) when the caller is one of the
    admins who acted earlier; None stands for a step that no admin took.
    """
    if any(is_caller(book, each) for each in earlier):
        raise Forbidden("separation-of-duties", words)
