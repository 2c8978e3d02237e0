"""The admins who have a right, by their role."""

from functools import partial
from typing import Final
from uuid import UUID

from rim_ledger.admin.admin_role import ROLE_NAMES, AdminRole
from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.engine.unit_of_work import Right, UnitOfWork

ROLES_MAX: Final = 10_000


def right_holders(uow: UnitOfWork, right: Right) -> list[UUID]:
    """Return the active admins who have a right, in order."""
    names = uow.listed(ROLE_NAMES.claim, ROLES_MAX)
    uow.look_ahead(partial(uow.version, each) for each in names)
    roles = (uow.find(AdminRole, each) for each in names)
    members = {each for role in roles if role and right in role.rights for each in role.members}
    uow.look_ahead(partial(uow.version, each) for each in members)
    admins = (uow.find(AdminUser, each) for each in sorted(members))
    return [each.id for each in admins if each and each.status is AdminStatus.ACTIVE]
