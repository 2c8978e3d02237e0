"""Rules for acting on another admin, and the end of an admin's API keys."""

from functools import partial

from rim_ledger.admin.admin_role import AdminRole, refuse_greater
from rim_ledger.admin.admin_user import AdminApiKeyRemoved, AdminUser
from rim_ledger.admin.api_key import ApiKey, ApiKeyRevoked
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


def end_api_keys(admin: AdminUser, uow: UnitOfWork) -> None:
    """Revoke all API keys of an admin, in the same commit as the caller's event."""
    uow.look_ahead(partial(uow.find, ApiKey, key) for key in admin.api_keys)
    for key in sorted(admin.api_keys):
        uow.append(ApiKey, key, [ApiKeyRevoked()])
        uow.append(AdminUser, admin.id, [AdminApiKeyRemoved(key_id=key)])
