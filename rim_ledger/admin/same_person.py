"""Whether two accounts are one person: that is asked wherever two people are needed."""

from uuid import UUID

from rim_ledger.admin.admin_user import AdminUser
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
