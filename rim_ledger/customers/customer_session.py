"""Which borrowers are admitted, and the rights they have."""

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from rim_ledger.admin.security_settings import SecuritySettings
from rim_ledger.admin.session import USES_RECORDED
from rim_ledger.customers.access import CustomerAccess, CustomerSeen, access_of, access_stream
from rim_ledger.engine.aggregate import Actor
from rim_ledger.engine.refusals import Unauthenticated
from rim_ledger.engine.unit_of_work import Right, UnitOfWork
from rim_ledger.lending.user import User, UserStatus

INACTIVE_AFTER: Final = timedelta(days=180)
"""After so long without a sign of the borrower, the phone number may belong to someone else."""

OWN_SESSION: Final[Right] = ("own", "session")
"""A right that every logged-in borrower has, and no admin."""
OWN: Final[frozenset[Right]] = frozenset(
    {
        OWN_SESSION,
        ("users", "read"),
        ("loans", "read"),
        ("loans", "write"),
        ("loan_products", "read"),
        ("transactions", "read"),
        ("tickets", "read"),
        ("tickets", "write"),
    }
)
"""The rights for routes that are open to borrowers."""


def act_as(user: User, uow: UnitOfWork) -> None:
    """Make a borrower the actor of the stamp, by number. Address and user agent are left out: the
    log is permanent, and personal data must be gone once a borrower is erased."""
    actor = Actor(type="user", id=user.id, name=user.user_id)
    uow.stamp = replace(uow.stamp, actor=actor, ip=None, user_agent=None)


def is_admitted(user: User) -> bool:
    """Return whether a borrower is admitted at all."""
    return not user.gone and user.status is not UserStatus.SUSPENDED


def may_have_changed_hands(user: User, uow: UnitOfWork) -> bool:
    """Return whether the phone number may have changed hands: for INACTIVE_AFTER there was
    neither a log-in nor a payment, nor did staff enter or verify the phone."""
    access = access_of(uow, user.id)
    heard = max(user.heard_at, access.last_login) if access else user.heard_at
    return uow.now - heard >= INACTIVE_AFTER


def enter(
    uow: UnitOfWork, access: CustomerAccess, token_hash: str, settings: SecuritySettings
) -> None:
    """Admit the borrower of a live session, and record from time to time that it is used.

    Raises Unauthenticated if the session has ended.
    """
    uow.activities.clear()  # The activity log is about admins.
    user, session = uow.read(User, access.id), access.sessions.get(token_hash)
    lives = session is not None and session.is_live(uow.now, settings.idle)
    if session is None or not lives or not is_admitted(user):
        raise Unauthenticated("unauthenticated", "Please log in: there is no live session.")
    act_as(user, uow)
    uow.rights = OWN
    if uow.now >= session.seen_at + settings.idle / USES_RECORDED:
        used = CustomerSeen(session=token_hash, idle_at=uow.stamp.at + settings.idle)
        uow.append(CustomerAccess, access_stream(user.id), [used])
