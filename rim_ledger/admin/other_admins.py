"""Rules for acting on another admin: not oneself, and no one with rights that the caller lacks."""

from rim_ledger.admin.admin_role import AdminRole, refuse_greater
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.same_person import is_caller
from rim_ledger.engine.refusals import require
from rim_ledger.engine.unit_of_work import UnitOfWork


def require_other(admin: AdminUser, uow: UnitOfWork) -> None:
    """Refuse an action on oneself, by any of one's accounts."""
    require(not is_caller(uow, admin.id), "self-action", "Another admin must do this.")


def require_no_greater(admin: AdminUser, uow: UnitOfWork) -> None:
    """Refuse to act on an admin with rights that the caller lacks; acting on oneself is allowed.
    Raises Forbidden (`privilege-escalation`)."""
    if uow.stamp.admin != admin.id:
        refuse_greater(uow.read(AdminRole, admin.role_id), uow)
