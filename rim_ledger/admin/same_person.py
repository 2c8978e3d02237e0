"""Whether two accounts belong to one person, for rules that require two people."""

from uuid import UUID

from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.engine.refusals import Forbidden
from rim_ledger.engine.unit_of_work import UnitOfWork


def is_caller(uow: UnitOfWork, admin_id: UUID | None) -> bool:
    """Return whether the caller and this admin are one person: the same account, by any session or
    key, or accounts that share a phone or e-mail, or once did."""
    if admin_id is None or uow.stamp.actor.type != "admin":
        return False
    if admin_id == uow.stamp.actor.id:
        return True
    admin = uow.find(AdminUser, admin_id)
    return admin is not None and not uow.contacts.isdisjoint(admin.contacts)


def require_second_person(uow: UnitOfWork, words: str, *earlier: UUID | None) -> None:
    """Raise Forbidden (`separation-of-duties`, with these words) if the caller is one of the admins
    who acted earlier; None stands for a step that no admin took."""
    if any(is_caller(uow, each) for each in earlier):
        raise Forbidden("separation-of-duties", words)
