"""Break-glass: restore a super-admin's access from the server's command line."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from rim_ledger.admin.admin_commands import keep_new_password
from rim_ledger.admin.admin_role import SUPERADMIN, AdminRole
from rim_ledger.admin.admin_user import AdminAccessReset, AdminStatus, AdminUser
from rim_ledger.admin.other_admins import end_api_keys
from rim_ledger.admin.passwords import WithPassword
from rim_ledger.admin.two_factor import forget
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, perform
from rim_ledger.engine.refusals import NotFound, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.superadmins import alert

ADMIN: Final = "admin"
"""The resource as it is named in messages."""


class ResetAccess(WithPassword, Command[AdminUser]):
    """Give a super-admin a new password and remove the second factor; ends their sessions, and
    revokes their API keys. Not available over HTTP."""

    operator: str
    """The operating system's user and host, such as root@ledger-1."""

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        able = (aggregate.role_id, aggregate.status) == (SUPERADMIN, AdminStatus.ACTIVE)
        words = "This is for active super-admins; one of them can reset anybody else."
        require(able, "not-superadmin", words)
        end_api_keys(aggregate, uow)
        keep_new_password(self, aggregate, uow)
        forget(aggregate, uow)
        others = uow.read(AdminRole, SUPERADMIN).members - {aggregate.id}
        words = f"reset the access of super-admin {aggregate.username} on the machine."
        alert(uow, others, "A super-admin's access was reset", words, by=self.operator)
        yield AdminAccessReset(operator=self.operator)

    def work(self, username: str, uow: UnitOfWork) -> UUID:
        """Decide for the admin of that name, and log the attempt. Raises NotFound."""
        details = {"operator": self.operator}
        uow.activities[:] = [Activity(action="ResetAccess", resource="admins", details=details)]
        holder = uow.holder("admin-username", username.lower())
        if holder is None:
            raise NotFound(ADMIN, username)
        uow.activities[0] = Activity(
            action="ResetAccess", resource="admins", resource_id=str(holder), details=details
        )
        perform(uow, AdminUser, holder, self)
        return holder
