"""Acting upon another admin: never upon oneself, nor upon somebody with rights that one lacks."""

from rim_ledger.admin.admin_role import AdminRole, refuse_greater
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.same_person import is_caller
from rim_ledger.book import Book
from rim_ledger.core import require


def require_other(admin: AdminUser, book: Book) -> None:
    """Refuse what nobody may do to themselves, by whichever of their accounts."""
    require(not is_caller(book, admin.id), "self-action", "Another admin must do this.")


def require_no_greater(admin: AdminUser, book: Book) -> None:
    """Refuse to act upon somebody with rights that the caller lacks; everybody may act upon
    themselves. Raises Forbidden (`privilege-escalation`)."""
    if book.stamp.admin != admin.id:
        refuse_greater(book.read(AdminRole, admin.role_id), book)
