"""Rules for two accounts: whether they are one person's, and what one may do to the other."""

from functools import partial
from uuid import UUID

from rim_ledger.admin.admin_role import AdminRole, refuse_greater
from rim_ledger.admin.admin_user import AdminApiKeyRemoved, AdminUser
from rim_ledger.admin.api_key import ApiKey, ApiKeyRevoked
from rim_ledger.engine.refusals import Forbidden, require
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
