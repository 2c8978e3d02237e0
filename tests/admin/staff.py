"""A small staff to tell stories about: forms that are ready, and who asks."""

import asyncio
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

from pydantic import SecretStr

from rim_ledger.admin.admin_commands import CreateAdmin
from rim_ledger.admin.admin_role import SUPERADMIN, AdminRole, CreateRole
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.api_key import ApiKey
from rim_ledger.admin.bootstrap import BUILT_IN
from rim_ledger.admin.passwords import WithPassword
from rim_ledger.admin.permissions import permissions
from rim_ledger.delivery.port import Channel, Message
from rim_ledger.engine.aggregate import Actor, Event
from rim_ledger.engine.command import Command, Creation, perform
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.notification import (
    NotificationDelivered,
    NotificationHistory,
    NotificationQueued,
    NotificationSent,
    in_clear,
)
from tests.spec import Memory

F = TypeVar("F", bound=WithPassword)
PASSWORD = SecretStr("a horse that reads slowly")


class Post:
    """Sends everything, and nothing."""

    def require(self, channel: Channel, uow: UnitOfWork) -> None:
        """It sends messages of every kind."""

    async def send(self, message: Message) -> None:
        """A rule sends nothing."""
        raise AssertionError(message)


def creation(username: str, role: UUID, **more: Any) -> CreateAdmin:
    """A form as a client fills it in."""
    fields = {"email": f"{username}@rim.example", "password": PASSWORD}
    return CreateAdmin(username=username, role_id=role, **(fields | more))


def ready(form: F) -> F:
    """The form with its password hashed, as the ledger gets it."""
    return asyncio.run(form.hashed())


@cache
def hashed(username: str, role: UUID = SUPERADMIN, **more: Any) -> CreateAdmin:
    """The same form, ready for the ledger. Hashing is slow, so the same form is hashed once."""
    return ready(creation(username, role, **more))


class Staff(Memory):
    """A memory that begins with the super-admin's role and one whom the tests call root."""

    def __init__(self) -> None:
        super().__init__()
        given = permissions(BUILT_IN["superadmin"][1])
        role = CreateRole(name="superadmin", permissions=given)
        self.perform(AdminRole, SUPERADMIN, role)
        self.root = self.hire("root", SUPERADMIN)

    def role(self, name: str, *rights: tuple[str, str], **role_limits: Any) -> UUID:
        role = self.environment.new_id()
        wish = CreateRole(name=name, permissions=permissions(rights), **role_limits)
        self.perform(AdminRole, role, wish)
        return role

    def hire(self, username: str, role: UUID, **more: Any) -> UUID:
        admin = self.environment.new_id()
        self.perform(AdminUser, admin, hashed(username, role, **more))
        return admin

    def known(self, id: UUID) -> AdminUser:
        return self.uow().read(AdminUser, id)

    def book_of(self, by: UUID) -> UnitOfWork:
        """A decision that an admin is admitted to."""
        admin = self.known(by)
        uow = self.uow(Actor(type="admin", id=by, name=admin.username))
        role = uow.read(AdminRole, admin.role_id)
        uow.rights, uow.role_limits, uow.contacts = role.rights, role.role_limits, admin.contacts
        return uow

    def ask(
        self,
        by: UUID,
        kind: type[AdminUser | AdminRole | ApiKey],
        id: UUID,
        command: Command[Any] | Creation[Any],
    ) -> list[Event]:
        """Perform a command as an admin, with the rights of their role; what that comes to, but for
        the alerts of it."""
        uow = self.book_of(by)
        perform(uow, kind, id, command)
        alerts = NotificationQueued | NotificationSent | NotificationDelivered
        return [each for each in self.keep(uow) if not isinstance(each, alerts)]

    def alerts(self, to: UUID) -> list[str]:
        """What an admin was alerted to, the oldest first."""
        known = (entry.aggregate for entry in self.streams.values())
        return [
            str(in_clear(self.uow(), each)[1])
            for each in known
            if isinstance(each, NotificationHistory)
            if each.notice.recipient == to and each.notice.channel == "email"
        ]
