"""Whether two accounts are one person: that is asked wherever two people are needed."""

from uuid import UUID

from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.engine.refusals import Forbidden
from rim_ledger.engine.unit_of_work import UnitOfWork


def is_caller(uow: UnitOfWork, admin_id: UUID | None) -> bool:
    """Whether the caller of this decision and this admin are one person: the same account, by
    whatever session or key, or two accounts that share a phone or an e-mail, or once did.
    """
    if admin_id is None or uow.stamp.actor.type != "admin":
        return False
    if admin_id == uow.stamp.actor.id:
        return True
    admin = uow.find(AdminUser, admin_id)
    return admin is not None and not uow.contacts.isdisjoint(admin.contacts)


def require_second_person(uow: UnitOfWork, words: str, *earlier: UUID | None) -> None:
    """Raise Forbidden (`separation-of-duties`, with these words) when the caller is one of the
    admins who acted earlier; None stands for a step that no admin took.
    """
    if any(is_caller(uow, each) for each in earlier):
        raise Forbidden("separation-of-duties", words)
