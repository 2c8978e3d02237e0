"""Which borrowers may come in, and what they may do then: with their own, and nothing else."""

from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from rim_ledger.admin.security_settings import SecuritySettings
from rim_ledger.admin.session import SIGHTINGS
from rim_ledger.customers.access import CustomerAccess, CustomerSeen, access_of, access_stream
from rim_ledger.engine.aggregate import Actor
from rim_ledger.engine.refusals import Unauthenticated
from rim_ledger.engine.unit_of_work import Right, UnitOfWork
from rim_ledger.lending.user import User, UserStatus

SILENCE: Final = timedelta(days=180)
"""Who was not heard of for so long may have lost the phone's number to somebody else."""

OWN_SESSION: Final[Right] = ("own", "session")
"""What every borrower may do who has logged in, and no admin."""
OWN: Final[frozenset[Right]] = frozenset(
    {
        OWN_SESSION,
        ("users", "read"),
        ("loans", "read"),
        ("loans", "write"),
        ("transactions", "read"),
        ("tickets", "read"),
        ("tickets", "write"),
    }
)
"""What the routes need that are open to borrowers. Others let none of them in."""


def act_as(user: User, uow: UnitOfWork) -> None:
    """Put a borrower into the stamp, by number. Where they ask from is left out: the log is for
    ever, and what can be told of a person must be gone once they are erased."""
    actor = Actor(type="user", id=user.id, name=user.user_id)
    uow.stamp = replace(uow.stamp, actor=actor, ip=None, user_agent=None)


def may_come_in(user: User) -> bool:
    """Whether a borrower is let in at all."""
    return not user.gone and user.status is not UserStatus.SUSPENDED


def is_silent(user: User, uow: UnitOfWork) -> bool:
    """Whether nothing was heard of a borrower for so long that the phone may be another's by now:
    neither a log-in nor a payment, nor has staff put the phone down or verified it."""
    access = access_of(uow, user.id)
    heard = max(user.heard_at, access.last_login) if access else user.heard_at
    return uow.now - heard >= SILENCE


def enter(
    uow: UnitOfWork, access: CustomerAccess, token_hash: str, settings: SecuritySettings
) -> None:
    """Admit the borrower whose live session this is, and note now and then that it is used.

    Raises Unauthenticated when it is none any more.
    """
    uow.activities.clear()  # The log of activities is about admins.
    user, session = uow.read(User, access.id), access.sessions.get(token_hash)
    lives = session is not None and session.is_live(uow.now, settings.idle)
    if session is None or not lives or not may_come_in(user):
        raise Unauthenticated("unauthenticated", "Please log in: there is no live session.")
    act_as(user, uow)
    uow.rights = OWN
    if uow.now >= session.seen_at + settings.idle / SIGHTINGS:
        used = CustomerSeen(session=token_hash, idle_at=uow.stamp.at + settings.idle)
        uow.append(CustomerAccess, access_stream(user.id), [used])
