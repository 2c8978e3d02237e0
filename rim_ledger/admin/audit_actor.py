"""The acting admin, in the stamp of a decision and in the activity log of access attempts."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final
from uuid import UUID

from msgspec.structs import replace

from rim_ledger.admin.admin_role import AdminRole
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.api_key import ApiKey
from rim_ledger.admin.login_throttle import LoginThrottle, TooManyAttempts
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.aggregate import Actor, Stamp
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork

NO_ADMIN: Final = UUID(int=0)
"""Looked up in place of an unknown name, so that both take the same time."""


def act_as(admin: AdminUser, uow: UnitOfWork, key: ApiKey | None = None) -> AdminRole:
    """Put the admin's current name and role into the stamp, and return the role."""
    role = uow.read(AdminRole, admin.role_id)
    actor = Actor(
        type="admin",
        id=admin.id,
        name=admin.username,
        role=role.name,
        api_key=key.id if key else None,
        api_key_name=key.name if key else None,
    )
    uow.stamp = replace(uow.stamp, actor=actor)
    return role


def take_on(admin: AdminUser, uow: UnitOfWork, key: ApiKey | None = None) -> None:
    """Have the admin act, with the present rights, limits and contacts. A key never grants more
    than its owner has."""
    role = act_as(admin, uow, key)
    uow.rights = role.rights & key.rights if key else role.rights
    uow.role_limits, uow.contacts = role.role_limits, admin.contacts


def access_activity(action: str) -> Activity:
    """Return the activity of an access attempt or of a change to credentials."""
    return Activity(action=action, resource="auth")


@asynccontextmanager
async def failures_logged(
    ledger: Ledger,
    stamp: Stamp,
    action: str,
    who: Callable[[], UUID],
    attempts: LoginThrottle | None,
) -> AsyncIterator[None]:
    """Log a refusal within the block as an attempt of an admin, if it was one.

    Refusals that anyone can cause without limit (for NO_ADMIN, or after too many attempts) are
    counted by `attempts` and logged once an hour; without `attempts`, refusals for NO_ADMIN are not
    logged.
    """
    try:
        yield
    except Refused as refusal:
        if attempts is None and who() == NO_ADMIN:
            raise
        endless = who() == NO_ADMIN or isinstance(refusal, TooManyAttempts)
        counts = attempts if endless else None
        if counts and not await counts.count_refused(action, refusal.code, stamp.ip):
            raise
        refused = refusal

        def work(uow: UnitOfWork) -> UUID:
            if admin := uow.find(AdminUser, who()):
                act_as(admin, uow)
            uow.activities.append(access_activity(action))
            raise refused

        with suppress(Refused):
            await ledger.submit(work, stamp)
        raise
